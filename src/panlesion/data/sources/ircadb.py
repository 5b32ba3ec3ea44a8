"""3D-IRCADb-01 (IRCAD, Strasbourg): portal-venous CT of 20 patients, 15 with liver tumours, with a mask for every structure.

`3Dircadb1.N/PATIENT_DICOM/image_0 …` and, for each structure, `MASKS_DICOM/<structure>/image_0 …`: DICOM without a file
extension, the mask of a slice by the slice's own file name. The download has zips within the zip; they must be unpacked too.
Tumours are in folders livertumor, livertumor1, livertumor01 …, cysts in livercyst, liverkyst(e). Patient 7's "tumor" and
patient 5's leftsurretumor and rightsurretumor are of the adrenal glands, and are not read.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from panlesion.ct.dicom import DicomCT
from panlesion.ct.dicom_header import damaged
from panlesion.ct.read import read_ct_with_source
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import ReadError, StoreError, about

CT, MASKS = "PATIENT_DICOM", "MASKS_DICOM"

_STRUCTURES = (
    (1, re.compile(r"liver", re.IGNORECASE)),
    (2, re.compile(r"livertumou?rs?\d*", re.IGNORECASE)),
    (3, re.compile(r"liver(cyst|kyste?)s?\d*", re.IGNORECASE)),
)
"""Label value and the folders that have it; where two overlap, the higher value stays."""


def find(root: Path) -> Sequence[FoundCase]:
    """Patients by number.

    Raises:
        StoreError: No patient, an inner zip that was not unpacked, or a patient without CT or liver mask.
    """
    for folder in (root, root / "3Dircadb1"):
        patients = {
            int(path.name.rpartition(".")[2]): path
            for path in (folder.iterdir() if folder.is_dir() else ())
            if path.is_dir() and re.fullmatch(r"3Dircadb1\.\d+", path.name, re.IGNORECASE)
        }
        if patients:
            return [_case(patients[number]) for number in sorted(patients)]
    raise StoreError(
        f"{root} holds no patient of 3D-IRCADb-01: folders must be named 3Dircadb1.1 …; unpack 3Dircadb1.zip first"
    )


def _case(patient: Path) -> FoundCase:
    image, label = _unpacked(patient, CT), _unpacked(patient, MASKS)
    names = sorted(path.name for path in label.iterdir() if path.is_dir())
    if not any(_STRUCTURES[0][1].fullmatch(name) for name in names):
        raise StoreError(f"{label}: no folder 'liver'; there are {', '.join(names) or 'none'}. Every patient must have one")
    return FoundCase(id=patient.name, patient=patient.name, image=image, label=label)


def _unpacked(patient: Path, name: str) -> Path:
    folder = patient / name
    if not folder.is_dir():
        if (patient / f"{name}.zip").is_file():
            raise StoreError(f"{patient / name}.zip was not unpacked; unpack every zip inside the patients' folders")
        raise StoreError(f"{patient}: no folder {name}; each patient must have {CT} and {MASKS}")
    # unpacking into a folder of the zip's name doubles it
    return folder / name if (folder / name).is_dir() else folder


def read(case: FoundCase) -> LabelledCT:
    """The CT with liver 1, tumours 2 and cysts 3."""
    with about(case.id):
        assert case.label is not None
        volume, source = read_ct_with_source(case.image)
        assert source is not None  # a folder is never NIfTI
        labels = np.zeros(volume.grid.shape, dtype=np.uint8)
        for value, named in _STRUCTURES:
            for folder in sorted(path for path in case.label.iterdir() if path.is_dir() and named.fullmatch(path.name)):
                labels[_mask(folder, source)] = value
        return LabelledCT(id=case.id, patient=case.patient, ct=volume, label=LabelMap(labels=labels, grid=volume.grid))


def _mask(folder: Path, ct: DicomCT) -> NDArray[np.bool_]:
    """A structure on the CT's grid, slice by file name."""
    slices = {reference.path.name: k for k, reference in enumerate(ct.slices)}
    there = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    if there != slices.keys():
        odd = sorted(there ^ slices.keys())
        raise ReadError(
            f"{folder}: {len(there)} files for {len(slices)} slices; each slice needs one mask of its own name. "
            f"Without partner: {', '.join(odd[:3])} ({len(odd)} in all)"
        )
    columns, rows, _ = ct.volume.grid.shape
    mask = np.zeros(ct.volume.grid.shape, dtype=np.bool_)
    for name, k in slices.items():
        with damaged(str(folder / name), "the mask cannot be read"):
            pixels = pydicom.dcmread(folder / name, force=True).pixel_array
        if pixels.shape != (rows, columns):
            raise ReadError(f"{folder / name}: {pixels.shape} pixels, its slice has {(rows, columns)}; they must be equal")
        mask[:, :, k] = pixels.T > 0
    return mask


SOURCE = Source(
    id="ircadb",
    title="3D-IRCADb-01, liver tumours",
    classes=("liver", "liver_tumor", "liver_cyst"),
    lesions=("liver_tumor", "liver_cyst"),
    licence="CC BY-NC-ND 4.0",
    get="https://www.ircad.fr/research/data-sets/liver-segmentation-3d-ircadb-01/; unpack the zips within the zip too",
    layout="3Dircadb1.1/PATIENT_DICOM/image_0 …, 3Dircadb1.1/MASKS_DICOM/<structure>/image_0 …",
    find=find,
    read=read,
)
