"""Soft-tissue sarcoma (Vallières et al. 2015, TCIA): CT and T1 MR of each patient with the tumour's mask on both.

`STS_xxx/{ct,ct_gtv,mr_t1,mr_t1_gtv}.nii.gz`, as the validation set of the IBSI has them, cut around the tumour.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import read_labels, read_volume
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.data.sources._layout import every, folder_with, listed, read_published, wrong_tree
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError, about

CLASSES = ("sarcoma",)
VALUES = MappingProxyType({1: "sarcoma"})
_CASE = re.compile(r"(STS_\d{3})")


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


def _find(root: Path, *, stem: str, modality: Modality) -> Sequence[FoundCase]:
    cases = every(folder_with(root, "STS_*", (), _layout_of(stem)), "STS_*", _CASE, _layout_of(stem))
    for file in (f"{stem}.nii.gz", f"{stem}_gtv.nii.gz"):
        if lacking := [name for name, path in cases.items() if not (path / file).is_file()]:
            raise wrong_tree(root, f"{listed(lacking)} lack {file}; add it or move the folder away", _layout_of(stem))
    return [
        FoundCase(
            id=name, patient=name, image=path / f"{stem}.nii.gz", label=path / f"{stem}_gtv.nii.gz", modality=modality
        )
        for name, path in cases.items()
    ]  # fmt: skip


def _layout_of(stem: str) -> str:
    return f"STS_001/{stem}.nii.gz with STS_001/{stem}_gtv.nii.gz, one folder a patient"


def _source(identifier: str, title: str, stem: str, modality: Modality) -> Source:
    return Source(
        id=identifier,
        title=title,
        classes=CLASSES,
        lesions=CLASSES,
        licence="CC BY 3.0",
        get="images and GTV masks of https://doi.org/10.7937/K9/TCIA.2015.7GO2GSKS (Soft-tissue-Sarcoma) as NIfTI",
        layout=_layout_of(stem),
        find=partial(_find, stem=stem, modality=modality),
        read=partial(read_published, values=VALUES),
        published=51,
    )


STS = _source("sts", "Soft-tissue sarcoma on CT", "ct", Modality.CT)
STS_MR = _source("sts_mr", "Soft-tissue sarcoma on T1 MR", "mr_t1", Modality.MR)
