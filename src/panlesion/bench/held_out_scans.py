"""Scans for testing that no training has met: drawn torsos from seeds kept for this, one lesion each or none.

Training draws its bodies from (seed, block number, its own constant) and never through `make_phantom`; cohorts draw phantom
seeds below 2³¹. Seeds here start at 2³¹, those for validation in one half and those for testing in the other, and every
case, attempt included, has its own. So bodies, paint, scanner and lesions of the two splits and of training never share a
stream of random numbers. They do share the program that draws them: this measures unseen bodies, not another world.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organs import SYSTEM_LABELS, OrganSystem
from panlesion.ct.volume import Box, LabelMap, Volume
from panlesion.errors import PlacementError, VerifyError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.measure.detection import components
from panlesion.phantom.phantom import make_phantom
from panlesion.synth.compose import LESION, make_case
from panlesion.synth.host import Host

FIRST_SEED, SEEDS_PER_SPLIT = 2**31, 2**30
MOST_CASES, MOST_BODIES = 1000, 8
MOST_SEED = SEEDS_PER_SPLIT // ((len(LesionType) + 1) * MOST_CASES * MOST_BODIES) - 1
_LESION_STREAM = 0x68656C64

OUTLIER_SDS = 3.0
_SMOOTH_VOXELS = 1.0


class Split(StrEnum):
    """What a scan is for: thresholds are chosen on one, and reported on the other."""

    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class ScanJob:
    """One scan to make: the `index`-th with a lesion of the type, or without any lesion."""

    split: Split
    type: LesionType | None
    index: int
    seed: int
    spacing_mm: float

    def __post_init__(self) -> None:
        if not (0 <= self.seed <= MOST_SEED and 0 <= self.index < MOST_CASES):
            raise ValueError(
                f"seed {self.seed}, case {self.index}: use a seed of 0 to {MOST_SEED} and below {MOST_CASES} cases"
            )

    @property
    def id(self) -> str:
        return f"{self.split}_{self.type or 'healthy'}_{self.index:03d}"

    @property
    def group(self) -> str:
        """No two scans share a body."""
        return self.id

    def body_seed(self, attempt: int) -> int:
        """The phantom's seed; no two scans or attempts have the same."""
        kind = 0 if self.type is None else list(LesionType).index(self.type) + 1
        number = ((self.seed * (len(LesionType) + 1) + kind) * MOST_CASES + self.index) * MOST_BODIES + attempt
        return FIRST_SEED + list(Split).index(self.split) * SEEDS_PER_SPLIT + number


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOutScan:
    """A whole torso with one lesion of `job.type` (bool mask), or none."""

    job: ScanJob
    ct: Volume
    organs: LabelMap
    lesion: NDArray[np.bool_]
    phase: str
    body_seed: int
    attempts: int


def make_scan(job: ScanJob) -> HeldOutScan:
    """Draw the body and, unless it stays healthy, a verified lesion; a body without room for one is replaced.

    Raises:
        PlacementError: `MOST_BODIES` bodies had no room.
    """
    problem = ""
    for attempt in range(MOST_BODIES):
        seed = job.body_seed(attempt)
        phantom = make_phantom(seed, spacing_mm=job.spacing_mm)
        ct, organs = phantom.ct, phantom.organs
        lesion = np.zeros(ct.hu.shape, dtype=bool)
        if job.type is not None:
            try:
                host = Host.of(job.id, ct, organs)
                case = make_case(host, [job.type], np.random.default_rng([seed, _LESION_STREAM]))
            except (PlacementError, VerifyError) as error:
                problem = str(error)
                continue
            ct, organs, lesion = case.image, case.organs, case.label.labels == LESION
        phase = str(phantom.record["phase"])
        return HeldOutScan(
            job=job, ct=ct, organs=organs, lesion=lesion, phase=phase, body_seed=seed, attempts=attempt + 1
        )  # fmt: skip
    raise PlacementError(f"{job.id}: {MOST_BODIES} bodies in a row have no room for it; last: {problem}")


def threshold_baseline(scan: HeldOutScan) -> NDArray[np.bool_]:
    """The trivial baseline: the largest part of the organ whose HU are unlike the rest of it.

    It is told what the network has to find out: the true organ, lesion included, and that there is something in it. A
    lesion-free scan is asked about all ten organ systems in turn.
    """
    systems = list(OrganSystem) if scan.job.type is None else [TYPES[scan.job.type].system]
    found = np.zeros(scan.lesion.shape, dtype=bool)
    for system in systems:
        organ = scan.organs.mask(SYSTEM_LABELS[system]) | scan.lesion
        box = Box.of(organ)
        if not box.empty:
            found[box.slices] |= _outlier(scan.ct.hu[box.slices].astype(np.float32), organ[box.slices])
    return found


def _outlier(hu: NDArray[np.float32], organ: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest part of an organ more than `OUTLIER_SDS` robust SDs from its median, after smoothing within it."""
    inside = organ.astype(np.float32)
    # Smoothed over the organ alone, or its border would be unlike it because of what lies beside it.
    weight = ndimage.gaussian_filter(inside, _SMOOTH_VOXELS)
    smooth = ndimage.gaussian_filter(hu * inside, _SMOOTH_VOXELS) / np.maximum(weight, 1e-3)
    away = np.abs(smooth - np.median(smooth[organ]))
    # 1.4826 makes the median absolute deviation of a normal distribution its SD.
    labels, count = components(organ & (away > OUTLIER_SDS * 1.4826 * np.median(away[organ])))
    if not count:
        return np.zeros_like(organ)
    largest = labels == np.bincount(labels[labels > 0]).argmax()
    # Its edge lies at half its height: where noise is low, three SDs reach far out into the smoothed border.
    return largest & (away > away[largest].max() / 2)
