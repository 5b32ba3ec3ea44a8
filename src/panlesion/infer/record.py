"""`findings.json`: what was found in one CT, a strict document from which report, DICOM SEG and DICOM SR are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from panlesion.ct.modality import Modality
from panlesion.ct.volume import Index3, Vector3
from panlesion.data.publish import write_text
from panlesion.errors import ReadError

SCHEMA = 1
FINDINGS_FILE, LESIONS_FILE, ORGANS_FILE = "findings.json", "lesions.nii.gz", "organs.nii.gz"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One report attribute as the network reads it, with its probability, and as `measure` finds it; None: cannot say."""

    read: str | None = None
    probability: float | None = None
    measured: str | None = None

    @property
    def disagree(self) -> bool:
        """Whether both say something, and not the same."""
        return self.read is not None and self.measured is not None and self.read != self.measured


@dataclass(frozen=True, kw_only=True)
class Caliper:
    """One line in an axial slice of the input: length, ends as voxel indices of the input's grid and in RAS+ world mm."""

    length_mm: float
    ends_ijk: tuple[Index3, Index3]
    ends_xyz: tuple[Vector3, Vector3]


@dataclass(frozen=True, kw_only=True)
class LesionRecord:
    """One finding. `number` is its label in the lesion mask, 1 … n, the most probable first.

    Sizes are measured on the input's own grid: `long` and `short` are the axes of RECIST 1.1, `extent_mm` runs along the
    array axes. `type` is a lesion class of the network. `organ` is a v1 name where it is known, else an anatomy class of the
    network; `side` is left, right or empty; `location` the lobe, segment, pole or level, or empty. What has no HU (MR) has
    None there.
    """

    number: int
    tracking_id: str
    tracking_uid: str
    type: str
    probability: float
    organ: str
    side: str
    location: str
    volume_ml: float
    diameter_mm: float
    long: Caliper
    short: Caliper
    extent_mm: Vector3
    centre_ijk: Index3
    centre_xyz: Vector3
    mean_hu: float | None
    sd_hu: float | None
    organ_mean_hu: float | None = None
    attributes: Mapping[str, Reading] = field(default_factory=dict)
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A reason not to trust the result as usual: a short code, and what to tell the reader."""

    code: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What made the findings. `weights_sha256` is that of the checkpoint's tensors and header."""

    name: str
    version: str
    checkpoint: str
    weights_sha256: str


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Findings count from this probability on; what it gave on the scans it was calibrated on, where that is known."""

    least_probability: float
    sensitivity: float | None = None
    false_per_scan: float | None = None
    calibrated_on: str = ""


class Response(StrEnum):
    """RECIST 1.1, against the prior study alone."""

    COMPLETE = "complete response"
    PARTIAL = "partial response"
    STABLE = "stable disease"
    PROGRESSIVE = "progressive disease"
    NOT_EVALUABLE = "not evaluable"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A lesion at two dates: its numbers then and now, None where it was not found, and its long axes in mm."""

    prior: int | None
    now: int | None
    prior_mm: float | None
    now_mm: float | None
    target: bool = False


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """A comparison with a prior study. `organs` are those it was registered by, `residual_mm` how well their centres meet."""

    prior_case: str
    pairs: tuple[Pair, ...]
    response: Response
    reason: str
    prior_sum_mm: float | None = None
    now_sum_mm: float | None = None
    organs: tuple[str, ...] = ()
    residual_mm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The document.

    `suspicion` is the probability of the most probable part, counting or not, for each organ system, "elsewhere" and
    "overall"; `modality` what kind of scan it is; `plain` whether the CT looks like one without contrast medium, None where
    that cannot be told.
    """

    case: str
    kind: str
    modality: Modality = Modality.CT
    shape: Index3
    spacing_mm: Vector3
    algorithm: Algorithm
    operating_point: OperatingPoint
    lesions: tuple[LesionRecord, ...] = ()
    suspicion: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()
    plain: bool | None = None
    impression: tuple[str, ...] = ()
    follow_up: FollowUp | None = None
    seconds: float = 0.0
    schema: int = SCHEMA


_FINDINGS = TypeAdapter(Findings)


def write_findings(path: Path, findings: Findings) -> None:
    """Write the document whole or not at all.

    Raises:
        DiskFullError: No room.
    """
    write_text(path, _FINDINGS.dump_json(findings, indent=1).decode() + "\n")


def read_findings(path: Path) -> Findings:
    """A document back.

    Raises:
        ReadError: Not there, damaged, or of another schema; the message names the field.
    """
    try:
        findings = _FINDINGS.validate_json(path.read_bytes())
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror}; give a {FINDINGS_FILE} of `panlesion predict`") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ReadError(
            f"{path}: {where or 'document'}: {first['msg']}; give a {FINDINGS_FILE} of `panlesion predict`"
        ) from error
    if findings.schema != SCHEMA:
        raise ReadError(f"{path} has schema {findings.schema}; this panlesion reads {SCHEMA}: predict again")
    return findings
