"""Pixels: stored values, compressed or not, → int16 HU in the stack's order."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID

from panlesion.ct.dicom_codestream import codestream_fault, decoder_of
from panlesion.ct.dicom_geometry import Stack
from panlesion.ct.dicom_header import FileHeader, Plane, damaged
from panlesion.ct.volume import Volume
from panlesion.errors import NotCTError, ReadError

MAX_SIDE = 4096
"""Ultra-high-resolution CT reconstructs 2048 x 2048; what claims more than 4096 is damaged or no CT."""

_SLAB = 32
_BLANK_HU = (-900, 3071)
"""A padding value inside this range cannot be told from tissue, so its voxels stay as they are."""


Convert = Callable[[NDArray, Plane, tuple[int, int] | None], NDArray]
"""Stored values of one image, its header and its padding values → what they mean."""


def decode_hu(stack: Stack, headers: Sequence[FileHeader]) -> NDArray[np.int16]:
    """HU (I, J, K), C-contiguous, of a stack whose files are `headers`; each slice with its own rescale.

    Raises:
        ReadError: Truncated or damaged pixels, a transfer syntax that no decoder knows, no rescale.
        NotCTError: Colours, or values that leave int16.
    """
    return _decode(stack, headers, _to_hu, np.dtype(np.int16))


def decode_brightness(stack: Stack, headers: Sequence[FileHeader]) -> NDArray[np.float32]:
    """Brightness (I, J, K), C-contiguous, of an MR; where a slice has a rescale it is applied, padding is 0.

    Raises:
        ReadError: As `decode_hu`.
        NotCTError: Colours.
    """
    return _decode(stack, headers, _to_brightness, np.dtype(np.float32))


def _decode(stack: Stack, headers: Sequence[FileHeader], convert: Convert, dtype: np.dtype) -> NDArray:
    i, j, k = stack.grid.shape
    by_name = {header.source.name: header for header in headers}
    wanted: dict[str, dict[int, int]] = defaultdict(dict)
    for index, plane in enumerate(stack.planes):
        wanted[plane.source.name][plane.frame] = index
    slices = np.empty((k, j, i), dtype=dtype)
    for name, frames in wanted.items():
        _decode_file(by_name[name], {frame: stack.planes[index] for frame, index in frames.items()}, frames, slices, convert)
    values = np.empty((i, j, k), dtype=dtype)
    for start in range(0, k, _SLAB):
        values[:, :, start : start + _SLAB] = slices[start : start + _SLAB].transpose(2, 1, 0)
    return values


def _decode_file(
    header: FileHeader, planes: dict[int, Plane], targets: dict[int, int], slices: NDArray, convert: Convert
) -> None:
    name = header.source.name
    _check_image(header)
    with damaged(name, "the pixels cannot be decoded"):
        ds = pydicom.dcmread(BytesIO(header.source.read()), force=True)
        plugin = _checked_plugin(ds, header)
        order = sorted(targets)
        count = 0
        for frame, stored in zip(order, iter_pixels(ds, raw=True, indices=order, decoding_plugin=plugin), strict=False):
            if stored.shape != slices.shape[1:]:
                raise ReadError(f"{name}: a decoded frame has shape {stored.shape}; Rows and Columns say {slices.shape[1:]}")
            slices[targets[frame]] = convert(stored, planes[frame], header.padding)
            count += 1
    if count != len(order):
        raise ReadError(f"{name}: truncated: {count} of {len(order)} frames. Copy or export the file again")


def _check_image(header: FileHeader) -> None:
    name = header.source.name
    if header.samples != 1 or header.photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise NotCTError(
            f"{name}: SamplesPerPixel {header.samples}, PhotometricInterpretation {header.photometric}: a colour picture. "
            "A CT has one grey value per pixel; export the original series"
        )
    if max(header.rows, header.columns) > MAX_SIDE or header.bits_allocated not in (8, 16, 32):
        raise ReadError(
            f"{name}: Rows {header.rows}, Columns {header.columns}, BitsAllocated {header.bits_allocated}; the rule is at most "
            f"{MAX_SIDE} pixels a side of 8, 16 or 32 bits"
        )


def _checked_plugin(ds: Dataset, header: FileHeader) -> str:
    """The decoder for pixels that are all there and unpack to what Rows and Columns say; "" where none is needed."""
    name = header.source.name
    data = ds.get("PixelData")
    if data is None:
        raise ReadError(f"{name}: no PixelData: the file is truncated, or it is no image")
    syntax = UID(str(ds.file_meta.get("TransferSyntaxUID", "")))
    frames = int(ds.get("NumberOfFrames") or 1)
    if not syntax or (syntax.is_transfer_syntax and not syntax.is_compressed):
        need = header.rows * header.columns * header.samples * (header.bits_allocated // 8) * frames
        if len(data) < need:
            raise ReadError(f"{name}: truncated: {len(data)} bytes of pixels where {need} are needed. Copy it again")
        return ""
    plugin = decoder_of(syntax)
    if plugin is None:
        raise ReadError(f"{name}: transfer syntax {syntax} ({syntax.name}) is not read. Convert it (gdcmconv --raw) first")
    for number, stream in enumerate(generate_frames(data, number_of_frames=frames), start=1):
        fault = codestream_fault(stream, syntax, header.rows, header.columns)
        if fault:
            raise ReadError(f"{name}: compressed frame {number} of {frames}: {fault}. Copy or export the file again")
    return plugin


def _to_hu(stored: NDArray, plane: Plane, padding: tuple[int, int] | None) -> NDArray[np.int16]:
    if plane.slope is None or plane.intercept is None:
        raise NotCTError(
            f"{plane.name}: RescaleSlope or RescaleIntercept missing; a CT image must have both to be in HU. "
            "Export the original series"
        )
    if plane.slope == 0:
        raise NotCTError(f"{plane.name}: RescaleSlope is 0; every voxel would have the same HU. Export the series again")
    if plane.rescale_type not in ("", "HU", "US"):
        raise NotCTError(f"{plane.name}: RescaleType {plane.rescale_type}; only HU (spectral maps and densities are no HU)")
    # Nearly every CT has slope 1 and a whole intercept, and integers are three times as fast.
    whole = plane.slope == 1 and plane.intercept.is_integer() and abs(plane.intercept) < 1 << 20 and stored.itemsize <= 2
    values: NDArray = stored.astype(np.int32) + int(plane.intercept) if whole else stored * plane.slope + plane.intercept
    if padding is not None:
        values = _without_padding(values, stored, plane, padding)
    low, high = float(values.min()), float(values.max())
    if low < -32768 or high > 32767:
        raise NotCTError(f"{plane.name}: values from {low:g} to {high:g} after rescaling; HU lie in -32768 … 32767")
    return (values if whole else np.rint(values)).astype(np.int16)


def _to_brightness(stored: NDArray, plane: Plane, padding: tuple[int, int] | None) -> NDArray[np.float32]:
    slope = 1.0 if plane.slope is None else plane.slope
    if slope == 0:
        raise ReadError(f"{plane.name}: RescaleSlope is 0; every voxel would have the same value. Export the series again")
    values = (stored * slope + (plane.intercept or 0.0)).astype(np.float32)
    if padding is not None:
        values[(stored >= padding[0]) & (stored <= padding[1])] = 0
    return values


def _without_padding(values: NDArray, stored: NDArray, plane: Plane, padding: tuple[int, int]) -> NDArray:
    assert plane.slope is not None and plane.intercept is not None
    hu = sorted(p * plane.slope + plane.intercept for p in padding)
    if hu[1] > _BLANK_HU[0] and hu[0] < _BLANK_HU[1]:
        return values
    return np.where((stored >= padding[0]) & (stored <= padding[1]), Volume.AIR_HU, values)
