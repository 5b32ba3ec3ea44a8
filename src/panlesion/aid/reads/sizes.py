"""Sizes of findings on the present mask."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from panlesion.aid.reads.masks import Labels
from panlesion.aid.schemas.reading import Caliper, Size
from panlesion.ct.volume import Box, Volume
from panlesion.infer.record import LesionRecord
from panlesion.measure.size import Axis, measure_size


def sizes_of(ct: Volume, labels: Labels, numbers: Collection[int]) -> Mapping[int, Size | None]:
    """The sizes of some findings; None of one that has no voxel."""
    return {number: size_of(ct, labels, number) for number in numbers}


def size_of(ct: Volume, labels: Labels, number: int) -> Size | None:
    """The size of one finding; None if it has no voxel."""
    box = box_of(labels, number)
    if box is None:
        return None
    mask = labels[box.slices] == number
    size = measure_size(mask, ct.grid.crop(box), box.start)
    hu = ct.hu[box.slices][mask]
    i, j, k = np.rint(ct.grid.to_ijk(size.centre_xyz)).astype(int).tolist()
    return Size(
        volume_ml=size.volume_ml,
        long=_caliper(size.axial_long),
        short=_caliper(size.axial_short),
        extent_mm=size.extent_mm,
        centre_ijk=(i, j, k),
        centre_xyz=size.centre_xyz,
        mean_hu=float(hu.mean(dtype=np.float64)),
        sd_hu=float(hu.std(dtype=np.float64)),
    )


def box_of(labels: Labels, number: int) -> Box | None:
    """The box around a label's voxels; None where it has none. Quick for masks that lie in memory as they are kept."""
    planes = np.flatnonzero([bool((plane == number).any()) for plane in labels.transpose(2, 1, 0)])
    if not len(planes):
        return None
    first, stop = int(planes[0]), int(planes[-1]) + 1
    flat: NDArray[np.bool_] = (labels[:, :, first:stop] == number).any(axis=2)
    i, j = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    return Box(start=(int(i[0]), int(j[0]), first), stop=(int(i[-1]) + 1, int(j[-1]) + 1, stop))


def size_recorded(record: LesionRecord) -> Size | None:
    """The size that the AI's own record tells; None where it has no HU, being of an MR."""
    if record.mean_hu is None or record.sd_hu is None:
        return None
    return Size(
        volume_ml=record.volume_ml,
        long=Caliper(length_mm=record.long.length_mm, ends_ijk=record.long.ends_ijk, ends_xyz=record.long.ends_xyz),
        short=Caliper(length_mm=record.short.length_mm, ends_ijk=record.short.ends_ijk, ends_xyz=record.short.ends_xyz),
        extent_mm=record.extent_mm,
        centre_ijk=record.centre_ijk,
        centre_xyz=record.centre_xyz,
        mean_hu=record.mean_hu,
        sd_hu=record.sd_hu,
    )


def _caliper(axis: Axis) -> Caliper:
    return Caliper(length_mm=axis.length_mm, ends_ijk=axis.ends_ijk, ends_xyz=axis.ends_xyz)
