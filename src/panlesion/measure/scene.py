"""`Scene`: a lesion's surroundings, cut out once, with the distances every rule needs."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organs import LUNG_LABELS
from panlesion.ct.volume import Box, LabelMap, Vector3, Volume
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.measure.region import closed, voxels_of

REACH_MM = 12.0
"""How far around a lesion anything is looked at. Ours: neighbours count from 3 mm, edges are fitted to 6 mm."""
LUNG_GAP_MM = 5.0
"""Vessels up to twice this width belong to the lung though maps leave them out. Ours: segmental arteries are 5-8 mm wide."""

MOST_VOXELS = 1_500_000
"""Above this many voxels every second is looked at, then every third: at 1 mm from a diameter of 90 mm on. Ours."""
FAR_OFFSET = 0.26
"""In voxels; found on digitised balls of 5-25 mm radius at 0.8-3 mm (0.23-0.32, tests/measure/test_scene.py)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """The lesion's box grown by `REACH_MM`, clipped to the grid: HU float32, lesion bool, labels uint8, all (I, J, K).

    Very large lesions are seen through every `stride`-th voxel; `spacing_mm` is that of the voxels seen.
    """

    box: Box
    spacing_mm: Vector3
    hu: NDArray[np.float32]
    lesion: NDArray[np.bool_]
    labels: NDArray[np.uint8]
    type: LesionType
    stride: int = 1

    @cached_property
    def own(self) -> NDArray[np.bool_]:
        """The lesion type's organ system; lungs with the vessels and airways inside them."""
        labels = TYPES[self.type].organ_labels
        table = np.zeros(256, dtype=bool)
        table[list(labels)] = True
        own = table[self.labels]
        return closed(own, voxels_of(LUNG_GAP_MM, self.spacing_mm)) if labels == LUNG_LABELS else own

    @cached_property
    def _outwards(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        distance, nearest = ndimage.distance_transform_edt(~self.lesion, sampling=self.spacing_mm, return_indices=True)
        return np.asarray(distance), np.asarray(nearest)

    @cached_property
    def away_mm(self) -> NDArray[np.float64]:
        """Distance of every voxel centre from the nearest lesion voxel's centre; 0 in the lesion."""
        return self._outwards[0]

    def gap_mm(self, voxels: tuple[NDArray, ...]) -> NDArray[np.float64]:
        """Boundary-to-boundary distance (N,) of voxels, given as index arrays, from their nearest lesion voxel."""
        spacing = np.asarray(self.spacing_mm)[:, None]
        nearest = np.stack([axis[voxels] for axis in self._outwards[1]])
        offset = np.abs(np.stack(voxels) - nearest) * spacing
        return np.asarray(np.linalg.norm(np.maximum(offset - spacing, 0.0), axis=0))

    @cached_property
    def depth_mm(self) -> NDArray[np.float64]:
        """Distance of every lesion voxel's centre from the nearest outside; 0 outside. The scan's border is no surface."""
        around = Box.of(self.lesion).grown(1).clipped(self.lesion.shape).slices
        depth = np.zeros(self.lesion.shape)
        depth[around] = ndimage.distance_transform_edt(self.lesion[around], sampling=self.spacing_mm)
        return depth

    @property
    def voxel_mm(self) -> float:
        """Mean voxel width."""
        return float(np.mean(self.spacing_mm))

    def to_boundary_mm(self, distance_mm: NDArray) -> NDArray[np.float64]:
        """Distance from the boundary between lesion and surroundings, of a distance between voxel centres across it.

        The centre nearest to a voxel lies behind the boundary by half a voxel where both are neighbours, and by `FAR_OFFSET`
        voxels on average from two voxels on, since there are more centres to choose from.
        """
        near = np.clip(2.0 - distance_mm / self.voxel_mm, 0.0, 0.5) * 2.0
        return np.asarray(distance_mm - self.voxel_mm * (FAR_OFFSET + (0.5 - FAR_OFFSET) * near))

    @cached_property
    def below_mm(self) -> NDArray[np.float64]:
        """Depth (N,) of the lesion's voxels, in array order, below its boundary."""
        return self.to_boundary_mm(self.depth_mm[self.lesion])


def cut_scene(ct: Volume, lesion: NDArray[np.bool_], organs: LabelMap, type: LesionType) -> Scene:
    """Cut a lesion's surroundings out of a CT.

    Raises:
        ValueError: lesion, CT and organ map differ in shape, or the lesion is empty.
    """
    if lesion.shape != ct.grid.shape or organs.grid.shape != ct.grid.shape:
        raise ValueError(
            f"lesion has shape {lesion.shape}, organs {organs.grid.shape}, the CT {ct.grid.shape}; they must be equal"
        )
    tight = Box.of(lesion)
    if tight.empty:
        raise ValueError("lesion has no voxel; it needs at least one to be measured")
    i, j, k = (n + 1 for n in voxels_of(REACH_MM, ct.grid.spacing_mm))
    box = tight.grown((i, j, k)).clipped(ct.grid.shape)
    stride = next(n for n in (1, 2, 3, 4) if math.prod(box.shape) <= MOST_VOXELS * n**3 or n == 4)
    seen = tuple(slice(cut.start, cut.stop, stride) for cut in box.slices)
    x, y, z = (stride * s for s in ct.grid.spacing_mm)
    return Scene(
        box=box,
        spacing_mm=(x, y, z),
        hu=ct.hu[seen].astype(np.float32),
        lesion=np.ascontiguousarray(lesion[seen], dtype=bool),
        labels=np.ascontiguousarray(organs.labels[seen]),
        type=type,
        stride=stride,
    )
