"""Two dates of one patient: organs bring the prior study onto the present one, lesions are paired, and RECIST 1.1 is read off.

Registration is an affine of organ landmarks (ours): good to a centimetre or two, enough to tell which lesion is which, and no
more is asked of it. Response is that of Eisenhauer et al. (Eur J Cancer 2009;45:228), with the prior study as baseline and
nadir, since there are only two dates.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from panlesion.ct.nifti import read_labels
from panlesion.ct.organs import V1_NAMES
from panlesion.ct.volume import LabelMap
from panlesion.errors import ReadError
from panlesion.infer.record import (
    FINDINGS_FILE,
    ORGANS_FILE,
    Findings,
    FollowUp,
    LesionRecord,
    Pair,
    Response,
    read_findings,
)
from panlesion.lesion.taxonomy import TYPES, LesionType

LANDMARK_LABELS = (1, 2, 3, 4, 5, 6, 10, 13, 14, 15, 16, 17, 42, 92, 104)
"""Organs that are one solid thing and lie where they lie; gut and vessels change and are left out. Bone is the map's own."""
LEAST_VOXELS = 50
LEAST_ORGANS = 2
STIFFNESS = 4.0
"""How strongly the affine keeps to a mere shift, in landmarks; ours. With many organs it hardly counts."""

GATE_MM = 25.0
"""Lesions farther apart than this plus half the larger diameter are two lesions; ours."""

TARGET_MM, MOST_TARGETS, MOST_IN_ORGAN = 10.0, 5, 2
GROWN, GROWN_MM, SHRUNK = 0.20, 5.0, 0.30


@dataclass(frozen=True, kw_only=True, eq=False)
class Registration:
    """World mm of the prior study → world mm of the present one; which organs it came from, and how well their centres meet."""

    affine: NDArray[np.float64]
    organs: tuple[str, ...]
    residual_mm: float

    def moved(self, xyz: Sequence[float]) -> NDArray[np.float64]:
        """A point of the prior study in the present one."""
        found: NDArray[np.float64] = self.affine[:3, :3] @ np.asarray(xyz, dtype=np.float64) + self.affine[:3, 3]
        return found


def read_prior(path: Path) -> tuple[Findings, LabelMap]:
    """The findings of an earlier prediction and the organ map beside them.

    Args:
        path: `findings.json`, or the folder it lies in.

    Raises:
        ReadError: One of the two is missing or damaged.
    """
    file = path / FINDINGS_FILE if path.is_dir() else path
    findings = read_findings(file)
    organs = file.with_name(ORGANS_FILE)
    if not organs.is_file():
        raise ReadError(f"{organs} is missing; give findings in the folder that `panlesion predict` made")
    return findings, read_labels(organs)


def register(prior: LabelMap, now: LabelMap) -> Registration | None:
    """The affine that brings the prior study's organs onto the present ones'; None where too few are whole in both."""
    old, new = _landmarks(prior), _landmarks(now)
    shared = sorted(old.keys() & new.keys())
    if len(shared) < LEAST_ORGANS:
        return None
    source = np.concatenate([old[label] for label in shared])
    target = np.concatenate([new[label] for label in shared])
    # x ↦ x + shift + M (x - middle), M drawn towards 0 so that two organs do not shear a patient
    middle = source.mean(axis=0)
    design = np.column_stack([(source - middle), np.ones(len(source))])
    scale = float(np.sqrt(((source - middle) ** 2).mean()))
    ridge = np.sqrt(STIFFNESS) * scale * np.eye(4)[:3]
    moved = np.concatenate([target - source, np.zeros((3, 3))])
    linear = np.linalg.lstsq(np.concatenate([design, ridge]), moved, rcond=None)[0]
    affine = np.eye(4)
    affine[:3, :3] += linear[:3].T
    affine[:3, 3] = linear[3] - linear[:3].T @ middle
    centres = np.stack([old[label][0] for label in shared])
    off = centres @ affine[:3, :3].T + affine[:3, 3] - np.stack([new[label][0] for label in shared])
    return Registration(
        affine=affine,
        organs=tuple(V1_NAMES[label] for label in shared),
        residual_mm=float(np.median(np.linalg.norm(off, axis=1))),
    )


def _landmarks(organs: LabelMap) -> Mapping[int, NDArray[np.float64]]:
    """For every organ that the image shows whole: its centre and the points one SD from it along each world axis, (7, 3)."""
    found = {}
    edge = np.zeros(256, dtype=bool)
    for axis in range(3):
        faces = np.take(organs.labels, [0, -1], axis=axis)
        edge[np.unique(faces)] = True
    for label in LANDMARK_LABELS:
        if edge[label]:
            continue
        where = np.argwhere(organs.labels == label)
        if len(where) < LEAST_VOXELS:
            continue
        xyz = organs.grid.to_xyz(where)
        centre, spread = xyz.mean(axis=0), xyz.std(axis=0)
        found[label] = np.concatenate([centre[None], centre + np.diag(spread), centre - np.diag(spread)])
    return found


def compare(prior: Findings, prior_organs: LabelMap, now: Findings, now_organs: LabelMap) -> FollowUp:
    """Pair the lesions of two dates and read the response off their long axes."""
    return compare_registered(prior, now, register(prior_organs, now_organs))


def compare_registered(prior: Findings, now: Findings, found: Registration | None) -> FollowUp:
    """As `compare`, where the registration is known, or known to be impossible."""
    if found is None:
        return FollowUp(
            prior_case=prior.case,
            pairs=(),
            response=Response.NOT_EVALUABLE,
            reason=f"fewer than {LEAST_ORGANS} organs are whole in both studies, so that they cannot be registered",
        )
    pairs = paired(prior.lesions, now.lesions, found)
    targets = _targets(prior.lesions)
    told = tuple(
        Pair(
            prior=None if a is None else a.number,
            now=None if b is None else b.number,
            prior_mm=None if a is None else a.long.length_mm,
            now_mm=None if b is None else b.long.length_mm,
            target=a is not None and a.number in targets,
        )
        for a, b in pairs
    )
    response, reason, sums = _response(pairs, targets)
    return FollowUp(
        prior_case=prior.case,
        pairs=told,
        response=response,
        reason=reason,
        prior_sum_mm=sums[0],
        now_sum_mm=sums[1],
        organs=found.organs,
        residual_mm=found.residual_mm,
    )


Paired = tuple[LesionRecord | None, LesionRecord | None]


def paired(prior: Sequence[LesionRecord], now: Sequence[LesionRecord], moved: Registration) -> list[Paired]:
    """Lesions of one organ system that lie at one place, the prior one moved; then those of one date alone."""
    cost = np.full((len(prior), len(now)), np.inf)
    for i, a in enumerate(prior):
        for j, b in enumerate(now):
            gate = GATE_MM + max(a.diameter_mm, b.diameter_mm) / 2
            away = float(np.linalg.norm(moved.moved(a.centre_xyz) - np.asarray(b.centre_xyz)))
            if family(a.type) == family(b.type) and away <= gate:
                cost[i, j] = away
    matched: dict[int, int] = {}
    if cost.size:
        # a price above every gate, so that as many as possible are paired, then the nearest
        finite = np.where(np.isfinite(cost), cost, 1e6)
        pairs = np.stack(linear_sum_assignment(finite), axis=1).tolist()
        matched = {i: j for i, j in pairs if np.isfinite(cost[i, j])}
    both: list[Paired] = [(prior[i], now[j]) for i, j in sorted(matched.items())]
    gone: list[Paired] = [(one, None) for i, one in enumerate(prior) if i not in matched]
    new: list[Paired] = [(None, one) for j, one in enumerate(now) if j not in matched.values()]
    return both + gone + new


def family(type: str) -> str:
    """What lesions must have in common to be one and the same: the organ system; a class of no type is one by itself."""
    return TYPES[LesionType(type)].system.value if type in set(LesionType) else type


def _malignant(lesion: LesionRecord) -> bool:
    return lesion.type not in set(LesionType) or TYPES[LesionType(lesion.type)].malignant


def _targets(prior: Sequence[LesionRecord]) -> frozenset[int]:
    """Numbers of the target lesions: malignant, from 10 mm, at most two in an organ and five in all, the largest."""
    chosen: list[int] = []
    in_organ: Counter[str] = Counter()
    for one in sorted(prior, key=lambda lesion: -lesion.long.length_mm):
        if not _malignant(one) or one.long.length_mm < TARGET_MM or len(chosen) == MOST_TARGETS:
            continue
        if in_organ[family(one.type)] < MOST_IN_ORGAN:
            in_organ[family(one.type)] += 1
            chosen.append(one.number)
    return frozenset(chosen)


def _response(pairs: Sequence[Paired], targets: frozenset[int]) -> tuple[Response, str, tuple[float | None, float | None]]:
    new = [now for prior, now in pairs if prior is None and now is not None and _malignant(now)]
    mine = [(prior, now) for prior, now in pairs if prior is not None and prior.number in targets]
    before = sum(prior.long.length_mm for prior, _ in mine)
    after = sum(now.long.length_mm for _, now in mine if now is not None)
    sums = (before, after) if mine else (None, None)
    if new:
        count = "a new lesion" if len(new) == 1 else f"{len(new)} new lesions"
        return Response.PROGRESSIVE, f"{count}, to be confirmed by a reader", sums
    if not mine:
        return Response.NOT_EVALUABLE, f"no target lesion (malignant, from {TARGET_MM:g} mm) in the prior study", sums
    left = any(now is not None for prior, now in pairs if prior is not None and _malignant(prior))
    change = (after - before) / before
    lesions = "1 target lesion" if len(mine) == 1 else f"{len(mine)} target lesions"
    told = f"sum of {lesions} {before:.0f} mm then, {after:.0f} mm now ({change:+.0%})"
    if not left:
        return Response.COMPLETE, told, sums
    if change >= GROWN and after - before >= GROWN_MM:
        return Response.PROGRESSIVE, told, sums
    return (Response.PARTIAL if change <= -SHRUNK else Response.STABLE), told, sums
