"""NSCLC-Radiomics, "LUNG1" (Aerts et al. 2014, TCIA): planning CT and RTSTRUCT of 422 lung cancers, with survival and stage.

Facts of a case are the columns of the clinical table, among them `Survival.time` (days), `deadstatus.event` (1 died) and
`Overall.Stage`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from panlesion.data.sources._clinical import clinical_facts
from panlesion.data.sources._tcia import FoundSeries, ct_of, left_out, open_ct, patient_folders, series_below
from panlesion.data.sources._unlabelled import no_label
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.rtstruct import RTSTRUCT_CLASS, read_structures, region_label
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError, about

TUMOUR = re.compile(r"GTV[ _-]?1", re.IGNORECASE)
"""The primary tumour; other GTVs are lymph nodes or further tumours."""

LEFT_OUT = ("LUNG1-014", "LUNG1-021", "LUNG1-085", "LUNG1-095", "LUNG1-194")
"""CT and annotation of these do not fit (the first lacks 16 slices); users of the set leave them out."""

_TABLE = re.compile(r"NSCLC.*Lung1.*clinical.*\.csv", re.IGNORECASE)
_NEEDED = ("Survival.time", "deadstatus.event", "Overall.Stage")


def find(root: Path) -> Sequence[FoundCase]:
    """Patients by name, without those of `LEFT_OUT`; `label` is None for one whose sets have no GTV-1 (LUNG1-128).

    Raises:
        StoreError: No patient, no clinical table, a patient without a row in it, without a CT, or with several.
    """
    folders = patient_folders(root, r"LUNG1-\d{3}", "NSCLC-Radiomics", such_as="LUNG1-001")
    facts = _facts(folders[0].parent)
    without = [folder.name for folder in folders if folder.name not in facts]
    if without:
        raise StoreError(f"{root}: {', '.join(without[:5])} ({len(without)} in all) have no row in the clinical table")
    reasons: list[str] = []
    cases = []
    for folder in folders:
        if folder.name in LEFT_OUT:
            reasons.append(f"{folder.name} (CT and annotation do not fit)")
            continue
        ct, label = _series(folder)
        cases.append(FoundCase(id=folder.name, patient=folder.name, image=ct.path, label=label, facts=facts[folder.name]))
    left_out("NSCLC-Radiomics", reasons)
    return cases


def _facts(folder: Path) -> dict[str, Mapping[str, str]]:
    """The clinical table, in the folder of the patients or the one above it."""
    tables = [path for place in (folder, folder.parent) for path in sorted(place.iterdir()) if _TABLE.fullmatch(path.name)]
    if not tables:
        raise StoreError(
            f"{folder}: no clinical table; download 'NSCLC Radiomics Lung1.clinical-version3-Oct-2019.csv' from the same page "
            "as the images and put it there"
        )
    return clinical_facts(tables[0], patient=("PatientID",), needed=_NEEDED)


def _series(folder: Path) -> tuple[FoundSeries, Path | None]:
    found = series_below(folder)
    sets = [one for one in found if one.sop_class == RTSTRUCT_CLASS]
    drawn = [(one, ct) for one in sets if any(map(TUMOUR.fullmatch, one.names)) if (ct := ct_of(one, found)) is not None]
    if len(drawn) > 1:
        raise StoreError(f"{folder}: {len(drawn)} structure sets with GTV-1 on its CT; there must be one")
    if drawn:
        return drawn[0][1], drawn[0][0].path
    cts = [one for one in found if one.ct]
    if len(cts) != 1:
        raise StoreError(f"{folder}: {len(cts)} CT series and no structure set with GTV-1; there must be one CT")
    names = sorted({name for one in sets for name in one.names})
    left_out(
        "NSCLC-Radiomics", [f"the annotation of {folder.name} (no GTV-1 on its CT; regions: {', '.join(names) or 'none'})"]
    )
    return cts[0], None


def read(case: FoundCase) -> LabelledCT:
    """The CT and the primary tumour, 1."""
    with about(case.id):
        if case.label is None:
            return no_label(case)
        structures = read_structures(case.label)
        volume, source = open_ct(case.image, structures.series)
        return LabelledCT(id=case.id, patient=case.patient, ct=volume, label=region_label(structures, TUMOUR, source))


SOURCE = Source(
    id="nsclc_radiomics",
    title="NSCLC-Radiomics (LUNG1)",
    classes=("lung_tumor",),
    lesions=("lung_tumor",),
    licence="CC BY-NC 3.0",
    get="https://doi.org/10.7937/K9/TCIA.2015.PF0M9REI, images with NBIA Data Retriever and the table 'Lung1 clinical'",
    layout="LUNG1-001/<study>/<series>/*.dcm, NSCLC Radiomics Lung1.clinical-version3-Oct-2019.csv beside or above them",
    find=find,
    read=read,
)
