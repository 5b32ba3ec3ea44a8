"""`Terrain`: the part of a host around one lesion, with the distances that shapes and placement ask for."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import BONE_LABELS, LUNG_LABELS, OrganSystem
from panlesion.ct.volume import Box, Grid, LabelMap, Vector3, Volume
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours
from panlesion.measure.region import closed, voxels_of
from panlesion.measure.scene import LUNG_GAP_MM

# What lies below this is air or lung: no soft-tissue tumour grows into it freely.
AIR_HU = -300
FAR_MM = 60.0


def distance_mm(mask: NDArray[np.bool_], spacing_mm: Vector3, reach_mm: float = FAR_MM) -> NDArray[np.float32]:
    """Float32 (I, J, K): distance to the nearest voxel of `mask`, 0 inside it; `reach_mm` where it is farther or empty.

    Exact up to the reach, and the faster the nearer that is: squared distances are taken to their minimum over whole shifted
    arrays, one axis after the other, until no longer shift can lower any of them. (A feature transform takes two to four
    times as long on boxes of lesions.)
    """
    if not mask.any():
        return np.full(mask.shape, reach_mm, dtype=np.float32)
    squared = _along_last(mask, spacing_mm[2], reach_mm)
    squared *= squared
    for axis in (1, 0):
        squared = _lowered(squared, axis, spacing_mm[axis])
    return np.sqrt(squared)


def _along_last(mask: NDArray[np.bool_], step_mm: float, reach_mm: float) -> NDArray[np.float32]:
    """Distance along the last axis to the nearest voxel of a mask, at most the reach."""
    at = np.arange(mask.shape[-1], dtype=np.float32)
    before = np.maximum.accumulate(np.where(mask, at, -np.float32(np.inf)), axis=-1)
    after = np.minimum.accumulate(np.where(mask, at, np.float32(np.inf))[..., ::-1], axis=-1)[..., ::-1]
    return np.minimum(np.minimum(at - before, after - at) * np.float32(step_mm), np.float32(reach_mm))


def _lowered(squared: NDArray[np.float32], axis: int, step_mm: float) -> NDArray[np.float32]:
    """Every squared distance, or that of another voxel of its line plus the squared way there, whichever is least."""
    out, moved = squared.copy(), np.empty_like(squared)
    for n in range(1, squared.shape[axis]):
        way = np.float32((n * step_mm) ** 2)
        # The largest left is looked up now and then: no way that is longer can lower anything.
        if n % 4 == 1:
            farthest = float(out.max())
        if way >= farthest:
            break
        late = (slice(None),) * axis + (slice(n, None),)
        early = (slice(None),) * axis + (slice(None, -n),)
        for here, there in ((early, late), (late, early)):
            np.add(squared[there], way, out=moved[here])
            np.minimum(out[here], moved[here], out=out[here])
    return out


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
    """The voxels of a host in `box`, or every `step`-th of them, seen from one lesion type in one organ."""

    type: LesionType
    organ_label: int
    box: Box
    ct: Volume
    organs: LabelMap
    step: int = 1

    @classmethod
    def of(cls, ct: Volume, organs: LabelMap, *, type: LesionType, organ_label: int, box: Box) -> "Terrain":
        """The terrain in the part of `box` that lies on the host's grid."""
        box = box.clipped(ct.grid.shape)
        return cls(type=type, organ_label=organ_label, box=box, ct=ct.crop(box), organs=organs.crop(box))

    def thinned(self, step: int) -> "Terrain":
        """The same terrain on every `step`-th of its voxels, for drawing; `box` stays the full one."""
        affine = self.grid.affine.copy()
        affine[:3, :3] = affine[:3, :3] * step
        hu, labels = self.ct.hu[::step, ::step, ::step], self.organs.labels[::step, ::step, ::step]
        grid = Grid(shape=(hu.shape[0], hu.shape[1], hu.shape[2]), affine=affine)
        step *= self.step
        return replace(self, ct=Volume(hu=hu, grid=grid), organs=LabelMap(labels=labels, grid=grid), step=step)

    def cropped(self, box: Box) -> "Terrain":
        """The voxels of a box that lies within it; what is the organ there is taken over, not looked for anew."""
        i, j, k = (a + s * self.step for a, s in zip(self.box.start, box.start, strict=True))
        a, b, c = (s * self.step for s in box.shape)
        part = replace(
            self,
            ct=self.ct.crop(box),
            organs=self.organs.crop(box),
            box=Box(start=(i, j, k), stop=(i + a, j + b, k + c)),
        )
        part.__dict__["own"] = self.own[box.slices]
        return part

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
        return self.depth_up_to(FAR_MM, FAR_MM)

    def depth_up_to(self, inside_mm: float, outside_mm: float) -> NDArray[np.float32]:
        """`depth_mm`, exact up to those depths; what lies deeper or farther has at least them."""
        half = np.float32(0.5 * min(self.grid.spacing_mm))
        inside = distance_mm(~self.own, self.grid.spacing_mm, inside_mm + float(half))
        outside = distance_mm(self.own, self.grid.spacing_mm, outside_mm + float(half))
        return np.where(self.own, inside - half, half - outside)

    @cached_property
    def neighbours(self) -> NDArray[np.bool_]:
        """What counts as an adjacent structure for this type."""
        return neighbour_mask(self.organs, self.type)

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
