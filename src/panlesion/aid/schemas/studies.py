"""Studies as the worklist and the viewer see them, what comes in, jobs and PACS nodes."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from panlesion.aid.schemas.accounts import In, Out
from panlesion.aid.vocabulary import JobKind, JobState, NodeKind, StudySource, StudyState


class StudyRow(Out):
    """A line of the worklist. `progress` (0 … 1) and `stage` are those of the running job.

    `findings` is how many the AI has, `reported` how many the reading keeps, once a reader changed something.
    """

    id: UUID
    study_uid: str
    state: StudyState
    source: StudySource
    problem: str
    patient_id: str
    patient_name: str
    birth_date: date | None
    sex: str
    accession: str
    description: str
    study_at: datetime | None
    received_at: datetime
    changed_at: datetime
    images: int
    suspicion: float | None
    findings: int | None
    reported: int | None
    priority: int
    restricted: bool
    progress: float | None = None
    stage: str = ""


class WorklistOut(Out):
    """`counts`: what the search meets (of the flagged alone, if asked so), by state; `total`: what the states leave of it.

    `flagged`: how many have findings of what the search meets and the states leave.
    """

    total: int
    counts: dict[StudyState, int]
    flagged: int
    items: list[StudyRow]


class SeriesOut(Out):
    id: UUID
    series_uid: str
    number: int | None
    modality: str
    description: str
    images: int
    problem: str


class GridOut(Out):
    """The grid of the CT that is read: voxel (i, j, k) is pixel row j, column i of the image `sops[k]`; affine to RAS+ mm."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    affine: list[list[float]]
    sops: list[str]


class StudyOut(StudyRow):
    """`grid` is None until the study has been analysed, or where nothing can be read as a CT."""

    primary_series: str | None
    prior_id: UUID | None
    series: list[SeriesOut]
    grid: GridOut | None = None


class StudyChangeIn(In):
    """Manager: all; a reader may change the priority and choose the prior."""

    priority: Annotated[int, Field(ge=-10, le=10)] | None = None
    restricted: bool | None = None
    primary_series: Annotated[str, Field(max_length=64)] | None = None


class AccessIn(In):
    user_ids: Annotated[list[UUID], Field(max_length=1000)]


class RejectedOut(Out):
    id: int
    at: datetime
    source: StudySource
    name: str
    reason: str


class UploadOut(Out):
    """`again` are files that were there already."""

    study_ids: list[UUID]
    taken: int
    again: int
    rejected: list[RejectedOut]


class JobOut(Out):
    id: UUID
    kind: JobKind
    state: JobState
    study_id: UUID | None
    priority: int
    attempts: int
    progress: float
    stage: str
    cause: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class NodeIn(In):
    """A PACS; `password` None keeps the old one. `url` for DICOMweb; host, port and AE title for DIMSE."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    kind: NodeKind
    url: Annotated[str, Field(max_length=512)] = ""
    user: Annotated[str, Field(max_length=128)] = ""
    password: Annotated[str, Field(max_length=256)] | None = None
    host: Annotated[str, Field(max_length=256)] = ""
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    ae_title: Annotated[str, Field(max_length=16)] = ""
    retrieves_by: Annotated[str, Field(pattern="^(get|move)$")] = "get"
    sends_to: bool = False
    auto_sends: bool = False
    sends_pdf: bool = False
    active: bool = True


class NodeOut(Out):
    """Never with the password."""

    id: UUID
    name: str
    kind: NodeKind
    url: str
    user: str
    host: str
    port: int
    ae_title: str
    retrieves_by: str
    sends_to: bool
    auto_sends: bool
    sends_pdf: bool
    active: bool


class EchoOut(Out):
    ok: bool
    words: str


class RemoteStudyOut(Out):
    """A study as a PACS lists it."""

    study_uid: str
    patient_id: str
    patient_name: str
    study_date: str
    description: str
    modalities: str
    here: bool


class PullIn(In):
    node_id: UUID
    study_uid: Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]


class Event(Out):
    """What the stream of events tells: a study's row as it is now."""

    study: StudyRow
