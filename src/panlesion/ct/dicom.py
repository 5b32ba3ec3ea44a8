"""DICOM series, CT or MR: grouped, listed, chosen and read."""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.dicom_geometry import Stack, stack_planes
from panlesion.ct.dicom_header import CT_CLASSES, MR_CLASSES, FileHeader, Plane, read_header
from panlesion.ct.dicom_pixels import MAX_SIDE, decode_brightness, decode_hu
from panlesion.ct.dicom_source import Source, dicom_sources
from panlesion.ct.modality import Modality
from panlesion.ct.nifti_header import MAX_VOXELS
from panlesion.ct.volume import Grid, Index3, Vector3, Volume
from panlesion.errors import GeometryError, NotCTError, NotMRError, ReadError

_NOT = {Modality.CT: NotCTError, Modality.MR: NotMRError}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SeriesInfo:
    """One series as a list shows it; `problem` says why it cannot be read as a CT (an MR: as an MR), if so."""

    uid: str
    number: int | None
    description: str
    modality: str
    images: int
    localizers: int
    shape: Index3 | None
    spacing_mm: Vector3 | None
    problem: str | None

    def __str__(self) -> str:
        size = (
            f"{'x'.join(map(str, self.shape))} at {'x'.join(f'{s:g}' for s in self.spacing_mm)} mm"
            if (self.shape and self.spacing_mm)
            else f"{self.images} images"
        )
        number = "" if self.number is None else f"{self.number} "
        return f"{number}{self.modality} '{self.description}' {size} [{self.uid}]"


@dataclass(frozen=True, kw_only=True)
class SliceRef:
    """Which DICOM image the array's k-th plane came from; `frame` counts from 0."""

    path: Path
    sop_class: str
    sop_instance: str
    frame: int


@dataclass(frozen=True, kw_only=True)
class DicomCT:
    """A CT read from DICOM, and the images its planes came from, in the order of the array's k axis."""

    volume: Volume
    series_uid: str
    slices: tuple[SliceRef, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class DicomMR:
    """An MR as its files have it, brightness float32 (I, J, K), and the images its planes came from."""

    brightness: NDArray[np.float32]
    grid: Grid
    series_uid: str
    slices: tuple[SliceRef, ...]


_CLASSES = {Modality.CT: CT_CLASSES, Modality.MR: MR_CLASSES}


@dataclass(frozen=True, kw_only=True)
class _Series:
    uid: str
    headers: tuple[FileHeader, ...]

    @property
    def planes(self) -> list[Plane]:
        return [plane for header in self.headers for plane in header.planes if not plane.localizer]

    @property
    def localizers(self) -> list[Plane]:
        return [plane for header in self.headers for plane in header.planes if plane.localizer]

    @property
    def modality(self) -> str:
        return self.headers[0].modality or "none"

    def meant_by(self, wanted: Modality) -> bool:
        """Whether this is what someone who gives a folder means by "the CT" in it: no screen captures, no scouts."""
        classes = {header.sop_class for header in self.headers}
        return self.modality == wanted.upper() and bool(self.planes) and classes <= {*_CLASSES[wanted], ""}

    def stack(self, wanted: Modality) -> Stack:
        """Where its planes lie; refuses what is no regular grid, and sizes nobody scans."""
        self._check_kind(wanted)
        sizes = Counter((header.rows, header.columns) for header in self.headers if any(not p.localizer for p in header.planes))
        if len(sizes) > 1:
            listed = ", ".join(f"{n} of {rows}x{columns}" for (rows, columns), n in sizes.most_common(4))
            raise GeometryError(f"series {self.uid}: images of several sizes ({listed}); one series must have one")
        ((rows, columns),) = sizes
        planes = self.planes
        if max(rows, columns) > MAX_SIDE or rows * columns * len(planes) > MAX_VOXELS:
            name = self.headers[0].source.name
            raise ReadError(f"{name}: {columns}x{rows}x{len(planes)} voxels; at most {MAX_SIDE} a side and {MAX_VOXELS} in all")
        return stack_planes(planes, rows, columns)

    def _check_kind(self, wanted: Modality) -> None:
        name, kind = self.headers[0].source.name, wanted.upper()
        error = _NOT[wanted]
        if self.modality != kind:
            hint = " (--mr reads an MR)" if self.modality == "MR" else ""
            raise error(f"{name}: Modality {self.modality}; only {kind} can be read here{hint}. Give the {kind} series")
        if not self.planes:
            found = f"only localizers ({len(self.localizers)})" if self.localizers else "no image"
            raise error(f"{name}: series {self.uid} has {found}; give the {kind} series itself")


def read_dicom(path: Path | str, *, series: str | None = None, among: Collection[str] | None = None) -> DicomCT:
    """Read one CT series of a file, folder or zip; its array axes are described in `dicom_geometry`.

    Args:
        path: A DICOM file, a folder (searched with its subfolders) or a zip.
        series: SeriesInstanceUID or SeriesNumber; needed where there is more than one CT series.
        among: SOP instance UIDs; others are passed over, as images that came after a CT had been read. All if not told.

    Raises:
        ReadError: Nothing readable, several series and none chosen, damaged files.
        NotCTError: No CT among them.
        GeometryError: Slices that make no regular grid.
    """
    path = Path(path)
    with dicom_sources(path) as sources:
        chosen, stack = _chosen(sources, series, path, Modality.CT, among)
        hu = decode_hu(stack, chosen.headers)
    return DicomCT(volume=Volume(hu=hu, grid=stack.grid), series_uid=chosen.uid, slices=_references(chosen, stack))


def read_dicom_mr(path: Path | str, *, series: str | None = None) -> DicomMR:
    """Read one MR series of a file, folder or zip; its array axes are those of `read_dicom`.

    Raises:
        ReadError: Nothing readable, several series and none chosen, damaged files.
        NotMRError: No MR among them.
        GeometryError: Slices that make no regular grid.
    """
    path = Path(path)
    with dicom_sources(path) as sources:
        chosen, stack = _chosen(sources, series, path, Modality.MR)
        brightness = decode_brightness(stack, chosen.headers)
    return DicomMR(brightness=brightness, grid=stack.grid, series_uid=chosen.uid, slices=_references(chosen, stack))


def _chosen(
    sources: Sequence[Source], series: str | None, path: Path, wanted: Modality, among: Collection[str] | None = None
) -> tuple[_Series, Stack]:
    found = _grouped(sources, among)
    if among is not None and not found:
        raise ReadError(f"{path}: its images are no longer those that are wanted; put back the ones that were read")
    chosen = _choose(found, series, path, wanted)
    if chosen.localizers:
        _log.warning("%s: left out %d localizer(s) of series %s", path, len(chosen.localizers), chosen.uid)
    return chosen, chosen.stack(wanted)


def _references(chosen: _Series, stack: Stack) -> tuple[SliceRef, ...]:
    headers = {header.source.name: header for header in chosen.headers}
    return tuple(_reference(plane, headers[plane.source.name]) for plane in stack.planes)


def list_dicom(path: Path | str) -> list[SeriesInfo]:
    """All series of a file, folder or zip, CT or not, by number; pixels are not decoded.

    Raises:
        ReadError: Nothing there, no DICOM, or a damaged file.
    """
    with dicom_sources(Path(path)) as sources:
        return [_info(series) for series in _grouped(sources)]


def _grouped(sources: Sequence[Source], among: Collection[str] | None = None) -> list[_Series]:
    # A report may carry the UID of the series it is about, and scanners put raw data beside their images.
    groups: dict[tuple[str, str, bool], list[FileHeader]] = defaultdict(list)
    for source in sources:
        header = read_header(source)
        if among is None or header.sop_instance in among:
            groups[header.series_uid, header.modality, bool(header.planes)].append(header)
    series = [_Series(uid=uid, headers=tuple(headers)) for (uid, _, _), headers in groups.items()]
    return sorted(series, key=lambda s: (s.headers[0].series_number is None, s.headers[0].series_number or 0, s.uid))


def _choose(found: list[_Series], named_by: str | None, path: Path, wanted: Modality) -> _Series:
    kind = wanted.upper()
    listed = "\n  ".join(str(_info(series)) for series in found)
    if named_by is not None:
        named = [s for s in found if s.uid == named_by] or [s for s in found if str(s.headers[0].series_number) == named_by]
        named = [s for s in named if s.modality == kind and s.planes] or named
        if len(named) != 1:
            count = "no series is" if not named else f"{len(named)} series are"
            raise ReadError(f"{path}: {count} called {named_by!r}. Give the UID, or the number if only one has it:\n  {listed}")
        return named[0]
    if len(found) == 1:
        return found[0]
    readable = [series for series in found if series.meant_by(wanted)]
    if not readable:
        raise _NOT[wanted](f"{path}: no {kind} series among its {len(found)} series:\n  {listed}")
    if len(readable) > 1:
        raise ReadError(
            f"{path}: {len(readable)} {kind} series. Choose one with --series UID (or its number, the first word):\n  {listed}"
        )
    others = [str(_info(series)) for series in found if series is not readable[0]]
    _log.info("%s: reading series %s; left out: %s", path, readable[0].uid, "; ".join(others))
    return readable[0]


def _info(series: _Series) -> SeriesInfo:
    first = series.headers[0]
    shape, spacing, problem = None, None, None
    try:
        grid = series.stack(Modality.MR if series.modality == "MR" else Modality.CT).grid
        shape, spacing = grid.shape, grid.spacing_mm
    except ReadError as error:
        problem = str(error)
    return SeriesInfo(
        uid=series.uid,
        number=first.series_number,
        description=first.description,
        modality=series.modality,
        images=len(series.planes),
        localizers=len(series.localizers),
        shape=shape,
        spacing_mm=spacing,
        problem=problem,
    )


def _reference(plane: Plane, header: FileHeader) -> SliceRef:
    return SliceRef(path=plane.source.path, sop_class=header.sop_class, sop_instance=header.sop_instance, frame=plane.frame)
