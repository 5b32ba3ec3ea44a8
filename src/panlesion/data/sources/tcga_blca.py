"""TCGA-BLCA (TCIA and GDC): CT of bladder cancers with stage and survival; nobody drew the tumours.

Facts of a case are the columns of GDC's clinical table, among them `ajcc_pathologic_stage`, `vital_status`, `days_to_death` and
`days_to_last_follow_up`; what the table leaves open is "".
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from panlesion.data.sources._clinical import clinical_facts
from panlesion.data.sources._tcia import left_out, patient_folders, series_below
from panlesion.data.sources._unlabelled import no_label
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError, about

FEWEST_IMAGES = 20
"""A series of fewer images is a scout, a timing run or a screen capture; ours."""

_TABLE = re.compile(r"(.*[_. -])?clinical([_. -].*)?\.(tsv|csv)", re.IGNORECASE)
_PATIENT = ("case_submitter_id", "cases.submitter_id", "bcr_patient_barcode")
_NEEDED = ("ajcc_pathologic_stage", "vital_status", "days_to_death", "days_to_last_follow_up")


def find(root: Path) -> Sequence[FoundCase]:
    """Patients with a CT, by name: of each the axial series with most images, the first of several.

    Raises:
        StoreError: No patient, none with a CT, no clinical table, or a patient without a row in it.
    """
    folders = patient_folders(root, r"TCGA-\w{2}-\w{4}", "TCGA-BLCA", such_as="TCGA-4Z-AA7M")
    facts = _facts(folders[0].parent)
    without = [folder.name for folder in folders if folder.name not in facts]
    if without:
        raise StoreError(f"{root}: {', '.join(without[:5])} ({len(without)} in all) have no row in the clinical table")
    reasons: list[str] = []
    cases = []
    for folder in folders:
        found = [one for one in series_below(folder) if one.ct and one.axial and one.files >= FEWEST_IMAGES]
        if not found:
            reasons.append(f"{folder.name} (no axial CT of {FEWEST_IMAGES} images or more)")
            continue
        image = max(found, key=lambda one: one.files).path
        cases.append(FoundCase(id=folder.name, patient=folder.name, image=image, facts=facts[folder.name]))
    left_out("TCGA-BLCA", reasons)
    if not cases:
        raise StoreError(f"{root}: none of its {len(folders)} patients has an axial CT of {FEWEST_IMAGES} images or more")
    return cases


def _facts(folder: Path) -> dict[str, Mapping[str, str]]:
    """The clinical table, in the folder of the patients or the one above it."""
    tables = [path for place in (folder, folder.parent) for path in sorted(place.iterdir()) if _TABLE.fullmatch(path.name)]
    if not tables:
        raise StoreError(
            f"{folder}: no clinical table; at portal.gdc.cancer.gov choose project TCGA-BLCA, download 'Clinical' as TSV, and "
            "put clinical.tsv there"
        )
    return clinical_facts(tables[0], patient=_PATIENT, needed=_NEEDED)


def read(case: FoundCase) -> LabelledCT:
    """The CT, and a label of zeros."""
    with about(case.id):
        return no_label(case)


SOURCE = Source(
    id="tcga_blca",
    title="TCGA-BLCA, CT with stage and survival",
    classes=(),
    lesions=(),
    licence="CC BY 3.0",
    get="https://doi.org/10.7937/K9/TCIA.2016.8LNG8XDR with NBIA Data Retriever, and clinical.tsv of TCGA-BLCA from GDC",
    layout="TCGA-4Z-AA7M/<study>/<series>/*.dcm, clinical.tsv beside or above them",
    find=find,
    read=read,
)
