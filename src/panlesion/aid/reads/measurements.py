"""What a reader's lines and outlines measure, computed here from their points in world mm."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from panlesion.aid.schemas.reading import MeasurementIn, MeasurementOut
from panlesion.aid.vocabulary import MeasurementKind
from panlesion.ct.volume import Grid, Volume
from panlesion.errors import PanlesionError

MOST_AWAY_MM = 2000.0
"""From the middle of the scan."""
MOST_OFF_RIGHT_DEG = 15.0
"""How far from a right angle the two lines of a bidirectional measurement may be; ours."""
MOST_OFF_PLANE_MM = 1.0
"""How far the points of an outline may lie from their own plane; ours."""

Points = NDArray[np.float64]
Scan = Callable[[], Volume]


class MeasurementError(PanlesionError):
    """Points that make no such measurement."""


def measured(told: MeasurementIn, grid: Grid, scan: Scan) -> MeasurementOut:
    """A measurement with its values.

    Args:
        told: What was drawn.
        grid: Of the CT that is read.
        scan: Opens the CT; only an outline needs it.

    Raises:
        MeasurementError: Points that are not finite, too far away, too few or too many, or of no such figure.
    """
    points = np.asarray(told.points_xyz, dtype=np.float64)
    _check(points, grid)
    match told.kind:
        case MeasurementKind.LENGTH:
            _count(points, 2, "a length has two ends")
            values = {"length_mm": _length(points)}
        case MeasurementKind.BIDIRECTIONAL:
            _count(points, 4, "a bidirectional measurement has four ends, those of the long line first")
            values = _bidirectional(points)
        case MeasurementKind.ROI:
            values = _outline(points, grid, scan)
    return MeasurementOut(
        id=str(uuid4()),
        kind=told.kind,
        points_xyz=told.points_xyz,
        label=told.label,
        finding=told.finding,
        values=values,
    )


def _check(points: Points, grid: Grid) -> None:
    if not np.isfinite(points).all():
        raise MeasurementError("a point of the measurement is not finite; give mm in the scan's world frame")
    middle = grid.to_xyz((np.array(grid.shape) - 1) / 2)
    away = float(np.linalg.norm(points - middle, axis=1).max())
    if away > MOST_AWAY_MM:
        raise MeasurementError(f"a point is {away:.0f} mm from the middle of the scan; at most {MOST_AWAY_MM:.0f} are allowed")


def _count(points: Points, wanted: int, rule: str) -> None:
    if len(points) != wanted:
        raise MeasurementError(f"the measurement has {len(points)} points; {rule}")


def _length(ends: Points) -> float:
    length = float(np.linalg.norm(ends[1] - ends[0]))
    if length <= 0:
        raise MeasurementError("both ends of a line are one point; draw it anew")
    return length


def _bidirectional(points: Points) -> dict[str, float]:
    first, second = _length(points[:2]), _length(points[2:])
    cosine = abs(float((points[1] - points[0]) @ (points[3] - points[2]))) / (first * second)
    off = 90.0 - float(np.degrees(np.arccos(min(1.0, cosine))))
    if off > MOST_OFF_RIGHT_DEG:
        raise MeasurementError(
            f"the two lines are {off:.0f} degrees off a right angle; at most {MOST_OFF_RIGHT_DEG:.0f} are allowed"
        )
    return {"long_mm": max(first, second), "short_mm": min(first, second)}


def _outline(points: Points, grid: Grid, scan: Scan) -> dict[str, float]:
    if len(points) < 3:
        raise MeasurementError(f"the outline has {len(points)} points; it needs at least three")
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    off = float(np.abs((points - middle) @ axes[2]).max())
    if off > MOST_OFF_PLANE_MM:
        raise MeasurementError(f"the outline's points lie up to {off:.1f} mm from one plane; at most {MOST_OFF_PLANE_MM:g} mm")
    u, v = ((points - middle) @ axes[:2].T).T
    area = abs(float(u @ np.roll(v, -1) - v @ np.roll(u, -1))) / 2
    if area <= 1e-6:
        raise MeasurementError("the outline has no area; draw it anew")
    hu = scan().hu[_voxels_inside(points, axes[2], grid)].astype(np.float64)
    if not len(hu):
        raise MeasurementError("the outline lies outside the scan; draw it on an image")
    return {
        "area_mm2": area,
        "mean_hu": float(hu.mean()),
        "sd_hu": float(hu.std()),
        "min_hu": float(hu.min()),
        "max_hu": float(hu.max()),
    }


def _voxels_inside(points: Points, normal: Points, grid: Grid) -> tuple[NDArray[np.intp], ...]:
    """Indices of the voxels nearest to the plane of an outline and inside it; the one in its middle where it is very small."""
    ijk, middle = grid.to_ijk(points), grid.to_ijk(points.mean(axis=0))
    # the plane in voxels: slope @ (ijk - middle) = 0
    slope = grid.affine[:3, :3].T @ normal
    across = int(np.argmax(np.abs(slope / np.array(grid.spacing_mm))))
    u, v = (axis for axis in range(3) if axis != across)
    at_u, at_v = _filled(ijk[:, [u, v]], (grid.shape[u], grid.shape[v]))
    if not len(at_u):
        at_u, at_v = np.rint(middle[[u]]).astype(np.intp), np.rint(middle[[v]]).astype(np.intp)
    depth = middle[across] - (slope[u] * (at_u - middle[u]) + slope[v] * (at_v - middle[v])) / slope[across]
    where = np.empty((3, len(at_u)), dtype=np.intp)
    where[u], where[v], where[across] = at_u, at_v, np.rint(depth).astype(np.intp)
    inside = ((where >= 0) & (where < np.array(grid.shape)[:, None])).all(axis=0)
    return tuple(where[:, inside])


def _filled(corners: Points, shape: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The whole points inside a polygon (N, 2) on a raster, by the even-odd rule; a row at a time."""
    low = max(0, int(np.ceil(corners[:, 1].min())))
    high = min(shape[1] - 1, int(np.floor(corners[:, 1].max())))
    (x1, y1), (x2, y2) = corners.T, np.roll(corners, -1, axis=0).T
    found: list[NDArray[Any]] = [np.zeros((2, 0), dtype=np.intp)]
    for y in range(low, high + 1):
        crosses = (y1 <= y) != (y2 <= y)
        at = np.sort(x1[crosses] + (y - y1[crosses]) * (x2[crosses] - x1[crosses]) / (y2[crosses] - y1[crosses]))
        found += [np.stack([xs, np.full_like(xs, y)]) for xs in _between(at, shape[0])]
    xs, ys = np.concatenate(found, axis=1)
    return xs, ys


def _between(crossings: Sequence[float] | Points, width: int) -> list[NDArray[np.intp]]:
    pairs = zip(crossings[::2], crossings[1::2], strict=True)
    return [np.arange(max(0, int(np.ceil(a))), min(width - 1, int(np.floor(b))) + 1) for a, b in pairs]
