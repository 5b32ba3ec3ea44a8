"""Complete DICOM CT series of one patient and study, and lesion masks and findings that lie in them."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_making import AXIAL, COLUMNS, ROWS, enhanced, write_series
from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from records_made import findings, lesion

from panlesion.ct.dicom import DicomCT, read_dicom
from panlesion.ct.volume import LabelMap
from panlesion.infer.dicom_seg import write_seg

STUDY, FRAME = "2.25.1111", "2.25.2222"
SAGITTAL = (0, 1, 0, 0, 0, -1)
CORONAL = (1, 0, 0, 0, 0, -1)
TURN = np.array([[0.9, -0.36, 0.2458], [0.3, 0.9, 0.3162]])
ROW = TURN[0] / np.linalg.norm(TURN[0])
COLUMN = TURN[1] - (TURN[1] @ ROW) * ROW
OBLIQUE = tuple(round(float(v), 7) for v in (*ROW, *(COLUMN / np.linalg.norm(COLUMN))))
ORIENTATIONS = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "oblique": OBLIQUE}


def complete(ds: Dataset) -> None:
    """Patient, study and frame of reference, as a scanner writes them."""
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Muster^Erika", "P-1", "19600102", "F"
    ds.StudyInstanceUID, ds.StudyDate, ds.StudyTime, ds.StudyID = STUDY, "20250304", "101112", "S1"
    ds.AccessionNumber, ds.ReferringPhysicianName, ds.StudyDescription = "A1", "Referrer^Ruth", "CT trunk"
    ds.FrameOfReferenceUID, ds.PatientAge = FRAME, "065Y"


def put(ds: Dataset, **values) -> None:
    """Set attributes to values that DICOM may forbid."""
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        ds[tag] = DataElement(tag, dictionary_VR(keyword), value, validation_mode=config.IGNORE)


def read_series(folder: Path, *, change=None, **how) -> DicomCT:
    """Write a complete series and read it; the files' order is not the slices'."""

    def completed(index: int, ds: Dataset) -> None:
        complete(ds)
        if change is not None:
            change(index, ds)

    write_series(folder, change=completed, **how)
    return read_dicom(folder)


def read_multiframe(path: Path, *, change=None, **how) -> DicomCT:
    """Write one Enhanced CT file and read it."""
    ds = enhanced(**how)
    complete(ds)
    if change is not None:
        change(ds)
    ds.save_as(path, enforce_file_format=True)
    return read_dicom(path)


def lesion_mask(ct: DicomCT, *, several: bool = True) -> LabelMap:
    """Lesions that no flip or swap of axes leaves alone, on some slices only: two that touch, one apart; or the first alone."""
    assert ct.volume.grid.shape[:2] == (COLUMNS, ROWS) and ct.volume.grid.shape[2] > 5
    labels = np.zeros(ct.volume.grid.shape, dtype=np.uint8)
    labels[10:14, 5:12, 1:4] = 1
    labels[14, 5:7, 1] = 1
    if several:
        labels[14:17, 7:12, 2:5] = 2
        labels[30, 31, 5] = 3
    return LabelMap(labels=labels, grid=ct.volume.grid)


def three_findings():
    """Findings of `lesion_mask`, of three kinds and in three organs."""
    return findings(
        lesion(1),
        lesion(2, type="kidney_cyst", organ="kidney_left", side="left", location="left upper pole", probability=0.5),
        lesion(3, type="other_mass", organ="", location="", attributes={}, sentence="", organ_mean_hu=None),
        kind="dicom",
    )


def seg_of(ct: DicomCT, path: Path, *, several: bool = True) -> tuple[LabelMap, Path]:
    """A mask, and the SEG that is written of it."""
    mask = lesion_mask(ct, several=several)
    return mask, write_seg(path, ct, mask, three_findings() if several else findings(lesion(1)))


def laid_over(path: Path, ct: DicomCT) -> np.ndarray:
    """The label map on the CT's grid that a SEG describes, by its own tags alone: no reference to an image is followed."""
    ds = pydicom.dcmread(path)
    (shared,) = ds.SharedFunctionalGroupsSequence
    row, column = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3)).astype(float)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    frames = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    labels = np.zeros(ct.volume.grid.shape, dtype=np.uint8)
    for frame, group in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        where = group if "SegmentIdentificationSequence" in group else shared
        r, c = np.nonzero(frame)
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        lps = position + c[:, None] * between_columns * row + r[:, None] * between_rows * column
        ijk = ct.volume.grid.to_ijk(lps * [-1, -1, 1])
        assert np.abs(ijk - ijk.round()).max() < 0.01
        i, j, k = ijk.round().astype(int).T
        assert not labels[i, j, k].any()
        labels[i, j, k] = where.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    return labels


def check_with_dciodvfy(path: Path) -> None:
    """No line of the DICOM validator says "Error"; skips where it is not installed."""
    lines = _said("dciodvfy", path)
    assert lines, "dciodvfy said nothing"
    assert [line for line in lines if line.startswith("Error")] == []


def check_with_dcentvfy(*paths: Path) -> None:
    """The files agree on patient and study; skips where the tool is not installed."""
    assert [line for line in _said("dcentvfy", *paths) if line.startswith("Error")] == []


def _said(tool: str, *paths: Path) -> list[str]:
    program = shutil.which(tool)
    if program is None:
        pytest.skip(f"{tool} (Debian package dicom3tools) is not installed")
    done = subprocess.run([program, *map(str, paths)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()
