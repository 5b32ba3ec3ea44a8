"""NIfTI files in and out, checked on the way in and byte-reproducible on the way out.

Files are unpacked and converted a slab at a time, so no header, however damaged or malicious, makes us hold more than the
int16 (or uint8) array it claims, and that is bounded by `MAX_VOXELS`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import nibabel as nib
import numpy as np
from isal import igzip
from isal.igzip_lib import IsalError
from numpy.typing import NDArray

from panlesion.ct.atomic import replacing
from panlesion.ct.nifti_header import LONGEST_HEADER, NiftiHead, parse_header
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.errors import NotCTError, NotMRError, OrganMapError, ReadError

GZIP_LEVEL = 2
"""isal's levels are 0 … 3. Measured on a 400x309x275 chest CT, one core: level 0 0.17 s and 32.6 MB, 1 0.20 s and 24.8 MB,
2 0.16 s and 24.4 MB, 3 0.23 s and 24.3 MB (zlib's level 6: 2.0 s and 24.1 MB)."""

# The stubs of isal type its exception as a plain object.
_DAMAGED = (EOFError, igzip.BadGzipFile, cast(type[Exception], IsalError))

_SLAB_BYTES = 8 << 20

_Convert = Callable[[NDArray, str], NDArray]


def read_volume(path: Path | str) -> Volume:
    """The CT of a NIfTI file (.nii or .nii.gz); fractions of a HU are rounded. `hu` is C-contiguous.

    Whether the numbers can be HU at all is `read.read_ct`'s question; this one gives back what was written.

    Raises:
        ReadError: Not there, no NIfTI, truncated, longer than its header says.
        NotCTError: NaN, or values outside int16.
        GeometryError: Not one 3D volume on a right-angled grid.
    """
    hu, grid = _read(Path(path), np.int16, _as_int16)
    return Volume(hu=hu, grid=grid)


def read_labels(path: Path | str) -> LabelMap:
    """The label map of a NIfTI file, any integer or whole-number type. `labels` is C-contiguous.

    Raises:
        ReadError: As `read_volume`.
        OrganMapError: Fractions, negative labels or labels above 255.
    """
    labels, grid = _read(Path(path), np.uint8, _as_uint8)
    return LabelMap(labels=labels, grid=grid)


def read_intensities(path: Path | str) -> tuple[NDArray[np.float32], Grid]:
    """The numbers of a NIfTI file as they are, float32 (I, J, K), for images that are not in HU.

    Raises:
        ReadError, GeometryError: As `read_volume`.
        NotMRError: NaN or infinite values.
    """
    return _read(Path(path), np.float32, _as_float32)


def write_volume(path: Path | str, volume: Volume, *, level: int = GZIP_LEVEL) -> None:
    """Write a CT as int16 NIfTI, whole or not at all; equal volumes give equal bytes.

    Raises:
        ValueError: The name ends neither in .nii nor in .nii.gz.
    """
    _write(Path(path), volume.hu, volume.grid, level)


def write_labels(path: Path | str, labelmap: LabelMap, *, level: int = GZIP_LEVEL) -> None:
    """Write a label map as uint8 NIfTI, whole or not at all; equal maps give equal bytes.

    Raises:
        ValueError: The name ends neither in .nii nor in .nii.gz.
    """
    _write(Path(path), labelmap.labels, labelmap.grid, level)


def read_grid(path: Path | str) -> Grid:
    """Only the grid of a NIfTI file; its voxels are not unpacked.

    Raises:
        ReadError: As `read_volume`.
    """
    with _opened(Path(path)) as stream:
        return parse_header(_up_to(stream, LONGEST_HEADER), str(path)).grid


def _read(path: Path, dtype: type[np.generic], convert: _Convert) -> tuple[NDArray, Grid]:
    name = str(path)
    with _opened(path) as stream:
        block = _up_to(stream, LONGEST_HEADER)
        head = parse_header(block, name)
        early = block[head.offset :]
        if head.offset > len(block):
            _exactly(stream, head.offset - len(block), b"", name)
        return _read_voxels(stream, early, head, np.dtype(dtype), convert, name), head.grid


def _read_voxels(stream: BinaryIO, early: bytes, head: NiftiHead, dtype: np.dtype, convert: _Convert, name: str) -> NDArray:
    """Fill a C-ordered array from Fortran-ordered bytes; `early` are the voxels read along with the header."""
    i, j, k = head.grid.shape
    out = np.empty((i, j, k), dtype=dtype)
    plane = i * j * head.dtype.itemsize
    step = max(1, _SLAB_BYTES // plane)
    for start in range(0, k, step):
        stop = min(k, start + step)
        need = (stop - start) * plane
        raw = _exactly(stream, need - len(early[:need]), early[:need], name)
        early = early[need:]
        stored = np.frombuffer(raw, dtype=head.dtype).reshape(stop - start, j, i)
        out[:, :, start:stop] = convert(_rescaled(stored, head), name).transpose(2, 1, 0)
    # Reading past the end is also what makes gzip compare its checksum.
    if early or _up_to(stream, 1):
        raise ReadError(f"{name}: more voxels than the header's {head.grid.shape}; the header is damaged. Export it again")
    return out


def _rescaled(stored: NDArray, head: NiftiHead) -> NDArray:
    if not head.scaled:
        return stored
    # float32 holds every 16-bit integer exactly; wider types need float64.
    values: NDArray = stored.astype(np.float32 if head.dtype.itemsize <= 2 else np.float64)
    with np.errstate(all="ignore"):
        values *= head.slope
        values += head.intercept
    return values


def _whole(values: NDArray, name: str) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low) or not np.isfinite(high):
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise NotCTError(f"{name}: {bad} or more voxels are NaN or infinite. Replace them (air is -1024 HU) and write it again")
    return low, high


def _as_int16(values: NDArray, name: str) -> NDArray[np.int16]:
    low, high = _whole(values, name)
    if low < -32768 or high > 32767:
        raise NotCTError(f"{name}: values from {low:g} to {high:g}; HU lie in -32768 … 32767, so this is no CT in HU")
    if values.dtype.kind == "f":
        return np.rint(values).astype(np.int16)
    return values.astype(np.int16)


def _as_float32(values: NDArray, name: str) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise NotMRError(
            f"{name}: {bad} or more voxels are NaN or infinite. Replace them (0 where nothing is) and write it again"
        )
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    if not np.isfinite(found).all():
        raise NotMRError(f"{name}: values up to {float(np.abs(values).max()):g}; brightness must fit a float32")
    return found


def _as_uint8(values: NDArray, name: str) -> NDArray[np.uint8]:
    low, high = _whole(values, name)
    if low < 0 or high > 255:
        raise OrganMapError(f"{name}: labels from {low:g} to {high:g}; a label map has whole numbers 0 … 255")
    labels = values.astype(np.uint8)
    if values.dtype.kind == "f" and (labels != values).any():
        odd = float(values[labels != values].flat[0])
        raise OrganMapError(f"{name}: value {odd:g} is no whole number: a probability map, or labels resampled as an image")
    return labels


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The unpacked stream of a file, known as gzip by its first bytes, not by its name."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            yield _unpacking(raw) if packed else raw
    except _DAMAGED as error:
        raise ReadError(f"{path}: the gzip data are truncated or damaged ({error}). Copy or export the file again") from error
    except OSError as error:
        raise ReadError(f"{path}: cannot be read: {error.strerror or error}") from error


def _unpacking(raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, igzip.IGzipFile(fileobj=raw, mode="rb"))  # type: ignore[no-untyped-call]


def _packing(raw: BinaryIO, level: int) -> igzip.IGzipFile:
    # No time and no name in the gzip header, so that equal voxels give equal bytes.
    return igzip.IGzipFile(filename="", fileobj=raw, mode="wb", compresslevel=level, mtime=0)  # type: ignore[no-untyped-call]


def _up_to(stream: BinaryIO, count: int) -> bytes:
    parts = []
    while count > 0 and (part := stream.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _exactly(stream: BinaryIO, count: int, early: bytes, name: str) -> bytearray:
    data = bytearray(len(early) + count)
    data[: len(early)] = early
    view, filled = memoryview(data), len(early)
    while filled < len(data):
        got = stream.readinto(view[filled:])  # type: ignore[attr-defined]  # BinaryIO lacks it, both streams have it
        if not got:
            raise ReadError(f"{name}: truncated: the voxels end {len(data) - filled} bytes early. Copy or export it again")
        filled += got
    return data


def _write(path: Path, array: NDArray, grid: Grid, level: int) -> None:
    if not path.name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"{path}: a NIfTI file's name ends in .nii or .nii.gz")
    head = _header_bytes(array.dtype, grid)
    with replacing(path) as raw:
        if path.name.endswith(".gz"):
            with _packing(raw, level) as packed:
                _write_voxels(cast(BinaryIO, packed), head, array)
        else:
            _write_voxels(raw, head, array)


def _write_voxels(stream: BinaryIO, head: bytes, array: NDArray) -> None:
    stream.write(head)
    i, j, k = array.shape
    little = array.dtype.newbyteorder("<")
    step = max(1, _SLAB_BYTES // max(1, i * j * array.itemsize))
    for start in range(0, k, step):
        slab = array[:, :, start : start + step].transpose(2, 1, 0)
        stream.write(np.ascontiguousarray(slab, dtype=little).data)


def _header_bytes(dtype: np.dtype, grid: Grid) -> bytes:
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(dtype)
    header.set_data_shape(grid.shape)
    header.set_xyzt_units("mm", "sec")
    # Both forms, equal: some programs read only one of them.
    header.set_sform(grid.affine, code=1)
    header.set_qform(grid.affine, code=1)
    header["scl_slope"], header["scl_inter"] = 1.0, 0.0
    header["magic"], header["vox_offset"] = b"n+1", 352
    # Four zero bytes: no header extensions follow.
    return bytes(header.binaryblock) + bytes(4)
