"""A made CT with ball-shaped lesions, on any axes and spacing, and its findings document; for tests of reports."""

import numpy as np
from records_made import findings, lesion

from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.infer.record import Caliper, LesionRecord
from panlesion.measure.size import Axis, measure_size

EXTENT_MM = (192.0, 160.0, 120.0)
BALLS = (((60.0, 70.0, 54.0), 11.0), ((130.0, 90.0, 62.0), 7.0), ((104.0, 54.0, 86.0), 9.0))
"""Centres in mm from the right, anterior, lower corner, and radii."""


def grid_of(axes: str, spacing_lps_mm: tuple[float, float, float]) -> Grid:
    """A grid of those axes over the same body: the outer corner is where it always is."""
    affine, shape, corner = np.zeros((4, 4)), [], np.zeros(3)
    affine[3, 3] = 1
    for column, axis in enumerate(axes):
        row = next(n for n, pair in enumerate(("LR", "PA", "SI")) if axis in pair)
        mm = spacing_lps_mm[row]
        count = round(EXTENT_MM[row] / mm)
        shape.append(count)
        affine[row, column] = mm if axis in "RAS" else -mm
        along = mm / 2 if axis in "LPS" else (count - 0.5) * mm
        corner[row] = -along if row < 2 else along
    affine[:3, 3] = corner
    return Grid(shape=tuple(shape), affine=affine)


def made_scan(
    axes: str = "LPS", spacing_mm: tuple[float, float, float] = (2.0, 2.0, 3.0), balls=BALLS
) -> tuple[Volume, LabelMap]:
    """Balls of 300 HU in a block of 40 HU in air, numbered in their order."""
    grid = grid_of(axes, spacing_mm)
    xyz = grid.to_xyz(np.stack(np.indices(grid.shape), axis=-1))
    lps = xyz * (-1, -1, 1)
    hu = np.where(((lps > 20) & (lps < np.array(EXTENT_MM) - 20)).all(axis=-1), 40, -1000).astype(np.int16)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for number, (centre, radius) in enumerate(balls, 1):
        inside = np.linalg.norm(lps - centre, axis=-1) < radius
        hu[inside], labels[inside] = 300, number
    return Volume(hu=hu, grid=grid), LabelMap(labels=labels, grid=grid)


def record_of(labels: LabelMap, number: int, **changes) -> LesionRecord:
    """A record whose sizes are those of the mask."""
    size = measure_size(labels.labels == number, labels.grid)
    i, j, k = np.rint(labels.grid.to_ijk(size.centre_xyz)).astype(int).tolist()
    return lesion(
        number,
        **{
            "long": caliper(size.axial_long),
            "short": caliper(size.axial_short),
            "volume_ml": size.volume_ml,
            "diameter_mm": size.diameter_mm,
            "extent_mm": size.extent_mm,
            "centre_ijk": (i, j, k),
            "centre_xyz": size.centre_xyz,
            "sentence": "",
        }
        | changes,
    )


def caliper(axis: Axis) -> Caliper:
    return Caliper(length_mm=axis.length_mm, ends_ijk=axis.ends_ijk, ends_xyz=axis.ends_xyz)


def on_grid(caliper_: Caliper, grid: Grid) -> Caliper:
    """The same line in the indices of another grid over the same body."""
    ends = tuple(tuple(np.rint(grid.to_ijk(end)).astype(int).tolist()) for end in caliper_.ends_xyz)
    return Caliper(length_mm=caliper_.length_mm, ends_ijk=ends, ends_xyz=caliper_.ends_xyz)


def made_report(count: int = len(BALLS), axes: str = "LPS", **changes):
    """Findings, CT and lesions of a scan with that many findings."""
    ct, labels = made_scan(axes)
    lesions = tuple(record_of(labels, number) for number in range(1, count + 1))
    return (
        findings(
            **({"lesions": lesions, "shape": ct.grid.shape, "spacing_mm": ct.grid.spacing_mm, "impression": ()} | changes)
        ),
        ct,
        labels,
    )
