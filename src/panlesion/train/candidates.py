"""What a detection head learns from: vectors of parts that a network marked in drawn scans, and which of them are lesions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from panlesion.measure.detection import HitRule, Reading
from panlesion.train.loop import Sample


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """`vectors` float32 (N, F), `lesion` bool (N,), and the `scan` (N,) each was marked in."""

    vectors: NDArray[np.float32]
    lesion: NDArray[np.bool_]
    scan: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence["Candidates"]) -> "Candidates":
        """One after another."""
        return cls(
            vectors=np.concatenate([part.vectors for part in parts]),
            lesion=np.concatenate([part.lesion for part in parts]),
            scan=np.concatenate([part.scan for part in parts]),
        )

    def where(self, some: NDArray[np.bool_]) -> "Candidates":
        """Those of a mask (N,)."""
        return Candidates(vectors=self.vectors[some], lesion=self.lesion[some], scan=self.scan[some])


def known_parts(reading: Reading, rule: HitRule | None = None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which parts are lesions, and of which that is known, both (N,).

    Parts that touch a lesion and overlap too little to be a hit are neither: nobody is taught that they are no lesion.
    """
    rule = rule or HitRule()
    hit = [
        any(rule.value(voxels, part.voxels, reading.lesions[lesion]) > 0 for lesion, voxels in part.shared)
        for part in reading.parts
    ]
    free = [not part.shared for part in reading.parts]
    lesion = np.array(hit, dtype=bool)
    return lesion, lesion | np.array(free, dtype=bool)


@dataclass(frozen=True, kw_only=True, eq=False)
class CandidateSource:
    """Samples of both kinds equally often, however rare lesions are; which one a (step, slot) gets depends on the seed."""

    data: Candidates
    seed: int
    batch: int

    def at_step(self, step: int) -> None:
        """Nothing to do: the vectors are in memory."""

    def sample(self, step: int, slot: int) -> Sample:
        rng = np.random.default_rng([self.seed, step * self.batch + slot, 0x63616E64])
        kind = np.flatnonzero(self.data.lesion == bool(rng.integers(2)))
        n = int(kind[rng.integers(len(kind))])
        arrays = {"image": self.data.vectors[n], "lesion": np.float32(self.data.lesion[n])}
        return Sample(arrays=arrays, id=f"scan {self.data.scan[n]} candidate {n}")


def calibration(logits: NDArray[np.float64], lesion: NDArray[np.bool_]) -> tuple[float, float]:
    """Scale and shift of logits (N,) that make their sigmoid the probability of being a lesion (Platt 1999).

    With his smoothed targets, so that few or perfectly parted candidates do not ask for infinite certainty. The scale is
    never negative: a ranking may be flattened and is never turned round.

    Raises:
        ValueError: Only lesions, or none.
    """
    yes, no = int(lesion.sum()), int((~lesion).sum())
    if not yes or not no:
        raise ValueError(f"{yes} lesions and {no} others; calibrating needs both")
    target = np.where(lesion, (yes + 1) / (yes + 2), 1 / (no + 2))

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = at[0] * logits + at[1]
        off = 1 / (1 + np.exp(-z)) - target
        value = np.logaddexp(0.0, z) - target * z
        return float(value.sum()), np.array([(off * logits).sum(), off.sum()])

    start = np.array([1.0, np.log(yes / no)])
    scale, shift = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)]).x.tolist()
    return scale, shift
