"""What the masks of KiTS23 say of each tumour, measured once and kept; and the columns that models see of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.protocol import Watch
from panlesion.bench.rows import append_line, claim_folder, read_lines
from panlesion.data.sources.kits_masks import CYST, KIDNEY, TUMOUR, Clinical, Patient, Sex, TStage, read_mask
from panlesion.errors import PanlesionError
from panlesion.measure.tumour_in_organ import measure_tumour

SHAPES = "shapes.jsonl"
MEASURES = 1
"""Raised when a measured number changes its meaning: a folder with older ones is refused."""

SIZE = ("log diameter",)
SIZES = ("log diameter", "log axial long", "log axial short", "log height", "log volume")
FORM = ("sphericity", "solidity", "roughness", "elongation", "flatness")
SEAT = ("contact", "exophytic", "polar", "hilum", "midline")
KIDNEYS = ("tumours", "log cysts", "log cyst volume", "log other tumours", "log own kidney", "log other kidney", "sides")
SHAPE = (*FORM, *SEAT, *KIDNEYS)
DEMOGRAPHY = ("age", "male", "bmi")
READER_SIZE = ("log radiologist's size",)
PATHOLOGY = ("stage", "nodes", "metastases")
_ORDER = {stage: n for n, stage in enumerate(TStage)}


@dataclass(frozen=True, kw_only=True)
class KitsCase:
    """A patient and what was measured on the masks."""

    patient: Patient
    numbers: Mapping[str, float]


def measured_cases(
    clinical: Clinical, root: Path, out: Path, watch: Watch, *, most: int | None = None
) -> tuple[list[KitsCase], list[str]]:
    """Every patient with its measured masks, and a line for each whose mask cannot be used. A second run reads the first's.

    Raises:
        StoreError: `out` holds what another version measured, or a damaged file.
    """
    claim_folder(out, {"measures": MEASURES})
    path = out / SHAPES
    known = {row["case"]: row for row in read_lines(path)}
    patients = clinical.patients[:most]
    for number, patient in enumerate(patients):
        if patient.case not in known:
            watch(f"measuring {patient.case}", number, len(patients))
            known[patient.case] = _measured(root, patient.case)
            append_line(path, known[patient.case])
    refused = [known[one.case]["refused"] for one in patients if "refused" in known[one.case]]
    cases = [KitsCase(patient=one, numbers=known[one.case]["numbers"]) for one in patients if "numbers" in known[one.case]]
    return cases, refused


def _measured(root: Path, case: str) -> dict[str, object]:
    try:
        found = measure_tumour(read_mask(root, case), organ=KIDNEY, tumour=TUMOUR, cyst=CYST)
    except PanlesionError as error:
        return {"case": case, "refused": str(error)}
    return {"case": case, "numbers": dict(found.numbers())}


def columns(cases: Sequence[KitsCase]) -> dict[str, NDArray[np.float64]]:
    """Named columns (N,), NaN where unknown. Lengths and volumes are logs: what doubles counts alike at every size."""

    def of(name: str) -> NDArray:
        return np.array([case.numbers.get(name, np.nan) for case in cases], dtype=np.float64)

    def fact(read: str) -> NDArray:
        values = [getattr(case.patient, read) for case in cases]
        return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)

    stages = [case.patient.t_stage for case in cases]
    return {
        "log diameter": np.log(of("diameter_mm")),
        "log axial long": np.log1p(of("axial_long_mm")),
        "log axial short": np.log1p(of("axial_short_mm")),
        "log height": np.log(of("extent_z_mm")),
        "log volume": np.log(of("volume_ml")),
        **{name: of(name) for name in FORM},
        "contact": of("contact_share"),
        "exophytic": of("exophytic_share"),
        "polar": of("polar"),
        "hilum": of("hilum_mm"),
        "midline": of("midline_mm"),
        "tumours": of("tumours"),
        "log cysts": np.log1p(of("cysts")),
        "log cyst volume": np.log1p(of("cyst_ml")),
        "log other tumours": np.log1p(np.maximum(of("tumour_ml") - of("volume_ml"), 0)),
        "log own kidney": np.log1p(of("organ_ml")),
        "log other kidney": np.log(of("other_organ_ml")),
        "sides": np.isfinite(of("other_organ_ml")).astype(np.float64),
        "age": fact("age"),
        "male": np.array([float(case.patient.sex is not Sex.FEMALE) for case in cases]),
        "bmi": fact("bmi"),
        "log radiologist's size": np.log(fact("radiographic_cm")),
        "stage": np.array([np.nan if stage is None else float(_ORDER[stage]) for stage in stages]),
        # not looked for counts as not there, as in the clinic
        "nodes": np.nan_to_num(fact("nodes")),
        "metastases": np.nan_to_num(fact("metastases")),
    }


def bad_lines(rows: Sequence[str], masks: Sequence[str]) -> list[str]:
    """What a result says of rows and masks that were left out because they break a rule."""
    lines = [f"Rows that could not be used: {'; '.join(rows)}."] if rows else []
    return lines + ([f"Masks that could not be used: {'; '.join(masks)}."] if masks else [])
