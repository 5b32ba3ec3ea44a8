"""The reading: what is said of a study, the AI's word kept beside the reader's, and the ways it is changed."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from panlesion.aid.schemas.accounts import In, Out
from panlesion.aid.vocabulary import Decision, MeasurementKind, Origin, Parcel, ProposalWay, ReadingState

Index3 = tuple[int, int, int]
Vector3 = tuple[float, float, float]
Number = Annotated[int, Field(ge=1, le=255)]
Text = Annotated[str, Field(max_length=10_000)]


class Attribute(Out):
    """A report attribute (shape, density, heterogeneity, surface, invasion): its value and who filled it.

    What the AI had read (`ai`, with its probability) and measured stays beside it.
    """

    value: str | None
    by: Origin
    ai: str | None = None
    probability: float | None = None
    measured: str | None = None


class Caliper(Out):
    length_mm: float
    ends_ijk: tuple[Index3, Index3]
    ends_xyz: tuple[Vector3, Vector3]


class Size(Out):
    """Measured on the present mask; None of it where the mask has no voxel left."""

    volume_ml: float
    long: Caliper
    short: Caliper
    extent_mm: Vector3
    centre_ijk: Index3
    centre_xyz: Vector3
    mean_hu: float
    sd_hu: float


class FindingOut(Out):
    """One finding; `number` is its label in the mask. `ai` is the AI's own record, untouched, None for a reader's finding.

    `sentence` is made from the present values, never typed. `place_by` is the AI until a reader says where it is: a reader's
    own finding lies in the organ that the AI sees under its outline.
    """

    number: Number
    tracking_uid: str
    origin: Origin
    decision: Decision
    type: str
    organ: str
    side: str
    location: str
    place_by: Origin = Origin.AI
    probability: float | None
    size: Size | None
    attributes: dict[str, Attribute]
    mask_edited: bool
    note: str
    sentence: str
    ai: dict[str, Any] | None


class MeasurementIn(In):
    """Ends in RAS+ world mm: two for a length; long then short (four) for a bidirectional; the outline's points for an ROI."""

    kind: MeasurementKind
    points_xyz: Annotated[list[Vector3], Field(min_length=2, max_length=500)]
    label: Annotated[str, Field(max_length=64)] = ""
    finding: Number | None = None


class MeasurementOut(Out):
    """`values` by name with unit: length_mm; long_mm, short_mm; area_mm2, mean_hu, sd_hu, min_hu, max_hu."""

    id: str
    kind: MeasurementKind
    points_xyz: list[Vector3]
    label: str
    finding: int | None
    values: dict[str, float]


class PairOut(Out):
    prior: int | None
    now: int | None
    prior_mm: float | None
    now_mm: float | None
    target: bool


class ComparisonOut(Out):
    """RECIST 1.1 against the prior study, of accepted and open findings as they are now."""

    prior_id: UUID
    prior_at: datetime | None
    pairs: list[PairOut]
    response: str
    reason: str
    prior_sum_mm: float | None
    now_sum_mm: float | None


class DoubtOut(Out):
    code: str
    words: str


class AddendumOut(Out):
    at: datetime
    by: str
    text: str


class ReadingOut(Out):
    """The document. `version` goes into If-Match of every change.

    `impression` are the generated lines; `impression_text`, where set, stands in their place.
    """

    study_id: UUID
    state: ReadingState
    version: int
    changed_at: datetime
    changed_by: str | None
    findings: list[FindingOut]
    measurements: list[MeasurementOut]
    impression: list[str]
    impression_text: str | None
    comment: str
    doubts: list[DoubtOut]
    suspicion: dict[str, float]
    operating_point: str
    algorithm: str
    comparison: ComparisonOut | None
    signed_at: datetime | None
    signed_by: str | None
    addenda: list[AddendumOut]


class ConflictOut(Out):
    """412: the version that is there now; nothing of what was sent has been kept."""

    detail: str
    version: int
    by: str | None
    at: datetime


class Decide(In):
    op: Literal["decide"]
    number: Number
    decision: Decision


class Retype(In):
    op: Literal["retype"]
    number: Number
    type: Annotated[str, Field(max_length=64)]


class Describe(In):
    """`value` None gives the field back to the AI."""

    op: Literal["describe"]
    number: Number
    attribute: Annotated[str, Field(max_length=32)]
    value: Annotated[str, Field(max_length=64)] | None


class Place(In):
    op: Literal["place"]
    number: Number
    organ: Annotated[str, Field(max_length=64)]
    side: Annotated[str, Field(pattern="^(left|right|)$")] = ""
    location: Annotated[str, Field(max_length=64)] = ""


class Note(In):
    op: Literal["note"]
    number: Number
    text: Text


class Add(In):
    """A finding for a label that was painted, or is going to be; `number` must be free."""

    op: Literal["add"]
    number: Number
    type: Annotated[str, Field(max_length=64)]
    origin: Literal[Origin.READER, Origin.PROPOSAL] = Origin.READER


class Remove(In):
    """Only what a reader added; the AI's can be rejected. Its label leaves the mask."""

    op: Literal["remove"]
    number: Number


class Measure(In):
    op: Literal["measure"]
    measurement: MeasurementIn


class Unmeasure(In):
    op: Literal["unmeasure"]
    id: Annotated[str, Field(max_length=36)]


class Write(In):
    """The reader's own words; impression None: generated again."""

    op: Literal["write"]
    field: Literal["comment", "impression"]
    text: Text | None


Change = Annotated[
    Decide | Retype | Describe | Place | Note | Add | Remove | Measure | Unmeasure | Write, Field(discriminator="op")
]


class ChangesIn(In):
    """Applied in order, all or none."""

    changes: Annotated[list[Change], Field(min_length=1, max_length=500)]


class ProposeIn(In):
    """A point in a lesion, or a box around it (half open), in voxels of the study's grid."""

    point_ijk: Index3 | None = None
    box_ijk: tuple[Index3, Index3] | None = None


class ProposalOut(Out):
    """A mask in a box of the grid: `runs` are alternating lengths of 0 and 1 in the order i fastest, then j, then k.

    `probability` is what the network says of this outline being a lesion, whichever `way` it was found.
    """

    way: ProposalWay
    start_ijk: Index3
    shape: Index3
    runs: list[int]
    type: str
    probability: float
    seconds: float


class SignIn(In):
    """The password again, as a signature; empty for accounts of an identity provider, whose session must be fresh."""

    password: Annotated[str, Field(max_length=256)] = ""


class AddendumIn(In):
    text: Annotated[str, Field(min_length=1, max_length=10_000)]


class PriorIn(In):
    study_id: UUID | None


class DeliveryOut(Out):
    """Results on their way to a PACS: the AI's own, the signed report, or it once more with an addendum."""

    job_id: UUID
    node: str
    what: Parcel
    state: str
    cause: str
    attempts: int
    finished_at: datetime | None


class ChoicesOut(Out):
    """The closed vocabularies of the report, with the words a page shows and the key that chooses each."""

    types: list[tuple[str, str]]
    attributes: dict[str, list[tuple[str, str]]]
    organs: list[str]
