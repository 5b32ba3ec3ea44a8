"""`Survey`: where in a host a lesion of some type and size could grow. Made once per host and type, asked for every case."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organs import BONE_LABELS
from panlesion.ct.volume import Box, Grid, LabelMap, Vector3, Volume
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.synth.terrain import distance_mm, neighbour_mask

SURVEY_MM = 2.0
SURROUNDINGS_MM = 30.0
# Larger vessels and ducts are avoided where there is a choice.
UNCALM = 0.15
# Above cortical bone and stones (1900 HU at most): Coolens & Childs 2003, Phys Med Biol 48:1591.
METAL_HU = 2200


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """All voxels of a type's organ on a coarse grid (N of them), each with what placement asks about it.

    `xyz` (N, 3) RAS+ mm; `label` (N,) v1; `depth_mm` (N,) below the organ's surface; `gap_mm` (N,) to the nearest adjacent
    structure; `bright_hu` (N,) how much brighter than the organ's median the surroundings are (vessels, calyces).
    """

    xyz: NDArray[np.float64]
    label: NDArray[np.uint8]
    depth_mm: NDArray[np.float32]
    gap_mm: NDArray[np.float32]
    bright_hu: NDArray[np.float32]
    hu: NDArray[np.float32]
    spacing_mm: Vector3

    @cached_property
    def calm(self) -> NDArray[np.bool_]:
        """Bool (N,): all but the `UNCALM` share of voxels that differ most from the organ's median."""
        away = np.abs(self.bright_hu)
        return away < np.quantile(away, 1 - UNCALM)

    def pick(self, fits: NDArray[np.bool_], rng: np.random.Generator, what: str) -> int:
        """Index of a random voxel where `fits` (N,).

        Raises:
            PlacementError: Nothing fits; the message says what was asked for.
        """
        candidates = np.flatnonzero(fits)
        if candidates.size == 0:
            raise PlacementError(f"no place for {what}; use another host, a smaller lesion or another location")
        return int(candidates[rng.integers(candidates.size)])


def survey(ct: Volume, organs: LabelMap, type: LesionType) -> Survey:
    """Survey a host for one lesion type.

    Raises:
        PlacementError: The host does not hold the type's organ.
    """
    info = TYPES[type]
    own = organs.mask(info.organ_labels)
    if not own.any():
        raise PlacementError(f"the organ map holds no {info.system} (labels {sorted(info.organ_labels)}), needed by {type}")
    spacing = organs.grid.spacing_mm
    margin = tuple(int(np.ceil(SURROUNDINGS_MM / s)) for s in spacing)
    box = Box.of(own).grown((margin[0], margin[1], margin[2])).clipped(organs.grid.shape)
    step = tuple(max(1, round(SURVEY_MM / s)) for s in spacing)
    labels, own = organs.labels[box.slices], own[box.slices]
    every = tuple(slice(None, None, n) for n in step)
    coarse = LabelMap(labels=np.ascontiguousarray(labels[every]), grid=_coarse_grid(organs.grid.crop(box), step, labels[every]))
    mine = np.ascontiguousarray(own[every])
    depth = _depth_mm(coarse, mine)
    gap = distance_mm(neighbour_mask(coarse, type), coarse.grid.spacing_mm)
    calm = ndimage.uniform_filter(ct.hu[box.slices].astype(np.float32), size=[min(n, 3) for n in step])[every]
    # Metal and what lies beside it are no place for a lesion: streaks make every reading there untrue.
    metal = ndimage.binary_dilation(calm > METAL_HU, iterations=4) if (calm > METAL_HU).any() else np.zeros_like(mine)
    at = np.argwhere(mine & ~metal)
    index = tuple(at.T)
    hu = calm[index]
    return Survey(
        xyz=coarse.grid.to_xyz(at),
        label=coarse.labels[index],
        depth_mm=depth[index],
        gap_mm=gap[index],
        bright_hu=hu - np.float32(np.median(hu)),
        hu=hu,
        spacing_mm=coarse.grid.spacing_mm,
    )


def _coarse_grid(grid: Grid, step: Sequence[int], sampled: NDArray) -> Grid:
    affine = grid.affine.copy()
    affine[:3, :3] = affine[:3, :3] * np.asarray(step)
    return Grid(shape=(sampled.shape[0], sampled.shape[1], sampled.shape[2]), affine=affine)


def _depth_mm(organs: LabelMap, own: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Depth below the surface of one's own organ; every bone is an organ of its own."""
    spacing = organs.grid.spacing_mm
    if not organs.mask(BONE_LABELS)[own].all():
        return distance_mm(~own, spacing) - np.float32(0.5 * min(spacing))
    depth = np.zeros(own.shape, dtype=np.float32)
    for label in np.unique(organs.labels[own]):
        mask = organs.labels == label
        box = Box.of(mask).grown(1).clipped(organs.grid.shape)
        part = distance_mm(~mask[box.slices], spacing) - np.float32(0.5 * min(spacing))
        depth[box.slices] = np.where(mask[box.slices], part, depth[box.slices])
    return depth
