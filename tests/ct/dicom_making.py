"""DICOM CT made for the tests: a body of four tissues that no flip or swap of axes leaves alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

ROWS, COLUMNS, SLICES = 40, 48, 7
AXIAL = (1, 0, 0, 0, 1, 0)
ORIGIN = (-60.5, -80.25, 110.0)
PIXEL_MM = (2.5, 1.5)
STEP_MM = 3.0

Change = Callable[[int, Dataset], None]


def body() -> np.ndarray:
    """HU (SLICES, ROWS, COLUMNS): as `pixel_array`s lie in memory."""
    z, y, x = np.indices((SLICES, ROWS, COLUMNS))
    hu = np.full(z.shape, -1000.0)
    hu[((x - 23) / 20) ** 2 + ((y - 20) / 17) ** 2 <= 1] = -100
    hu[((x - 22) / 17) ** 2 + ((y - 20) / 14) ** 2 <= 1] = 50
    hu[(x > 28) & (x < 35) & (y > 10) & (y < 14) & (z > 3)] = 700
    return np.clip(hu + np.random.default_rng(1).normal(0, 10, hu.shape), -1024, None).astype(np.int16)


def place(index: float, orientation=AXIAL, step_mm=STEP_MM) -> list[float]:
    normal = np.cross(orientation[:3], orientation[3:])
    return [round(float(v), 4) for v in np.array(ORIGIN) + index * step_mm * normal]


def ct_slice(index: int, series: str, hu=None, orientation=AXIAL) -> FileDataset:
    """One classic CT image, unsigned with intercept -1024, as most scanners write."""
    hu = body()[index] if hu is None else hu
    ds = _empty(CTImageStorage, series)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.InstanceNumber = index + 1
    ds.ImagePositionPatient = place(index, orientation)
    ds.ImageOrientationPatient = list(orientation)
    ds.PixelSpacing = list(PIXEL_MM)
    ds.SliceThickness = STEP_MM
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
    _pixels(ds, (hu.astype(np.int32) + 1024).astype(np.uint16))
    return ds


def write_series(
    folder: Path,
    *,
    series: str | None = None,
    change: Change | None = None,
    encode: Callable[[FileDataset], None] | None = None,
    orientation=AXIAL,
    number: int = 2,
    prefix: str = "I",
    suffix: str = "",
) -> str:
    """Write `SLICES` files in an order that is not theirs along the body; returns the series UID."""
    series = series or generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(SLICES):
        ds = ct_slice(index, series, orientation=orientation)
        ds.SeriesNumber = number
        if change is not None:
            change(index, ds)
        if encode is not None:
            encode(ds)
        ds.save_as(folder / f"{prefix}{index * 5 % SLICES:03d}{suffix}", enforce_file_format=True)
    return series


def enhanced(*, order=range(SLICES), shared_rescale: bool = False, scout: bool = False) -> FileDataset:
    """A multi-frame Enhanced CT whose frame n shows slice order[n]; each frame may have a rescale of its own."""
    ds = _empty(EnhancedCTImageStorage, generate_uid())
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.SeriesNumber = 4
    shared, frames, stored = Dataset(), [], []
    shared.PixelMeasuresSequence = _item(PixelSpacing=list(PIXEL_MM), SliceThickness=STEP_MM)
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=list(AXIAL))
    if shared_rescale:
        shared.PixelValueTransformationSequence = _item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    for index in order:
        frame, intercept = Dataset(), -1024 if shared_rescale else -1024 - index
        frame.PlanePositionSequence = _item(ImagePositionPatient=place(index))
        frame.CTImageFrameTypeSequence = _item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
        if not shared_rescale:
            frame.PixelValueTransformationSequence = _item(RescaleSlope=1, RescaleIntercept=intercept, RescaleType="HU")
        frames.append(frame)
        stored.append(body()[index].astype(np.int32) - intercept)
    if scout:
        frames[0].CTImageFrameTypeSequence = _item(FrameType=["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    ds.NumberOfFrames = len(frames)
    _pixels(ds, np.stack(stored).astype(np.uint16))
    return ds


def _item(**values) -> Sequence:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Sequence([item])


def _empty(sop_class: str, series: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    ds.Modality, ds.SeriesInstanceUID, ds.StudyInstanceUID = "CT", series, generate_uid()
    ds.SeriesDescription = "Body 3.0"
    return ds


def _pixels(ds: Dataset, stored: np.ndarray) -> None:
    ds.Rows, ds.Columns = stored.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = stored.astype("<u2").tobytes()
