"""A CT volume as a DICOM series: one CT Image Storage file a plane, as a scanner writes them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from panlesion import __version__
from panlesion.ct.volume import STANDARD_AXES, Volume

_SHIFT_HU = 1024
"""Stored values are HU plus this, as scanners keep them unsigned."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Who a drawn scan is said to be of; everything is made up."""

    name: str
    id: str
    birth_date: str
    sex: str
    description: str
    accession: str
    at: datetime


def write_series(folder: Path, ct: Volume, patient: Patient, *, entropy: str) -> list[Path]:
    """Write every axial plane of a CT in L,P,S as a file; the same `entropy` gives the same UIDs.

    Raises:
        ValueError: The axes are others.
    """
    if ct.grid.axes != STANDARD_AXES:
        raise ValueError(f"axes are {ct.grid.axes}; only {STANDARD_AXES} has axial planes that DICOM takes as they are")
    study, series, frame = (_uid(entropy, what) for what in ("study", "series", "frame"))
    spacing = ct.grid.spacing_mm
    files = []
    for k in range(ct.grid.shape[2]):
        x, y, z = ct.grid.to_xyz((0.0, 0.0, float(k))).tolist()
        image = _image(patient, _uid(entropy, f"image {k}"))
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, series, frame
        image.InstanceNumber = ct.grid.shape[2] - k
        # RAS+ to DICOM's LPS+
        image.ImagePositionPatient = [f"{value:.4f}" for value in (-x, -y, z)]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing = [f"{spacing[1]:.5f}", f"{spacing[0]:.5f}"]
        image.SliceThickness = image.SpacingBetweenSlices = f"{spacing[2]:.5f}"
        image.SliceLocation = f"{z:.4f}"
        stored = np.clip(ct.hu[:, :, k].T.astype(np.int32) + _SHIFT_HU, 0, 4095).astype("<u2")
        image.Rows, image.Columns = stored.shape
        image.PixelData = stored.tobytes()
        path = folder / f"{k:04d}.dcm"
        image.save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def _uid(entropy: str, what: str) -> UID:
    # pydicom's own draws a random one where there is no prefix, whatever the entropy
    return UID(f"2.25.{uuid5(NAMESPACE_OID, f'panlesion demo {entropy} {what}').int}")


def _image(patient: Patient, sop_uid: UID) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, sop_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, sop_uid
    day, clock = patient.at.strftime("%Y%m%d"), patient.at.strftime("%H%M%S")
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = day
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = clock
    image.AccessionNumber, image.Modality = patient.accession, "CT"
    image.Manufacturer, image.ManufacturerModelName = "panlesion", "drawn phantom"
    image.SoftwareVersions, image.DeviceSerialNumber = __version__, "0"
    image.ReferringPhysicianName, image.StudyID, image.SeriesNumber = "", "1", 1
    image.AcquisitionNumber = 1
    image.StudyDescription, image.SeriesDescription = patient.description, "drawn CT, no real patient"
    image.PatientName, image.PatientID = patient.name, patient.id
    image.PatientBirthDate, image.PatientSex = patient.birth_date, patient.sex
    image.BodyPartExamined = "CHESTABDPELVIS"
    image.PatientPosition, image.PositionReferenceIndicator, image.KVP = "HFS", "", "120"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = -_SHIFT_HU, 1, "HU"
    image.WindowCenter, image.WindowWidth = 40, 400
    image.BurnedInAnnotation = "NO"
    return image
