"""KiTS23 without its images as stand-ins: two drawn kidneys, a tumour on one, and a clinical table that goes with them.

The stage is a tumour's size, as the staging rules have it; who dies and when is dealt out, and means nothing.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.nifti import write_labels
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.sources.kits_masks import COLUMNS, CYST, KIDNEY, MASKS, SPACING_MM, TABLE, TUMOUR, TStage

_SHAPE = (80, 36, 40)
_KIDNEYS_X_MM, _MIDDLE_MM, _KIDNEY_RADII_MM = (42.0, 114.0), (36.0, 40.0), (16.0, 14.0, 30.0)
_RADII_MM = {TStage.T1A: 8.0, TStage.T1B: 12.0, TStage.T2A: 16.0, TStage.T3: 20.0}
_BENIGN_EVERY = 12


def write_kits_masks(root: Path, cases: int) -> Path:
    """Patients of four stages in turn, half of them dead after a while; every twelfth tumour is benign, without a stage."""
    (root / MASKS).mkdir(parents=True, exist_ok=True)
    stages = tuple(_RADII_MM)
    rows = []
    for number in range(cases):
        name, stage, rng = f"case_{number:05d}", stages[number % len(stages)], np.random.default_rng((number, 23))
        benign = number % _BENIGN_EVERY == _BENIGN_EVERY - 1
        write_labels(root / MASKS / f"{name}.nii.gz", _drawn(_RADII_MM[stage], rng))
        facts = {
            "case_id": name, "age_at_nephrectomy": f"{rng.uniform(35, 80):.0f}", "gender": ("male", "female")[number % 3 // 2],
            "vital_status": ("dead", "censored")[number // len(stages) % 2],
            "vital_days_after_surgery": f"{rng.uniform(30, 2500):.0f}", "bmi": f"{rng.uniform(20, 35):.1f}",
            "malignant": str(not benign), "pathology_t_stage": "na" if benign else str(stage),
            "pathology_n_stage": ("0", "x", "1")[number % 3], "pathology_m_stage": ("0", "0", "1")[number // 3 % 3],
            "tumor_histologic_subtype": "oncocytoma" if benign else "clear_cell_rcc",
            "radiographic_size": f"{_RADII_MM[stage] / 5:.1f}", "pathologic_size": f"{_RADII_MM[stage] / 5 + 0.2:.1f}",
        }  # fmt: skip
        rows.append({column: facts[column] for column in COLUMNS})
    with (root / TABLE).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(COLUMNS))
        writer.writeheader()
        writer.writerows(rows)
    return root


def _drawn(radius_mm: float, rng: np.random.Generator) -> LabelMap:
    """Kidneys, a small cyst in one, and the tumour at the outer side of either."""
    at_mm = np.indices(_SHAPE).transpose(1, 2, 3, 0) * SPACING_MM
    labels = np.zeros(_SHAPE, dtype=np.uint8)
    for x in _KIDNEYS_X_MM:
        labels[_inside(at_mm, (x, *_MIDDLE_MM), _KIDNEY_RADII_MM)] = KIDNEY
    labels[_inside(at_mm, (_KIDNEYS_X_MM[0], _MIDDLE_MM[0], 56.0), (5.0, 5.0, 5.0))] = CYST
    radii = tuple((radius_mm * rng.uniform(0.85, 1.15, 3)).tolist())
    side, height = int(rng.integers(2)), float(rng.uniform(30, 50))
    labels[_inside(at_mm, (_KIDNEYS_X_MM[side] + (-8.0, 8.0)[side], _MIDDLE_MM[0], height), radii)] = TUMOUR
    return LabelMap(labels=labels, grid=Grid(shape=_SHAPE, affine=np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])))


def _inside(at_mm: NDArray, centre_mm: tuple[float, ...], radii_mm: tuple[float, ...]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (((at_mm - centre_mm) / radii_mm) ** 2).sum(axis=-1) <= 1
    return found
