"""Feature vectors of a CT: one for the whole body, or one for every lesion of a mask."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.standardise import standardise
from panlesion.ct.volume import Box, Index3, LabelMap, Vector3, Volume
from panlesion.errors import NotCTError, OrganMapError
from panlesion.nets.model import Model
from panlesion.nets.sliding import check_standard, network_input

BODY_HU = -500
"""Half way between air and tissue; ours."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LesionVector:
    """The vector (F,) of one lesion; `number` counts from 1, largest lesion first."""

    number: int
    centre_xyz: Vector3
    volume_ml: float
    vector: NDArray[np.float32]


def volume_vector(model: Model, volume: Volume, *, progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
    """One vector (F,) of a CT in the standard frame: the mean over tiles that cover the body, by the tissue in each.

    Tiles have the model's patch size and as little overlap as covering the body's box allows. Weighting by tissue, not by
    tile, keeps a vector from changing with the air a scan shows around its patient.

    Raises:
        GeometryError: The CT is not on the standard frame at the model's spacing.
        NotCTError: Nothing in it is denser than air.
    """
    check_standard(volume, model.info.spacing_mm)
    tissue = volume.hu > BODY_HU
    box = Box.of(tissue)
    if box.empty:
        raise NotCTError(f"no voxel is above {BODY_HU} HU; there is no body to describe")
    along = (_tiles(a, b, model.info.patch_voxels) for a, b in zip(box.start, box.stop, strict=True))
    corners: list[Index3] = [(i, j, k) for i, j, k in product(*along)]
    total = np.zeros(model.preset.feature_size, dtype=np.float64)
    weights = 0
    for done, corner in enumerate(corners, 1):
        tile = _box(corner, model.info.patch_voxels)
        weight = int(np.count_nonzero(tissue[tile.clipped(volume.grid.shape).slices]))
        if weight:
            total += weight * _vector(model, volume.crop(tile))
            weights += weight
        if progress is not None:
            progress(done, len(corners))
    return (total / weights).astype(np.float32)


def lesion_vectors(
    model: Model,
    ct: Volume,
    lesions: LabelMap,
    *,
    crop_voxels: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[LesionVector]:
    """A vector for every connected lesion, from the crop around its middle; the largest first.

    Args:
        model: Its spacing is what the crop is taken at.
        ct: On any grid; it is standardised here.
        lesions: On the CT's grid; every label above 0 is lesion, and voxels that touch at a corner belong together.
        crop_voxels: Side of the crop at the model's spacing; by default its patch size (96 in the published classifiers).
        progress: Called with lesions done and lesions in all.

    Raises:
        OrganMapError: The mask is empty or lies on another grid.
        ValueError: `crop_voxels` is not divisible by the network's stride.
    """
    side = crop_voxels or model.info.patch_voxels
    if side % model.preset.stride:
        raise ValueError(f"crop_voxels is {side}; it must be divisible by {model.preset.stride}, the network's stride")
    found = _lesions(ct, lesions)
    standard = standardise(ct, model.info.spacing_mm)
    vectors = []
    for number, (centre_xyz, volume_ml) in enumerate(found, 1):
        middle = np.rint(standard.grid.to_ijk(centre_xyz)).astype(int) - side // 2
        i, j, k = middle.tolist()
        vector = _vector(model, standard.crop(_box((i, j, k), side)))
        vectors.append(LesionVector(number=number, centre_xyz=centre_xyz, volume_ml=volume_ml, vector=vector))
        if progress is not None:
            progress(number, len(found))
    return vectors


def _lesions(ct: Volume, lesions: LabelMap) -> list[tuple[Vector3, float]]:
    """Centre (of its box, RAS+ mm) and volume (ml) of every lesion, largest first."""
    if not lesions.grid.same_as(ct.grid, tolerance_mm=0.1):
        raise OrganMapError(
            f"the mask has shape {lesions.grid.shape} and axes {lesions.grid.axes}, its CT {ct.grid.shape} and {ct.grid.axes}; "
            "a mask must lie on its CT's grid: resample it"
        )
    box = Box.of(lesions.labels)
    if box.empty:
        raise OrganMapError("the mask is empty; leave it out for one vector of the whole CT")
    parts, _ = ndimage.label(lesions.labels[box.slices] > 0, structure=np.ones((3, 3, 3)))
    voxels = np.bincount(parts.ravel())
    found = []
    for label, where in enumerate(ndimage.find_objects(parts), 1):
        middle = [a + (part.start + part.stop - 1) / 2 for a, part in zip(box.start, where, strict=True)]
        x, y, z = ct.grid.to_xyz(np.array(middle)).tolist()
        found.append(((x, y, z), float(voxels[label]) * ct.grid.voxel_ml))
    return sorted(found, key=lambda lesion: -lesion[1])


def _vector(model: Model, crop: Volume) -> NDArray[np.float32]:
    # What lies outside the CT is air, 0 after the map, as in training.
    x = torch.from_numpy(network_input(crop.hu, model.intensity))[None, None]
    with torch.inference_mode():
        vector: NDArray[np.float32] = model.features(x.to(next(model.parameters()).device))[0].float().cpu().numpy()
    return vector


def _tiles(start: int, stop: int, side: int) -> list[int]:
    """First voxels of as few tiles as cover start … stop, evenly spread; a single one is centred."""
    length = stop - start
    count = -(-length // side)
    if count == 1:
        return [start - (side - length) // 2]
    return [int(first) for first in np.rint(np.linspace(start, stop - side, count))]


def _box(start: Index3, side: int) -> Box:
    i, j, k = start
    return Box(start=start, stop=(i + side, j + side, k + side))
