"""Stacking: planes in any order → one regular grid, or the reason why there is none.

The array axes of a DICOM CT are i along a pixel row (DICOM's column index), j down a pixel column (its row index), and k
along the slice normal, row direction x column direction. So `hu[i, j, k]` is `pixel_array[j, i]` of the k-th slice; for a
supine axial scan the axes are L, P, S.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.dicom_header import Plane
from panlesion.ct.nifti_header import MAX_COSINE, check_affine
from panlesion.ct.volume import Grid
from panlesion.errors import GeometryError

MAX_UNEVEN = 0.01
"""Gaps between slices may differ from the usual one by this part of it …"""

ROUNDING_MM = 0.015
"""… or by this much, where that is more: scanners write positions with two or three decimals."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Planes in the order of the array's k axis, and the grid they make."""

    planes: tuple[Plane, ...]
    grid: Grid


def stack_planes(planes: Sequence[Plane], rows: int, columns: int) -> Stack:
    """Sort planes along their normal and check that they make one right-angled grid.

    Raises:
        GeometryError: Tags missing, orientations or pixel spacings mixed, slices missing, duplicated, unevenly spaced or
            shifted sideways (gantry tilt).
    """
    _check_tags(planes)
    first = planes[0]
    directions = _directions(first)
    _check_alike(planes)
    positions = np.array([plane.position_lps for plane in planes])
    along = positions @ directions[2]
    order = np.argsort(along, kind="stable")
    planes = [planes[i] for i in order]
    positions, along = positions[order], along[order]
    step = _slice_step(planes, along, positions, directions)
    assert first.pixel_spacing_mm is not None
    row_mm, column_mm = first.pixel_spacing_mm
    affine = np.eye(4)
    # PixelSpacing is (between rows, between columns): the second belongs to steps along a row.
    affine[:3, :3] = np.stack([directions[0] * column_mm, directions[1] * row_mm, step], axis=1)
    affine[:3, 3] = positions[0]
    affine[:3] = _LPS_TO_RAS @ affine[:3]
    check_affine(affine, planes[0].name)
    return Stack(planes=tuple(planes), grid=Grid(shape=(columns, rows, len(planes)), affine=affine))


def _check_tags(planes: Sequence[Plane]) -> None:
    for plane in planes:
        tags = {
            "ImagePositionPatient": plane.position_lps,
            "ImageOrientationPatient": plane.orientation,
            "PixelSpacing": plane.pixel_spacing_mm,
        }
        missing = [tag for tag, value in tags.items() if value is None]
        if missing:
            raise GeometryError(
                f"{plane.name}: {', '.join(missing)} missing; without it nobody knows where the slice lies. "
                "Export the original series (no screen captures, no secondary captures)"
            )


def _directions(plane: Plane) -> NDArray[np.float64]:
    """Unit vectors (3, 3), one a row: along a pixel row, down a pixel column, and their normal; LPS."""
    assert plane.orientation is not None
    row, column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.99 or max(lengths) > 1.01 or abs(row @ column) > 10 * MAX_COSINE:
        raise GeometryError(
            f"{plane.name}: ImageOrientationPatient {list(plane.orientation)} is not two perpendicular unit vectors. "
            "Export the series again"
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    column /= np.linalg.norm(column)
    return np.stack([row, column, np.cross(row, column)])


def _check_alike(planes: Sequence[Plane]) -> None:
    first = planes[0]
    orientations = np.array([plane.orientation for plane in planes])
    turned = np.flatnonzero(np.abs(orientations - orientations[0]).max(axis=1) > MAX_COSINE)
    if turned.size:
        other = planes[turned[0]]
        raise GeometryError(
            f"{other.name}: ImageOrientationPatient {list(other.orientation or ())} against {list(first.orientation or ())} of "
            f"{_short(first)}: {turned.size} of {len(planes)} images are turned. One series must have one orientation; "
            "export the stacks apart"
        )
    spacings = np.array([plane.pixel_spacing_mm for plane in planes])
    changed = np.flatnonzero(np.abs(spacings / spacings[0] - 1).max(axis=1) > 1e-4) if spacings.min() > 0 else np.array([0])
    if changed.size:
        other = planes[changed[0]]
        raise GeometryError(
            f"{other.name}: PixelSpacing {other.pixel_spacing_mm} against {first.pixel_spacing_mm} of {_short(first)}; "
            "it must be positive and the same for all slices"
        )


def _slice_step(
    planes: Sequence[Plane], along: NDArray[np.float64], positions: NDArray[np.float64], directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The vector (3,) from slice to slice, LPS mm."""
    if len(planes) == 1:
        if not planes[0].thickness_mm:
            raise GeometryError(f"{planes[0].name}: a single slice without SliceThickness; its third dimension is unknown")
        return directions[2] * planes[0].thickness_mm
    _check_gaps(planes, np.diff(along))
    length = along[-1] - along[0]
    _check_sideways(planes, along, positions, directions)
    return directions[2] * length / (len(planes) - 1)


def _check_gaps(planes: Sequence[Plane], gaps: NDArray[np.float64]) -> None:
    twice = np.flatnonzero(gaps < 0.01)
    if twice.size:
        a, b = planes[twice[0]], planes[twice[0] + 1]
        raise GeometryError(
            f"{a.name} and {_short(b)}: duplicated slice, both at {_at(a)} ({twice.size} such pairs among "
            f"{len(planes)} slices). "
            "Remove the copies, or export the acquisitions (phases, reconstructions) apart"
        )
    usual = float(np.median(gaps))
    wrong = np.flatnonzero(np.abs(gaps - usual) > max(MAX_UNEVEN * usual, ROUNDING_MM))
    if not wrong.size:
        return
    # The largest departure says most; where gaps are whole multiples, slices are missing.
    at = int(wrong[np.abs(gaps[wrong] - usual).argmax()])
    ratio = float(gaps[at]) / usual
    where = f"between {planes[at].name} ({_at(planes[at])}) and {_short(planes[at + 1])} ({_at(planes[at + 1])})"
    if ratio > 1.5 and abs(ratio - round(ratio)) < 0.1:
        raise GeometryError(
            f"{where}: {round(ratio) - 1} slice(s) missing: the gap is {gaps[at]:.3f} mm, the usual one {usual:.3f} mm. "
            "Find them in the archive; gaps are not filled in"
        )
    raise GeometryError(
        f"{where}: uneven spacing: the gap is {gaps[at]:.3f} mm, the usual one {usual:.3f} mm (limit {MAX_UNEVEN:.0%}; "
        f"{wrong.size} of {len(gaps)} gaps break it). Export a series of even spacing"
    )


def _check_sideways(
    planes: Sequence[Plane], along: NDArray[np.float64], positions: NDArray[np.float64], directions: NDArray[np.float64]
) -> None:
    """Slices of a right-angled grid lie behind one another along the normal; a tilted gantry shifts each a little."""
    aside = (positions - positions[0]) @ directions[:2].T
    drift = float(np.linalg.norm(aside[-1]))
    length = float(along[-1] - along[0])
    rounding = 2 * ROUNDING_MM
    if drift > max(MAX_COSINE * length, rounding):
        degrees = float(np.degrees(np.arctan2(drift, length)))
        raise GeometryError(
            f"{planes[0].name}: gantry tilt: the slices move {drift:.2f} mm sideways over {length:.1f} mm, "
            f"{degrees:.2f} degrees (limit {np.degrees(MAX_COSINE):.2f}). "
            "Resample the series to a right-angled grid first (dcm2niix does)"
        )
    line = aside[-1] * ((along - along[0]) / length)[:, None]
    off = np.linalg.norm(aside - line, axis=1)
    worst = int(off.argmax())
    if off[worst] > max(MAX_COSINE * length, 0.1):
        raise GeometryError(
            f"{planes[worst].name}: shifted {off[worst]:.2f} mm sideways against its neighbours (limit "
            f"{max(MAX_COSINE * length, 0.1):.2f} mm): slices of two fields of view are mixed"
        )


def _at(plane: Plane) -> str:
    return f"position {', '.join(f'{v:.3f}' for v in plane.position_lps or ())}"


def _short(plane: Plane) -> str:
    return PurePath(plane.name).name
