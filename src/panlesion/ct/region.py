"""Which part of a scan is looked at: a cube around a lesion, around an organ, or in the middle of the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.standardise import resampled_to, share_on, standard_target
from panlesion.ct.volume import Box, Grid, LabelMap, Volume
from panlesion.errors import OrganMapError


class Region(StrEnum):
    """What the cube is laid around."""

    LESION = "lesion"
    ORGAN = "organ"
    IMAGE = "image"


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How a cube is laid: `side` voxels of `spacing_mm`.

    An organ is shown whole, with `margin_mm` around its box: where that is wider than the cube, the voxels get larger. A lesion
    and an image are shown at the given spacing whatever their size. `values` are those of the label that count; () is all.
    """

    region: Region
    side: int
    spacing_mm: float
    margin_mm: float = 0.0
    values: tuple[int, ...] = ()

    def mask(self, label: LabelMap) -> NDArray[np.bool_]:
        """Bool (I, J, K): the voxels that count."""
        return label.mask(self.values) if self.values else label.labels > 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Framed:
    """A cube: HU int16 (C, S, S, S), what the label covers uint8 0 or 1 (S, S, S), and its grid."""

    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]
    grid: Grid


def frame(images: Sequence[Volume], label: LabelMap | None, framing: Framing, *, spare: int = 0) -> Framed:
    """The cube of a case, every image resampled straight onto it; outside an image lies air.

    Args:
        images: The first one's grid is the case's; the others may have another, turned by right angles only.
        label: On the first image's grid; only `Region.IMAGE` can do without.
        framing: How the cube is laid.
        spare: Voxels more on every side, for augmentation to draw from.

    Raises:
        OrganMapError: No label, or none of its voxels counts.
        GeometryError: An image is turned against the first one.
    """
    first = images[0].grid
    grid = cube_grid(first, None if label is None else framing.mask(label), framing, spare=spare)
    hu = np.stack([resampled_to(image, grid).hu for image in images])
    if label is None:
        return Framed(hu=hu, mask=np.zeros(grid.shape, dtype=np.uint8), grid=grid)
    covered = share_on(framing.mask(label), first, grid)
    # What is smaller than half a voxel would be voted away: the voxel that has most of it stands for it.
    least = min(0.5, float(covered.max()))
    return Framed(hu=hu, mask=((covered >= least) & (covered > 0)).astype(np.uint8), grid=grid)


def cube_grid(image: Grid, mask: NDArray[np.bool_] | None, framing: Framing, *, spare: int = 0) -> Grid:
    """Where the voxels of the cube lie.

    Raises:
        OrganMapError: The region needs a mask, and it is missing or empty.
    """
    box = Box(start=(0, 0, 0), stop=image.shape)
    if framing.region is not Region.IMAGE:
        box = Box(start=(0, 0, 0), stop=(0, 0, 0)) if mask is None else Box.of(mask)
        if box.empty:
            which = f"of value {', '.join(map(str, framing.values))}" if framing.values else "above 0"
            raise OrganMapError(f"no label voxel {which}; the cube is laid around the {framing.region}, so mark it")
    spacing_mm = framing.spacing_mm
    if framing.region is Region.ORGAN:
        widest_mm = max(n * mm for n, mm in zip(box.shape, image.spacing_mm, strict=True)) + 2 * framing.margin_mm
        spacing_mm = max(spacing_mm, widest_mm / framing.side)
    middle = np.array([(a + b - 1) / 2 for a, b in zip(box.start, box.stop, strict=True)])
    standard = standard_target(image, spacing_mm)
    i, j, k = np.rint(standard.to_ijk(image.to_xyz(middle))).astype(int).tolist()
    return standard.crop(Box.cube((i, j, k), framing.side).grown(spare))
