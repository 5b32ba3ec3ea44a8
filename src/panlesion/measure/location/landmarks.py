"""`Landmarks`: the organs of a map as clouds of world points, coarse enough to be fast."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import V1_LABELS, VERTEBRA_LABELS
from panlesion.ct.volume import LabelMap

# A landmark needs no finer grid than this; an organ with fewer points than FEW is looked up on the full grid around them.
COARSE_MM = 3.0
FEW = 60
SACRUM, HIPS = V1_LABELS["sacrum"], (V1_LABELS["hip_left"], V1_LABELS["hip_right"])
# No sacrum is this tall or wide (Gray's Anatomy: about 110 mm either way); a cloud that is has other bones in it. Ours.
LARGEST_SACRUM_MM = 200.0
# Further from the midline than any vertebra's transverse process, nearer than the iliac crest and the ribs. Ours.
LATERAL_MM, SLAB_MM = 60.0, 6.0

Points = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Landmarks:
    """Point clouds (N, 3) in RAS+ world mm (x grows to the patient's right, y forwards, z upwards) of a map's organs."""

    organs: LabelMap
    _clouds: dict[int, Points] = field(default_factory=dict)

    @cached_property
    def stride(self) -> NDArray[np.int64]:
        """Steps along i, j, k that make the coarse grid."""
        return np.maximum(1, np.floor(COARSE_MM / np.asarray(self.organs.grid.spacing_mm) + 1e-6)).astype(int)

    @cached_property
    def _coarse(self) -> dict[int, NDArray]:
        a, b, c = self.stride.tolist()
        coarse = self.organs.labels[::a, ::b, ::c]
        filled = np.flatnonzero(coarse)
        labels = coarse.reshape(-1)[filled]
        order = np.argsort(labels, kind="stable")
        ends = np.cumsum(np.bincount(labels, minlength=256))
        index = np.stack(np.unravel_index(filled[order], coarse.shape), axis=1) * self.stride
        return {label: index[ends[label - 1] : ends[label]] for label in range(1, 256)}

    def points(self, *labels: int) -> Points:
        """All points of these labels; (0, 3) where the coarse grid has none."""
        return np.concatenate([self._cloud(label) for label in labels])

    def found(self, label: int) -> bool:
        """Whether the map has the label at all, be it in one voxel; `points` then holds it."""
        if not len(self._cloud(label)):
            self._clouds[label] = self.organs.grid.to_xyz(np.argwhere(self.organs.labels == label)).reshape(-1, 3)
        return len(self._cloud(label)) > 0

    def _cloud(self, label: int) -> Points:
        if label not in self._clouds:
            index = self._coarse[label]
            if 0 < len(index) < FEW:
                low, high = np.maximum(index.min(axis=0) - self.stride, 0), index.max(axis=0) + self.stride + 1
                box = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
                index = np.argwhere(self.organs.labels[box] == label) + low
            self._clouds[label] = self.organs.grid.to_xyz(index).reshape(-1, 3)
        return self._clouds[label]

    @cached_property
    def top_z(self) -> float:
        """Height of the map's uppermost voxels."""
        last = np.asarray(self.organs.grid.shape) - 1
        corners = np.array([[0, 0, 0], last]) @ self.organs.grid.affine[2, :3] + self.organs.grid.affine[2, 3]
        return float(corners.max())

    @cached_property
    def spine(self) -> Points:
        """All vertebrae."""
        return self.points(*sorted(VERTEBRA_LABELS))

    @cached_property
    def sacrum(self) -> Points:
        """The sacrum; nothing where its label stands for every bone, as in the map of a network that knows no single ones."""
        cloud = self.points(SACRUM)
        return cloud[:0] if len(cloud) and np.ptp(cloud[:, [0, 2]], axis=0).max() > LARGEST_SACRUM_MM else cloud

    @cached_property
    def crest_z(self) -> float | None:
        """Height of the iliac crests: by the hip bones, the sacrum's top, or where bone beside the spine ends below the ribs.

        None where none of these is in the map; the map's lower end where bones show that it ends above the pelvis.
        """
        if len(hips := self.points(*HIPS)):
            return float(hips[:, 2].max()) - 10.0
        if len(self.sacrum):
            return float(self.sacrum[:, 2].max())
        bones = self.points(SACRUM)
        if not len(bones):
            return None
        lowest = float(bones[:, 2].min())
        beside = bones[np.abs(bones[:, 0] - self.midline_x(bones)) > LATERAL_MM, 2]
        filled = np.bincount(((beside - lowest) / SLAB_MM).astype(int), minlength=int(np.ptp(bones[:, 2]) / SLAB_MM) + 1) > 0
        if filled.all():
            return None
        return lowest + SLAB_MM * int(np.argmin(filled)) - (10.0 if filled[0] else 1.0)

    def midline_x(self, otherwise: Points) -> float:
        """The x of the body's midline: vertebrae or sacrum; else the middle of some points."""
        for cloud in (self.spine, self.points(SACRUM)):
            if len(cloud):
                return float(np.median(cloud[:, 0]))
        return float((otherwise[:, 0].min() + otherwise[:, 0].max()) / 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Course:
    """The xy position of a roughly vertical vessel as a function of z; constant beyond its ends."""

    z: NDArray[np.float64]
    xy: NDArray[np.float64]

    @classmethod
    def of(cls, points: Points, step_mm: float = 6.0) -> "Course":
        """Mean xy of the points in slabs of `step_mm`."""
        slab = np.floor((points[:, 2] - points[:, 2].min()) / step_mm).astype(int)
        count = np.bincount(slab)
        keep = count > 0
        mean = np.stack([np.bincount(slab, points[:, a])[keep] / count[keep] for a in range(3)], axis=1)
        return cls(z=mean[:, 2], xy=mean[:, :2])

    def at(self, z: NDArray) -> NDArray[np.float64]:
        """The xy (N, 2) at heights z (N,)."""
        return np.stack([np.interp(z, self.z, self.xy[:, a]) for a in range(2)], axis=1)
