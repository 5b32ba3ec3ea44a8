"""Any CT in: a NIfTI file, a DICOM file, folder or zip → `Volume`, refused unless its values can be HU."""

import zipfile
from collections.abc import Collection
from pathlib import Path

from panlesion.ct.dicom import DicomCT, SeriesInfo, list_dicom, read_dicom
from panlesion.ct.hounsfield import check_hounsfield, without_padding
from panlesion.ct.nifti import read_volume
from panlesion.ct.volume import Volume
from panlesion.errors import ReadError

__all__ = ["SeriesInfo", "list_series", "read_ct", "read_ct_with_source"]


def read_ct(path: Path | str, *, series: str | None = None) -> Volume:
    """Read a CT on its own grid; scanner padding becomes air (-1024 HU), all other values are kept.

    NIfTI keeps the file's array axes. For DICOM, `hu[i, j, k]` is `pixel_array[j, i]` of the k-th slice along the slice
    normal; `dicom.read_dicom` also tells which image each slice came from.

    Args:
        path: A NIfTI file, a DICOM file, a folder of DICOM files or a zip of them.
        series: SeriesInstanceUID or SeriesNumber, where there are several.

    Raises:
        ReadError: It cannot be read; `NotCTError` if it is no CT in HU, `GeometryError` if it is no regular grid.
        ValueError: `series` given for a NIfTI file.
    """
    return read_ct_with_source(path, series=series)[0]


def read_ct_with_source(
    path: Path | str, *, series: str | None = None, among: Collection[str] | None = None
) -> tuple[Volume, DicomCT | None]:
    """As `read_ct`, and which DICOM images the planes came from; None for NIfTI. `among` is that of `read_dicom`.

    Raises:
        ReadError, ValueError: As `read_ct`.
    """
    path, source = Path(path), None
    if is_nifti(path):
        if series is not None:
            raise ValueError(f"series is {series!r}; a NIfTI file has no series")
        volume = read_volume(path)
    else:
        source = read_dicom(path, series=series, among=among)
        volume = source.volume
    hu = without_padding(volume.hu)
    check_hounsfield(hu, str(path))
    return Volume(hu=hu, grid=volume.grid), source


def list_series(path: Path | str) -> list[SeriesInfo]:
    """The DICOM series of a file, folder or zip, CT or not.

    Raises:
        ReadError: Nothing there, no DICOM, or a damaged file.
    """
    return list_dicom(path)


def is_nifti(path: Path) -> bool:
    """By name, or by its first bytes; folders, zips and DICOM files are not."""
    if path.is_dir():
        _hint_at_nifti(path)
        return False
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return True
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read: {error.strerror or error}") from error
    sizes = {int.from_bytes(head, "little"), int.from_bytes(head, "big")}
    return head[:2] == b"\x1f\x8b" or (not zipfile.is_zipfile(path) and bool(sizes & {348, 540}))


def _hint_at_nifti(folder: Path) -> None:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise ReadError(f"{folder}: cannot be read: {error.strerror or error}") from error
    volumes = [file.name for file in files if file.name.endswith((".nii", ".nii.gz"))]
    if volumes and not any(file for file in files if file.name not in volumes and not file.name.endswith(".json")):
        raise ReadError(f"{folder}: a folder of NIfTI files ({volumes[0]} …); give one of the files, not the folder")
