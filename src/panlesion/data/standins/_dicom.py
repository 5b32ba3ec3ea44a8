"""DICOM of stand-ins: image series, structure sets and SEGs of drawn cases, no more than their readers need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from panlesion.ct.modality import Modality
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.data.sources.dicom_seg_read import SEG_CLASS
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.rtstruct import RTSTRUCT_CLASS
from panlesion.data.standins._loops import loops

_CLASSES = {Modality.CT: CTImageStorage, Modality.MR: MRImageStorage}
_OFFSET_HU = 1024
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """A series that was written: its identity and geometry, and the SOP Instance UID of each slice."""

    patient: str
    study: str
    series: str
    frame: str
    grid: Grid
    images: tuple[str, ...]


def uid_of(*names: str) -> str:
    """The same UID for the same names, so that writing twice gives the same files."""
    return str(generate_uid(entropy_srcs=["panlesion stand-in", *names]))


def write_series(
    folder: Path,
    volume: Volume,
    *,
    patient: str,
    study: str = "1",
    number: int = 1,
    modality: Modality = Modality.CT,
    name: Callable[[int], str] = lambda k: f"1-{k + 1:03d}.dcm",
    description: str = "stand-in",
) -> Series:
    """Write a volume as one image per slice, named by their k.

    The array axes must be right-handed, as those of a DICOM scan are. The values of an MR are stored as they are.
    """
    if np.linalg.det(volume.grid.affine[:3, :3]) < 0:
        raise ValueError(f"axes {volume.grid.axes} are left-handed; a DICOM scan has right-handed ones, such as LPS")
    series = Series(
        patient=patient,
        study=uid_of(patient, study),
        series=uid_of(patient, study, str(number), modality),
        frame=uid_of(patient, study, "frame"),
        grid=volume.grid,
        images=tuple(uid_of(patient, study, str(number), modality, str(k)) for k in range(volume.grid.shape[2])),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(volume.grid.shape[2]):
        ds = _image(series, k, modality)
        ds.SeriesNumber, ds.SeriesDescription, ds.InstanceNumber = number, description, k + 1
        offset = _OFFSET_HU if modality is Modality.CT else 0
        if offset:
            ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -offset, "HU"
        _set_pixels(ds, (volume.hu[:, :, k].T.astype(np.int32) + offset).clip(0).astype("<u2"))
        save(ds, folder / name(k))
    return series


def right_handed(case: LabelledCT) -> LabelledCT:
    """The same voxels on right-handed array axes, the first turned round where it must be."""
    if np.linalg.det(case.ct.grid.affine[:3, :3]) > 0:
        return case
    affine = case.ct.grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (case.ct.grid.shape[0] - 1)
    affine[:3, 0] *= -1
    grid = Grid(shape=case.ct.grid.shape, affine=affine)
    return LabelledCT(
        id=case.id,
        patient=case.patient,
        ct=Volume(hu=case.ct.hu[::-1], grid=grid),
        label=LabelMap(labels=case.label.labels[::-1], grid=grid),
    )


def write_masks(folder: Path, mask: NDArray[np.bool_], series: Series, name: Callable[[int], str]) -> None:
    """Write a mask as one 8-bit image per slice of a series, 255 inside."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(mask.shape[2]):
        ds = _image(series, k, Modality.CT)
        ds.SOPInstanceUID = uid_of(series.images[k], folder.name)
        ds.SeriesInstanceUID = uid_of(series.series, folder.name)
        ds.InstanceNumber = k + 1
        _set_pixels(ds, np.where(mask[:, :, k].T, np.uint8(255), np.uint8(0)))
        save(ds, folder / name(k))


def write_structures(path: Path, series: Series, regions: Mapping[str, NDArray[np.bool_]], *, number: int = 9) -> None:
    """Write masks on the grid of a series as an RTSTRUCT: contours along the borders of their voxels, slice by slice."""
    ds = _annotation(RTSTRUCT_CLASS, "RTSTRUCT", series, path, number)
    ds.StructureSetLabel = "stand-in"
    study, referenced, frame = Dataset(), Dataset(), Dataset()
    referenced.SeriesInstanceUID = series.series
    referenced.ContourImageSequence = [_reference(uid) for uid in series.images]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", series.study
    study.RTReferencedSeriesSequence = [referenced]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = series.frame, [study]
    ds.ReferencedFrameOfReferenceSequence = [frame]
    ds.StructureSetROISequence, ds.ROIContourSequence = [], []
    for roi, (name, mask) in enumerate(regions.items(), 1):
        item, drawn = Dataset(), Dataset()
        item.ROINumber, item.ROIName, item.ReferencedFrameOfReferenceUID = roi, name, series.frame
        drawn.ReferencedROINumber = roi
        drawn.ContourSequence = [
            contour_item(_corners_lps(loop, k, series.grid), series.images[k])
            for k in np.flatnonzero(mask.any(axis=(0, 1))).tolist()
            for loop in loops(mask[:, :, k])
        ]
        ds.StructureSetROISequence.append(item)
        ds.ROIContourSequence.append(drawn)
    save(ds, path)


def contour_item(points_lps: NDArray[np.float64], image: str) -> Dataset:
    """A closed contour (N, 3) as an item of a ContourSequence."""
    item = Dataset()
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(points_lps)
    item.ContourData = [f"{v:.4f}" for v in points_lps.ravel()]
    item.ContourImageSequence = [_reference(image)]
    return item


def write_seg(path: Path, series: Series, segments: Sequence[tuple[str, str, NDArray[np.bool_]]], *, number: int = 9) -> None:
    """Write masks on the grid of a series as a BINARY SEG; a segment is its label, the meaning of its type, its mask."""
    ds = _annotation(SEG_CLASS, "SEG", series, path, number)
    ds.SegmentationType, ds.FrameOfReferenceUID = "BINARY", series.frame
    referenced, shared = Dataset(), Dataset()
    referenced.SeriesInstanceUID = series.series
    referenced.ReferencedInstanceSequence = [_reference(uid) for uid in series.images]
    ds.ReferencedSeriesSequence = [referenced]
    row, column = _directions(series.grid)
    shared.PlaneOrientationSequence = [_with(ImageOrientationPatient=_ds([*row, *column]))]
    shared.PixelMeasuresSequence = [_with(PixelSpacing=_ds(series.grid.spacing_mm[1::-1]))]
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.SegmentSequence, groups, frames = [], [], []
    for n, (label, meaning, mask) in enumerate(segments, 1):
        kind = _with(CodeValue="0", CodingSchemeDesignator="99PAN", CodeMeaning=meaning)
        ds.SegmentSequence.append(_with(SegmentNumber=n, SegmentLabel=label, SegmentedPropertyTypeCodeSequence=[kind]))
        for k in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
            group = Dataset()
            group.PlanePositionSequence = [_with(ImagePositionPatient=_ds(_lps(series.grid, (0, 0, k))))]
            group.SegmentIdentificationSequence = [_with(ReferencedSegmentNumber=n)]
            groups.append(group)
            frames.append(mask[:, :, k].T)
    ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = groups, len(groups)
    _set_pixels(ds, np.zeros((1, 1), dtype=np.uint8))
    ds.Rows, ds.Columns = series.grid.shape[1], series.grid.shape[0]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PixelData = pack_bits(np.stack(frames).astype(np.uint8).ravel(), pad=True)
    save(ds, path)


def save(ds: Dataset, path: Path) -> None:
    """Write a data set as a DICOM file, explicit VR little endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(ds.SOPClassUID), UID(ds.SOPInstanceUID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)


def _image(series: Series, k: int, modality: Modality) -> Dataset:
    """A slice of a series without its pixels."""
    ds = _identity(series)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = _CLASSES[modality], series.images[k], modality.upper()
    ds.SeriesInstanceUID, ds.FrameOfReferenceUID = series.series, series.frame
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    row, column = _directions(series.grid)
    ds.ImagePositionPatient, ds.ImageOrientationPatient = _ds(_lps(series.grid, (0, 0, k))), _ds([*row, *column])
    ds.PixelSpacing, ds.SliceThickness = _ds(series.grid.spacing_mm[1::-1]), _ds(series.grid.spacing_mm[2:])[0]
    return ds


def _annotation(sop_class: str, modality: str, series: Series, path: Path, number: int) -> Dataset:
    ds = _identity(series)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = sop_class, uid_of(series.series, path.name, modality), modality
    ds.SeriesInstanceUID, ds.SeriesNumber = uid_of(series.series, modality, str(number)), number
    return ds


def _identity(series: Series) -> Dataset:
    ds = Dataset()
    ds.PatientID, ds.PatientName, ds.StudyInstanceUID = series.patient, series.patient, series.study
    return ds


def _reference(image: str) -> Dataset:
    return _with(ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=image)


def _with(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _set_pixels(ds: Dataset, stored: NDArray) -> None:
    bits = stored.dtype.itemsize * 8
    ds.Rows, ds.Columns = stored.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
    data = stored.tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)


def _directions(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors along a pixel row and down a pixel column, LPS."""
    axes = grid.affine[:3, :3] / np.array(grid.spacing_mm) * _RAS_TO_LPS[:, None]
    return axes[:, 0], axes[:, 1]


def _lps(grid: Grid, ijk: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.asarray(grid.to_xyz(ijk) * _RAS_TO_LPS)


def _corners_lps(loop: NDArray[np.float64], k: int, grid: Grid) -> NDArray[np.float64]:
    return np.asarray(grid.to_xyz(np.column_stack([loop, np.full(len(loop), k)])) * _RAS_TO_LPS)


def _ds(values: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Numbers as DICOM's decimal strings of at most 16 characters."""
    return [f"{float(v):.9f}"[:16] for v in values]
