"""What a NIfTI header must say before its voxels are worth reading: one 3D grid, right-angled, placed in the world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from panlesion.ct.volume import Grid, Index3
from panlesion.errors import GeometryError, NotCTError, ReadError

MAX_VOXELS = 1 << 30
"""About four whole-body CTs of 512x512x1000; a header that claims more is damaged."""

MAX_SIDE = 8192

MAX_COSINE = 1e-3
"""Largest cosine between two axes of a right-angled grid: 0.06 degrees, half a voxel over 500 mm at 1 mm."""

SPACING_RANGE_MM = (0.02, 50.0)

# Of the xyzt_units field; many programs leave it at 0 and mean millimetres.
_UNKNOWN_UNIT, _MILLIMETRES = 0, 2

_HEADERS: Mapping[int, Callable[..., nib.Nifti1Header]] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
LONGEST_HEADER = 540


@dataclass(frozen=True, kw_only=True)
class NiftiHead:
    """All that is needed to turn the bytes behind a header into an array."""

    grid: Grid
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float

    @property
    def scaled(self) -> bool:
        return (self.slope, self.intercept) != (1.0, 0.0)


def parse_header(block: bytes, name: str) -> NiftiHead:
    """Read and check the first `LONGEST_HEADER` bytes of an unpacked NIfTI file.

    Raises:
        ReadError: No NIfTI, or a header that contradicts itself.
        NotCTError: Colours or complex numbers.
        GeometryError: Not 3D, or an affine that is missing, singular, sheared or ambiguous.
    """
    header = _header(block, name)
    try:
        # Damaged headers hold NaN and numbers that overflow; what comes out is checked, so NumPy need not complain.
        with np.errstate(all="ignore"):
            return NiftiHead(
                grid=Grid(shape=_shape(header, name), affine=_affine(header, name)),
                dtype=_dtype(header, name),
                offset=_offset(header, name),
                **_scaling(header, name),
            )
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise ReadError(f"{name}: the NIfTI header contradicts itself ({error}). Export the file again") from error


def _header(block: bytes, name: str) -> nib.Nifti1Header:
    for order in ("little", "big"):
        size = int.from_bytes(block[:4], order)
        if size in _HEADERS and len(block) >= size:
            header = _HEADERS[size](block[:size], endianness="<" if order == "little" else ">", check=False)
            break
    else:
        raise ReadError(f"{name}: no NIfTI file (the first four bytes are {block[:4].hex(' ')}, not 348 or 540)")
    magic = bytes(header["magic"].item())[:2]
    if magic == b"ni":
        raise ReadError(f"{name}: the header half of a NIfTI .hdr/.img pair. Convert it to one .nii.gz file")
    if magic != b"n+":
        raise ReadError(f"{name}: no NIfTI file (magic {magic!r}, not b'n+'); Analyze 7.5 files have no orientation")
    return header


def _shape(header: nib.Nifti1Header, name: str) -> Index3:
    dim = [int(n) for n in header["dim"]]
    used = dim[1 : 1 + dim[0]] if 1 <= dim[0] <= 7 else []
    if len(used) < 3 or any(n != 1 for n in used[3:]):
        raise GeometryError(f"{name}: dimensions {used}; one 3D volume is needed. Split a 4D file into its volumes")
    if min(used[:3]) < 1 or max(used[:3]) > MAX_SIDE or used[0] * used[1] * used[2] > MAX_VOXELS:
        raise GeometryError(f"{name}: dimensions {used[:3]}; each must be 1 … {MAX_SIDE}, their product at most {MAX_VOXELS}")
    return (used[0], used[1], used[2])


def _dtype(header: nib.Nifti1Header, name: str) -> np.dtype:
    code = int(header["datatype"])
    try:
        dtype = np.dtype(cast(type, nib.nifti1.data_type_codes.dtype[code])).newbyteorder(header.endianness)
    except KeyError as error:
        raise ReadError(f"{name}: data type code {code} is no NIfTI type") from error
    if dtype.kind not in "iuf" or dtype.itemsize not in (1, 2, 4, 8):
        raise NotCTError(f"{name}: data type {dtype}; one real number per voxel is needed, not colours or complex numbers")
    return dtype


def _offset(header: nib.Nifti1Header, name: str) -> int:
    offset, least = float(header["vox_offset"]), int(header["sizeof_hdr"])
    if not least <= offset <= 1 << 26:
        raise ReadError(f"{name}: voxels start at byte {offset}; the rule is {least} … {1 << 26}. The header is damaged")
    return int(offset)


def _scaling(header: nib.Nifti1Header, name: str) -> dict[str, float]:
    slope, intercept = header.get_slope_inter()
    slope, intercept = (1.0 if slope is None else float(slope)), (0.0 if intercept is None else float(intercept))
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise ReadError(f"{name}: scl_slope {slope}, scl_inter {intercept}; both must be finite")
    return {"slope": slope, "intercept": intercept}


def _affine(header: nib.Nifti1Header, name: str) -> NDArray[np.float64]:
    codes = int(header["qform_code"]), int(header["sform_code"])
    if max(codes) <= 0:
        raise GeometryError(
            f"{name}: qform_code and sform_code are both 0, so left and right are unknown. "
            "Set one of them (nibabel: image.set_sform(affine, code=1)) from the scanner's geometry"
        )
    unit = int(header["xyzt_units"]) & 7
    if unit not in (_UNKNOWN_UNIT, _MILLIMETRES):
        raise GeometryError(
            f"{name}: lengths in unit {unit} (1 metre, 3 micron); millimetres (2) are needed. Convert the affine"
        )
    affine = np.asarray(header.get_sform() if codes[1] > 0 else header.get_qform(), dtype=np.float64)
    check_affine(affine, name)
    if min(codes) > 0:
        _check_agreement(affine, np.asarray(header.get_qform(), dtype=np.float64), header, name)
    return affine


def check_affine(affine: NDArray[np.float64], name: str) -> None:
    """Refuse an affine (4, 4) that is not a rotation or reflection of plausible voxel sizes.

    Raises:
        GeometryError: Naming `name`, the number and its rule.
    """
    if not np.isfinite(affine).all():
        raise GeometryError(f"{name}: the affine has values that are not finite: {affine.tolist()}")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = SPACING_RANGE_MM
    if spacing.min() < low or spacing.max() > high:
        raise GeometryError(f"{name}: voxel sizes {spacing.round(5).tolist()} mm; each must lie in {low} … {high} mm")
    directions = affine[:3, :3] / spacing
    cosines = np.abs(directions.T @ directions - np.eye(3))
    if abs(np.linalg.det(directions)) < 0.1:
        raise GeometryError(f"{name}: the affine is singular: two of its axes point the same way")
    if cosines.max() > MAX_COSINE:
        degrees = float(np.degrees(np.arcsin(min(1.0, cosines.max()))))
        raise GeometryError(
            f"{name}: the affine is sheared by {degrees:.2f} degrees (limit {np.degrees(MAX_COSINE):.2f}), as from a tilted "
            "gantry. Resample it to a right-angled grid first"
        )


def _check_agreement(sform: NDArray[np.float64], qform: NDArray[np.float64], header: nib.Nifti1Header, name: str) -> None:
    far = np.array([int(n) - 1 for n in header["dim"][1:4]])
    corners = np.array(np.meshgrid(*[(0, n) for n in far])).reshape(3, -1)
    apart = np.abs((sform[:3, :3] - qform[:3, :3]) @ corners + (sform[:3, 3] - qform[:3, 3])[:, None]).max()
    limit = float(np.linalg.norm(sform[:3, :3], axis=0).max())
    # Written so that NaN in the qform is refused too.
    if not apart <= limit:
        raise GeometryError(
            f"{name}: sform and qform disagree by {apart:.1f} mm (limit one voxel, {limit:.1f} mm); programs differ in which "
            "they obey. Make them equal, or set the code of the wrong one to 0"
        )
