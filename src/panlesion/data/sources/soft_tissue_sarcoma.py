"""Soft-tissue-Sarcoma (Vallières et al. 2015, TCIA): 51 sarcomas of the extremities, outlined on CT, PET and two MRs.

The CT of the PET/CT and the structure set drawn on it are read; PET, MR and their structure sets are passed over.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from panlesion.data.sources._tcia import ct_of, open_ct, patient_folders, series_below
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.rtstruct import RTSTRUCT_CLASS, read_structures, region_label
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError, about

MASS = re.compile(r"GTV[ _]Mass(_CT)?", re.IGNORECASE)
"""The tumour; `GTV_Edema` beside it is the oedema around it. One public copy has the scan in the name."""


def find(root: Path) -> Sequence[FoundCase]:
    """Patients by name.

    Raises:
        StoreError: No patient, or one without exactly one structure set with the tumour on its CT.
    """
    return [_case(folder) for folder in patient_folders(root, r"STS_\d{3}", "Soft-tissue-Sarcoma", such_as="STS_001")]


def _case(folder: Path) -> FoundCase:
    found = series_below(folder)
    pairs = [
        (annotation, ct)
        for annotation in found
        if annotation.sop_class == RTSTRUCT_CLASS and any(MASS.fullmatch(name) for name in annotation.names)
        if (ct := ct_of(annotation, found)) is not None
    ]
    if len(pairs) != 1:
        listed = "; ".join(f"{one.path.name} with {', '.join(one.names)}" for one in found if one.names) or "none"
        raise StoreError(
            f"{folder}: {len(pairs)} structure sets with GTV_Mass on a CT of {sum(one.ct for one in found)}; there must be "
            f"one. Structure sets: {listed}"
        )
    ((annotation, ct),) = pairs
    return FoundCase(id=folder.name, patient=folder.name, image=ct.path, label=annotation.path)


def read(case: FoundCase) -> LabelledCT:
    """The CT and the tumour, 1."""
    with about(case.id):
        assert case.label is not None
        structures = read_structures(case.label)
        volume, source = open_ct(case.image, structures.series)
        return LabelledCT(id=case.id, patient=case.patient, ct=volume, label=region_label(structures, MASS, source))


SOURCE = Source(
    id="soft_tissue_sarcoma",
    title="Soft-tissue-Sarcoma (TCIA), CT",
    classes=("sarcoma",),
    lesions=("sarcoma",),
    licence="CC BY 3.0",
    get="https://doi.org/10.7937/K9/TCIA.2015.7GO2GSKS, with NBIA Data Retriever",
    layout="STS_001/<study>/<series>/*.dcm",
    find=find,
    read=read,
)
