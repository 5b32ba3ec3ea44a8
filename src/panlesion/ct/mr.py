"""An MR scan on the scale of a CT, so that the networks' intensity map and everything built for HU serve it too.

An MR has no unit. Nothing is 0, as the map makes -1000 HU; the brightness that only one voxel of a hundred of what is imaged
exceeds is 1, as it makes 1000 HU. The map is ours; docs/why/ct.md says what else was thought of.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.dicom import DicomCT, read_dicom_mr
from panlesion.ct.intensity import to_hu
from panlesion.ct.nifti import read_intensities
from panlesion.ct.read import is_nifti
from panlesion.ct.volume import Volume
from panlesion.errors import NotMRError

WHITE_PERCENTILE = 99.0
BACKGROUND_SHARE = 0.05
"""Below this share of the brightest percentile there is no tissue, only air and its noise; ours."""
MOST_NEGATIVE = 0.01
"""Interpolation rings a little below 0; more negative voxels than this share are a phase or a difference image."""


def read_mr(path: Path | str, *, series: str | None = None) -> Volume:
    """Read an MR on its own grid; `hu` holds its brightness on the scale of HU, -1000 … 1000.

    Args:
        path: A NIfTI file, a DICOM file, a folder of DICOM files or a zip of them.
        series: SeriesInstanceUID or SeriesNumber, where there are several.

    Raises:
        ReadError: It cannot be read; `NotMRError` if it is no MR of brightness, `GeometryError` if it is no regular grid.
        ValueError: `series` given for a NIfTI file.
    """
    return read_mr_with_source(path, series=series)[0]


def read_mr_with_source(path: Path | str, *, series: str | None = None) -> tuple[Volume, DicomCT | None]:
    """As `read_mr`, and which DICOM images the planes came from; None for NIfTI.

    Raises:
        ReadError, ValueError: As `read_mr`.
    """
    path = Path(path)
    if is_nifti(path):
        if series is not None:
            raise ValueError(f"series is {series!r}; a NIfTI file has no series")
        brightness, grid = read_intensities(path)
        return Volume(hu=on_ct_scale(brightness, str(path)), grid=grid), None
    found = read_dicom_mr(path, series=series)
    volume = Volume(hu=on_ct_scale(found.brightness, str(path)), grid=found.grid)
    return volume, DicomCT(volume=volume, series_uid=found.series_uid, slices=found.slices)


def on_ct_scale(brightness: NDArray[np.float32], name: str) -> NDArray[np.int16]:
    """HU whose place on the intensity map is the brightness, 0 … 1; any positive factor on `brightness` changes nothing.

    Raises:
        NotMRError: Naming `name`: nothing is there, or so much is negative that it is no image of brightness.
    """
    low, high = float(brightness.min()), float(brightness.max())
    if not high > max(low, 0.0):
        raise NotMRError(f"{name}: values from {low:g} to {high:g}; an MR has brightness above 0. Give the image itself")
    negative = float(np.mean(brightness < -1e-3 * high))
    if negative > MOST_NEGATIVE:
        raise NotMRError(
            f"{name}: {negative:.0%} of the voxels are below 0 (limit {MOST_NEGATIVE:.0%}): a CT, a phase or a "
            "difference image. Give an MR of brightness; for a CT leave out --mr"
        )
    tissue = brightness[brightness > BACKGROUND_SHARE * float(np.percentile(brightness, WHITE_PERCENTILE))]
    white = float(np.percentile(tissue, WHITE_PERCENTILE)) if tissue.size else high
    return np.rint(to_hu(np.clip(brightness / np.float32(white), 0, 1))).astype(np.int16)
