"""Cases written as Pancreas-CT is published: one DICOM series a patient, labels whose headers count the rows backwards."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from panlesion.ct.nifti import write_labels
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.pancreas_ct import WITHDRAWN

_INTERCEPT = -1024


def write_pancreas_ct(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Images, labels, and the withdrawn cases as they are left: a label each, for one of them also an empty folder.

    Cases are brought to the standard axes first, since axial DICOM cannot be written on others.
    """
    labels = root / "TCIA_pancreas_labels-02-05-2017"
    labels.mkdir(parents=True)
    numbers = [number for number in (f"{n:04d}" for n in range(1, len(cases) + 3)) if number not in WITHDRAWN]
    for number, case in zip(numbers, cases, strict=False):
        spacing = min(case.ct.grid.spacing_mm)
        ct, label = standardise(case.ct, spacing), standardise_labels(case.label, spacing)
        _series(root / "Pancreas-CT" / f"PANCREAS_{number}" / "study" / "series", ct, f"PANCREAS_{number}")
        write_labels(labels / f"label{number}.nii.gz", _mirrored_header(label))
    for withdrawn in sorted(WITHDRAWN):
        write_labels(labels / f"label{withdrawn}.nii.gz", _mirrored_header(cases[0].label))
    (root / "Pancreas-CT" / f"PANCREAS_{min(WITHDRAWN)}").mkdir()
    return root


def _mirrored_header(label: LabelMap) -> LabelMap:
    """The same array under an affine whose second axis runs backwards over the same extent."""
    affine = label.grid.affine.copy()
    affine[:3, 3] += affine[:3, 1] * (label.grid.shape[1] - 1)
    affine[:3, 1] *= -1
    return LabelMap(labels=label.labels, grid=Grid(shape=label.grid.shape, affine=affine))


def _series(folder: Path, ct: Volume, patient: str) -> None:
    folder.mkdir(parents=True)
    series, study = generate_uid(), generate_uid()
    for k in range(ct.grid.shape[2]):
        ds = _slice(ct, k)
        ds.PatientID, ds.SeriesInstanceUID, ds.StudyInstanceUID = patient, series, study
        ds.save_as(folder / f"1-{k + 1:03d}.dcm", enforce_file_format=True)


def _slice(ct: Volume, k: int) -> FileDataset:
    """One axial image of a CT on the axes L, P, S, whose rows DICOM also counts to the back."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.Modality, ds.ImageType, ds.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], k + 1
    x, y, z = ct.grid.to_xyz((0, 0, k)).tolist()
    ds.ImagePositionPatient = [round(-x, 4), round(-y, 4), round(z, 4)]  # DICOM's world is L, P, S; ours R, A, S
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    i_mm, j_mm, k_mm = ct.grid.spacing_mm
    ds.PixelSpacing, ds.SliceThickness = [j_mm, i_mm], k_mm
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, _INTERCEPT, "HU"
    stored = np.clip(ct.hu[:, :, k].T.astype(np.int32) - _INTERCEPT, 0, None).astype("<u2")
    ds.Rows, ds.Columns = stored.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = stored.tobytes()
    return ds
