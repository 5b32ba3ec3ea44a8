"""Soft-tissue sarcoma (Vallières et al. 2015, TCIA): one CT and one tumour mask a patient, `STS_xxx/{ct,ct_gtv}.nii.gz`."""

from collections.abc import Iterator
from pathlib import Path

from panlesion.ct.nifti import read_labels, read_volume
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.errors import StoreError, about

CLASSES = ("sarcoma",)


def read_sts(root: Path, *, spacing_mm: float) -> Iterator[LabelledCT]:
    """Every patient of the folder, in the standard frame at a spacing, sorted by id.

    Raises:
        StoreError: The folder holds no patient.
        ReadError: A patient's file is missing or damaged; the message has the patient.
    """
    folders = sorted(path for path in root.glob("STS_*") if path.is_dir())
    if not folders:
        raise StoreError(f"{root} holds no folder STS_xxx; give the folder with one sub-folder for each patient")
    for folder in folders:
        with about(folder.name):
            ct = read_volume(folder / "ct.nii.gz")
            label = read_labels(folder / "ct_gtv.nii.gz")
            yield LabelledCT(
                id=folder.name,
                patient=folder.name,
                ct=standardise(ct, spacing_mm),
                label=standardise_labels(label, spacing_mm),
            )
