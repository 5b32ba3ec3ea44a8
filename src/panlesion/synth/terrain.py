"""`Terrain`: the part of a host around one lesion, with the distances that shapes and placement ask for."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organs import BONE_LABELS, LUNG_LABELS, OrganSystem
from panlesion.ct.volume import Box, Grid, LabelMap, Vector3, Volume
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours
from panlesion.measure.region import closed, voxels_of
from panlesion.measure.scene import LUNG_GAP_MM

# What lies below this is air or lung: no soft-tissue tumour grows into it freely.
AIR_HU = -300
FAR_MM = 60.0
# Up to this many voxels, and on grids coarser than this, a distance transform is exact.
EXACT_VOXELS = 50_000
COARSEST_MM = 1.3


def distance_mm(mask: NDArray[np.bool_], spacing_mm: Vector3) -> NDArray[np.float32]:
    """Float32 (I, J, K): distance to the surface of `mask`, 0 inside it; `FAR_MM` everywhere where it is empty.

    In large boxes every second voxel is transformed and the rest interpolated: distances change by at most one voxel per
    voxel, so the error stays below half of one.
    """
    if not mask.any():
        return np.full(mask.shape, FAR_MM, dtype=np.float32)
    if mask.size <= EXACT_VOXELS or max(spacing_mm) > COARSEST_MM:
        return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing_mm), dtype=np.float32)
    coarse = mask[::2, ::2, ::2]
    if not coarse.any():
        return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing_mm), dtype=np.float32)
    distance = np.asarray(ndimage.distance_transform_edt(~coarse, sampling=[2 * s for s in spacing_mm]), dtype=np.float32)
    for axis, n in enumerate(mask.shape):
        distance = _doubled(distance, n, axis)
    distance[mask] = 0
    return distance


def _doubled(values: NDArray[np.float32], n: int, axis: int) -> NDArray[np.float32]:
    """Linear interpolation from every second sample to all `n` along an axis."""
    values = np.moveaxis(values, axis, 0)
    out = np.empty((n, *values.shape[1:]), dtype=np.float32)
    out[::2] = values
    between = out[1::2]
    after = np.concatenate([values[1:], values[-1:]])[: len(between)]
    np.add(values[: len(between)], after, out=between)
    between *= np.float32(0.5)
    return np.moveaxis(out, 0, axis)


def system_mask(organs: LabelMap, type: LesionType) -> NDArray[np.bool_]:
    """The organ system a type lives in; lungs with the vessels and airways inside them, as `measure` counts them."""
    own = organs.mask(TYPES[type].organ_labels)
    return closed(own, voxels_of(LUNG_GAP_MM, organs.grid.spacing_mm)) if TYPES[type].system is OrganSystem.LUNG else own


def neighbour_mask(organs: LabelMap, type: LesionType) -> NDArray[np.bool_]:
    """What counts as an adjacent structure of a type, see `taxonomy.Neighbours`."""
    match TYPES[type].neighbours:
        case Neighbours.LABELLED:
            return (organs.labels != 0) & ~system_mask(organs, type)
        case Neighbours.OUTSIDE:
            return ~system_mask(organs, type)
        case Neighbours.BREACH | Neighbours.NONE:
            return np.zeros(organs.grid.shape, dtype=bool)


@dataclass(frozen=True, kw_only=True, eq=False)
class Terrain:
    """The voxels of a host in `box`, seen from one lesion type in one organ."""

    type: LesionType
    organ_label: int
    box: Box
    ct: Volume
    organs: LabelMap

    @classmethod
    def of(cls, ct: Volume, organs: LabelMap, *, type: LesionType, organ_label: int, box: Box) -> "Terrain":
        """The terrain in the part of `box` that lies on the host's grid."""
        box = box.clipped(ct.grid.shape)
        return cls(type=type, organ_label=organ_label, box=box, ct=ct.crop(box), organs=organs.crop(box))

    def thinned(self, step: int) -> "Terrain":
        """The same terrain on every `step`-th voxel, for drawing; `box` stays the full one."""
        affine = self.grid.affine.copy()
        affine[:3, :3] = affine[:3, :3] * step
        hu, labels = self.ct.hu[::step, ::step, ::step], self.organs.labels[::step, ::step, ::step]
        grid = Grid(shape=(hu.shape[0], hu.shape[1], hu.shape[2]), affine=affine)
        return replace(self, ct=Volume(hu=hu, grid=grid), organs=LabelMap(labels=labels, grid=grid))

    @property
    def grid(self) -> Grid:
        return self.ct.grid

    @cached_property
    def own(self) -> NDArray[np.bool_]:
        """The organ the lesion grows in: one bone, else the whole organ system."""
        if self.organ_label in BONE_LABELS:
            return self.organs.labels == self.organ_label
        return system_mask(self.organs, self.type)

    @cached_property
    def depth_mm(self) -> NDArray[np.float32]:
        """Distance to the organ's surface, positive inside, negative outside, 0 half-way between voxel centres."""
        half = np.float32(0.5 * min(self.grid.spacing_mm))
        inside = distance_mm(~self.own, self.grid.spacing_mm)
        outside = distance_mm(self.own, self.grid.spacing_mm)
        return np.where(self.own, inside - half, half - outside)

    @cached_property
    def neighbours(self) -> NDArray[np.bool_]:
        """What counts as an adjacent structure for this type."""
        return neighbour_mask(self.organs, self.type)

    @cached_property
    def gap_mm(self) -> NDArray[np.float32]:
        """Distance to the nearest adjacent structure."""
        return distance_mm(self.neighbours, self.grid.spacing_mm)

    @cached_property
    def forbidden(self) -> NDArray[np.bool_]:
        """Where no lesion of this type may go: foreign bone, and air or lung for what does not live there."""
        labels, own = self.organs.labels, self.own
        if self.type is LesionType.BONE_METASTASIS:
            return (self.ct.hu < AIR_HU) & ~own
        bone = self.organs.mask(BONE_LABELS)
        if TYPES[self.type].neighbours is Neighbours.OUTSIDE:
            return bone & ~own
        air = (self.ct.hu < AIR_HU) & ~own
        return (bone | air | self.organs.mask(LUNG_LABELS)) & ~own & (labels != self.organ_label)
