"""RTSTRUCT: the contours of a named region → a label map on the grid of the scan they were drawn on.

A voxel belongs to a region if its centre lies inside; voxels have no parts. Contours of one plane are taken together by the
even-odd rule, so inner contours and keyholes both cut holes.

A slice takes the contours of the plane nearest to it, within half a slice. A region drawn on every second or third slice alone
fills the slices between; a gap in a region that is drawn slice by slice stays a gap.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from panlesion.ct.dicom import DicomCT
from panlesion.ct.dicom_header import damaged
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.sources._drawn_on import check_drawn_on
from panlesion.data.sources._polygons import even_odd
from panlesion.errors import GeometryError, ReadError

_log = logging.getLogger(__name__)

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"

MOST_SLICES_APART = 3
"""Planes further apart than this many slices are not one region drawn sparsely; ours."""

_CLOSED = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
_CONTOUR_DATA = 0x30060050
_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
_SAME_PLANE = 0.02  # slices; positions are written with two or three decimals
_TILT = 0.1
_DECIMALS = 4  # of a voxel; one rounding for all, so that a point on a centre stays on it


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """A region of a structure set; `contours` are what its item in ROIContourSequence lists."""

    number: int
    name: str
    frame: str
    contours: tuple[Dataset, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Structures:
    """A structure set: its regions, and the series it says it was drawn on."""

    path: Path
    regions: tuple[Region, ...]
    series: tuple[str, ...]

    def region(self, wanted: str | re.Pattern[str]) -> Region:
        """The region of a name, as written or else in any case, or the one whose whole name a pattern matches.

        Raises:
            ReadError: None has the name, or several; the message lists those there are. Or it has no contour.
        """
        names = ", ".join(repr(region.name) for region in self.regions) or "none"
        said = wanted if isinstance(wanted, str) else wanted.pattern
        found = _named(self.regions, wanted)
        if not found:
            raise ReadError(f"{self.path}: no region {said!r}; the regions are {names}. Give one of these names")
        drawn = [region for region in found if region.contours]
        if not drawn:
            raise ReadError(f"{self.path}: region {found[0].name!r} has no contour; the regions are {names}")
        if len(drawn) > 1:
            raise ReadError(f"{self.path}: {len(drawn)} regions are called {said!r} among {names}; give the name of one")
        return drawn[0]


def read_structures(path: Path) -> Structures:
    """Names and contours of an RTSTRUCT; coordinates are converted when a region is filled.

    Raises:
        ReadError: No RTSTRUCT, or damaged.
    """
    with damaged(str(path), "the structure set cannot be read"):
        ds = pydicom.dcmread(path)
        kind = str(ds.get("SOPClassUID", ""))
        if kind != RTSTRUCT_CLASS:
            raise ReadError(f"{path}: SOPClassUID {kind or 'missing'}, Modality {ds.get('Modality')}; an RTSTRUCT is needed")
        contours = {
            int(item.ReferencedROINumber): tuple(item.get("ContourSequence") or ())
            for item in ds.get("ROIContourSequence") or ()
        }
        regions = tuple(
            Region(
                number=int(item.ROINumber),
                name=str(item.get("ROIName") or "").strip(),
                frame=str(item.get("ReferencedFrameOfReferenceUID") or "").strip(),
                contours=contours.get(int(item.ROINumber), ()),
            )
            for item in ds.get("StructureSetROISequence") or ()
        )
        return Structures(path=path, regions=regions, series=_series_of(ds))


def _series_of(ds: Dataset) -> tuple[str, ...]:
    return tuple(
        str(series.SeriesInstanceUID)
        for frame in ds.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    )


def _named(regions: Sequence[Region], wanted: str | re.Pattern[str]) -> list[Region]:
    if isinstance(wanted, re.Pattern):
        return [region for region in regions if wanted.fullmatch(region.name)]
    exact = [region for region in regions if region.name == wanted]
    return exact or [region for region in regions if region.name.casefold() == wanted.casefold()]


def region_label(structures: Structures, wanted: str | re.Pattern[str], ct: DicomCT, *, value: int = 1) -> LabelMap:
    """One region as a label map on the grid of the scan it was drawn on.

    Args:
        structures: The structure set.
        wanted: See `Structures.region`.
        ct: The scan; its series must be the one that the structure set names.
        value: Of the voxels inside.

    Raises:
        ReadError: See `Structures.region`; drawn on another scan; contours that are damaged or enclose no voxel.
        GeometryError: Contours outside the scan, or not parallel to its slices.
    """
    region = structures.region(wanted)
    check_drawn_on(ct, structures.path, series=structures.series, frame=region.frame)
    name = f"{structures.path}: region {region.name!r}"
    mask = fill(_closed_contours(region, name), ct.volume.grid, name)
    if not mask.any():
        raise ReadError(f"{name}: its contours enclose no voxel centre; look at it in a viewer, or leave the case out")
    return LabelMap(labels=mask.astype(np.uint8) * np.uint8(value), grid=ct.volume.grid)


def _closed_contours(region: Region, name: str) -> list[NDArray[np.float64]]:
    """The closed contours, (N, 3) each, LPS mm; what encloses nothing is counted and left out."""
    closed: dict[bytes, NDArray[np.float64]] = {}
    left_out: Counter[str] = Counter()
    for number, item in enumerate(region.contours, 1):
        with damaged(name, f"contour {number} cannot be read"):
            kind = str(item.get("ContourGeometricType") or "")
            points = _points(item, f"{name}: contour {number}")
        if kind not in _CLOSED or len(points) < 3:
            left_out[kind if kind not in _CLOSED else "of fewer than 3 points"] += 1
        elif points.tobytes() in closed:
            # even-odd would let the second cancel the first
            left_out["given twice"] += 1
        else:
            closed[points.tobytes()] = points
    if left_out:
        listed = ", ".join(f"{count} {kind}" for kind, count in left_out.items())
        _log.warning("%s: left out of its %d contours: %s", name, len(region.contours), listed)
    if not closed:
        raise ReadError(f"{name}: none of its {len(region.contours)} contours is closed; a volume needs CLOSED_PLANAR contours")
    return list(closed.values())


def _points(item: Dataset, name: str) -> NDArray[np.float64]:
    element = item.get_item(_CONTOUR_DATA)
    raw = None if element is None else element.value
    # A large set has a million numbers; converting the bytes at once is twenty times as fast as one by one.
    values = raw.split(b"\\") if isinstance(raw, bytes) else list(raw or ())
    numbers = np.array([float(v) for v in values], dtype=np.float64)
    if numbers.size % 3 or not np.isfinite(numbers).all():
        raise ReadError(f"{name}: ContourData has {numbers.size} numbers; x, y, z of each point must be there, and finite")
    told = item.get("NumberOfContourPoints")
    if told is not None and int(told) != numbers.size // 3:
        raise ReadError(f"{name}: NumberOfContourPoints {told}, but ContourData has {numbers.size // 3}; the file is damaged")
    return numbers.reshape(-1, 3)


def fill(contours: Sequence[NDArray[np.float64]], grid: Grid, name: str) -> NDArray[np.bool_]:
    """Bool (I, J, K): voxels whose centre lies inside closed contours, (N, 3) each, LPS mm; `name` is for messages.

    Raises:
        GeometryError: Contours outside the grid, or not parallel to its slices.
    """
    ijk = [np.round(grid.to_ijk(contour * _LPS_TO_RAS), _DECIMALS) for contour in contours]
    _check_parallel(ijk, grid, name)
    planes = _planes(ijk)
    _check_inside(planes, ijk, grid, name)
    mask = np.zeros(grid.shape, dtype=np.bool_)
    filled: dict[float, tuple[tuple[slice, slice], NDArray[np.bool_]]] = {}
    taken = _nearest_plane(sorted(planes), grid.shape[2])
    if gaps := max(taken, default=0) - min(taken, default=1) + 1 - len(taken):
        _log.warning("%s: %d slices between its first and last have no contour; they stay empty", name, gaps)
    for k, plane in taken.items():
        if plane not in filled:
            filled[plane] = _filled([ijk[n][:, :2] for n in planes[plane]], grid.shape[:2])
        window, inside = filled[plane]
        mask[:, :, k][window] = inside
    return mask


def _filled(contours: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """What the contours of one plane enclose, in the window around them: a tumour is a hundredth of its slice."""
    points = np.concatenate(contours)
    low = np.clip(np.floor(points.min(axis=0)), 0, shape).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + 1, low, shape).astype(int)
    inside = even_odd([contour - low for contour in contours], (int(high[0] - low[0]), int(high[1] - low[1])))
    return (slice(low[0], high[0]), slice(low[1], high[1])), inside


def _check_parallel(ijk: Sequence[NDArray[np.float64]], grid: Grid, name: str) -> None:
    across = np.array([np.ptp(contour[:, 2]) for contour in ijk])
    worst = int(across.argmax())
    if across[worst] > _TILT:
        raise GeometryError(
            f"{name}: contour {worst + 1} crosses slices: it spans {across[worst] * grid.spacing_mm[2]:.2f} mm along the "
            f"scan's slice normal (limit {_TILT * grid.spacing_mm[2]:.2f}). Contours must be drawn on the slices of the scan"
        )


def _planes(ijk: Sequence[NDArray[np.float64]]) -> dict[float, list[int]]:
    """Position of each plane in slices → which contours lie in it."""
    planes: dict[float, list[int]] = {}
    at = -np.inf
    positions = [float(contour[:, 2].mean()) for contour in ijk]
    for number in np.argsort(positions, kind="stable").tolist():
        if positions[number] - at > _SAME_PLANE:
            at = positions[number]
        planes.setdefault(at, []).append(number)
    return planes


def _check_inside(planes: dict[float, list[int]], ijk: Sequence[NDArray[np.float64]], grid: Grid, name: str) -> None:
    columns, rows, slices = grid.shape
    outside = [plane for plane in planes if not -0.5 <= plane < slices - 0.5]
    if outside:
        raise GeometryError(
            f"{name}: {len(outside)} of {len(planes)} planes lie outside the scan, at slices {outside[0]:.1f} … "
            f"{outside[-1]:.1f} of 0 … {slices - 1}; slices of the scan are missing, or it is another"
        )
    corners = np.concatenate(ijk)[:, :2]
    if (corners.max(axis=0) < -0.5).any() or (corners.min(axis=0) > np.array([columns, rows]) - 0.5).any():
        raise GeometryError(f"{name}: lies beside the scan; it was drawn on another")


def _nearest_plane(planes: Sequence[float], slices: int) -> dict[int, float]:
    """Slice → the plane whose contours it takes; see the module for the rule."""
    at = np.asarray(planes)
    apart = float(np.diff(at).min()) if len(at) > 1 else 1.0
    offset = np.arange(slices)[:, None] - at
    nearest = np.abs(offset).argmin(axis=1)
    own = offset[np.arange(slices), nearest]
    taken = (own > -0.5) & (own <= 0.5)  # half open, so that a plane midway between two slices is that of one
    if 1 < apart <= MOST_SLICES_APART + _SAME_PLANE:
        taken |= (np.arange(slices) > at[0]) & (np.arange(slices) < at[-1]) & (np.abs(own) <= MOST_SLICES_APART / 2)
    return {int(k): float(at[nearest[k]]) for k in np.flatnonzero(taken)}
