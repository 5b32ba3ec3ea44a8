"""DICOM SEG of any maker: its binary segments → a label map on the grid of the scan they were drawn on.

Every pixel is placed by the frame's own position and orientation; references to single images are not followed. So a SEG that
covers a part of the scan, lists its frames in any order, or is turned against the scan is read all the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from panlesion.ct.dicom import DicomCT
from panlesion.ct.dicom_header import damaged
from panlesion.ct.dicom_pixels import MAX_SIDE
from panlesion.ct.nifti_header import MAX_VOXELS
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.sources._drawn_on import check_drawn_on
from panlesion.errors import GeometryError, ReadError

SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"

_OFF_GRID = 0.1  # of a voxel; what rounding of positions explains
_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment as the SEG describes it; `property` is the meaning of its coded type, "" where it has none."""

    number: int
    label: str
    description: str
    property: str


@dataclass(frozen=True, kw_only=True)
class SegHeader:
    """A SEG without its pixels."""

    path: Path
    segments: tuple[Segment, ...]
    series: tuple[str, ...]
    frame: str


def read_seg_header(path: Path) -> SegHeader:
    """Segments of a SEG, and the series it says it was drawn on.

    Raises:
        ReadError: No SEG, or damaged.
    """
    with damaged(str(path), "the SEG cannot be read"):
        return _header(pydicom.dcmread(path, stop_before_pixels=True), path)


def read_seg(path: Path, ct: DicomCT, value_of: Callable[[Segment], int]) -> LabelMap:
    """Segments of a SEG as a label map on the grid of the scan it was drawn on.

    Args:
        path: The SEG; BINARY ones are read.
        ct: The scan; its series must be the one that the SEG names.
        value_of: Label value of a segment, 0 to leave it out. Where segments overlap the higher value stays.

    Raises:
        ReadError: No SEG or damaged, not BINARY, drawn on another scan; no segment is wanted, with a list of those there are.
        GeometryError: Its pixels are not voxels of the scan.
    """
    with damaged(str(path), "the SEG cannot be read"):
        ds = pydicom.dcmread(path)
        header = _header(ds, path)
        values = {segment.number: value_of(segment) for segment in header.segments}
        if not any(values.values()):
            listed = ", ".join(f"{one.number} {one.label!r} ({one.property})" for one in header.segments) or "none"
            raise ReadError(f"{path}: none of its segments is what was asked for; they are {listed}")
        check_drawn_on(ct, path, series=header.series, frame=header.frame)
        labels = np.zeros(ct.volume.grid.shape, dtype=np.uint8)
        for number, ijk in _voxels(ds, ct.volume.grid, str(path)):
            i, j, k = ijk.T
            labels[i, j, k] = np.maximum(labels[i, j, k], np.uint8(values.get(number, 0)))
    return LabelMap(labels=labels, grid=ct.volume.grid)


def _header(ds: Dataset, path: Path) -> SegHeader:
    kind = str(ds.get("SOPClassUID", ""))
    if kind != SEG_CLASS:
        raise ReadError(f"{path}: SOPClassUID {kind or 'missing'}, Modality {ds.get('Modality')}; a DICOM SEG is needed")
    return SegHeader(
        path=path,
        segments=tuple(_segment(item) for item in ds.get("SegmentSequence") or ()),
        series=tuple(str(item.SeriesInstanceUID) for item in ds.get("ReferencedSeriesSequence") or ()),
        frame=str(ds.get("FrameOfReferenceUID") or "").strip(),
    )


def _segment(item: Dataset) -> Segment:
    types = item.get("SegmentedPropertyTypeCodeSequence") or ()
    return Segment(
        number=int(item.SegmentNumber),
        label=str(item.get("SegmentLabel") or "").strip(),
        description=str(item.get("SegmentDescription") or "").strip(),
        property=str(types[0].get("CodeMeaning") or "").strip() if types else "",
    )


def _voxels(ds: Dataset, grid: Grid, name: str) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Segment number and voxels (N, 3) of every frame that has any."""
    kind = str(ds.get("SegmentationType", "missing"))
    if kind != "BINARY":
        raise ReadError(f"{name}: SegmentationType {kind}; only BINARY is read: a probability is no mask. Convert it first")
    groups = ds.get("PerFrameFunctionalGroupsSequence") or ()
    frames, rows, columns = int(ds.get("NumberOfFrames") or 0), int(ds.Rows), int(ds.Columns)
    if len(groups) != frames or not frames:
        raise ReadError(f"{name}: {len(groups)} functional groups for {frames} frames; they must be equal and not 0")
    if max(rows, columns) > MAX_SIDE or rows * columns * frames > MAX_VOXELS:
        raise ReadError(f"{name}: {columns}x{rows}x{frames} pixels; at most {MAX_SIDE} a side and {MAX_VOXELS} in all")
    shared = (ds.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    pixels = ds.pixel_array.reshape(frames, rows, columns)
    for number, (group, frame) in enumerate(zip(groups, pixels, strict=True), 1):
        row, column = np.nonzero(frame)
        if row.size:
            segment = int(_item([group, shared], "SegmentIdentificationSequence", name).ReferencedSegmentNumber)
            yield segment, _placed(column, row, [group, shared], grid, f"{name}: frame {number}")


def _placed(
    column: NDArray[np.int64], row: NDArray[np.int64], groups: list[Dataset], grid: Grid, name: str
) -> NDArray[np.int64]:
    """Voxels (N, 3) of a frame's pixels, which must be voxels of the grid."""
    turned = np.array(_item(groups, "PlaneOrientationSequence", name).ImageOrientationPatient, dtype=np.float64)
    spacing = np.array(_item(groups, "PixelMeasuresSequence", name).PixelSpacing, dtype=np.float64)
    position = np.array(_item(groups, "PlanePositionSequence", name).ImagePositionPatient, dtype=np.float64)
    inverse = np.linalg.inv(grid.affine[:3, :3]) @ _RAS
    # Steps of the pixels in voxels of the grid: along a row, and from row to row.
    steps = np.stack([inverse @ turned[:3] * spacing[1], inverse @ turned[3:] * spacing[0]])
    start = grid.to_ijk(_RAS @ position)
    whole = np.rint(steps)
    last = np.array([column.max(), row.max()])
    off = max(float(np.abs((steps - whole) * last[:, None]).max()), float(np.abs(start - np.rint(start)).max()))
    if not off <= _OFF_GRID or not np.array_equal(np.abs(whole).sum(axis=1), [1, 1]):
        raise GeometryError(
            f"{name}: its pixels ({spacing[1]:g} x {spacing[0]:g} mm at {position.tolist()}) are not voxels of the scan; "
            "give the scan it was drawn on, or resample the mask to it"
        )
    ijk = np.rint(start) + column[:, None] * whole[0] + row[:, None] * whole[1]
    if (ijk < 0).any() or (ijk >= np.array(grid.shape)).any():
        raise GeometryError(f"{name}: marks voxels outside the scan; slices of the scan are missing, or it is another")
    return ijk.astype(np.int64)


def _item(groups: list[Dataset], keyword: str, name: str) -> Dataset:
    """The one item of a functional group, the frame's own before the shared one."""
    for group in groups:
        if items := group.get(keyword):
            item: Dataset = items[0]
            return item
    raise ReadError(f"{name}: {keyword} is missing; without it nobody knows what and where the frame is. Export it again")
