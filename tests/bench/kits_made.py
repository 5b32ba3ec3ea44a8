"""Made patients with masks and a clinical table in the layout of KiTS23."""

import csv

import numpy as np

from panlesion.ct.nifti import read_labels, write_labels
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.sources.kits_masks import COLUMNS, MASKS, TABLE

GRID = Grid(shape=(80, 34, 40), affine=np.diag([2.0, 2.0, 2.0, 1.0]))


def mask(radius_mm, x_mm=118.0, *, cyst=False):
    """Two kidneys and a ball of tumour on one of them."""
    where = np.moveaxis(np.indices(GRID.shape), 0, -1) * 2.0
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    for middle in (40.0, 112.0):
        labels[(((where - (middle, 32.0, 40.0)) / (16.0, 14.0, 30.0)) ** 2).sum(axis=-1) <= 1] = 1
    if cyst:
        labels[np.linalg.norm(where - (40.0, 32.0, 50.0), axis=-1) <= 5] = 3
    labels[np.linalg.norm(where - (x_mm, 32.0, 44.0), axis=-1) <= radius_mm] = 2
    return LabelMap(labels=labels, grid=GRID)


def row(case, *, stage="1a", malignant="True", dead=False, days=500.0, age=60.0, histology="clear_cell_rcc"):
    """A line of the clinical table."""
    known = {
        "case_id": case, "age_at_nephrectomy": age, "gender": "female", "bmi": "27", "pathology_n_stage": "x",
        "vital_status": "dead" if dead else "censored", "vital_days_after_surgery": days, "malignant": malignant,
        "pathology_t_stage": stage, "pathology_m_stage": "0", "tumor_histologic_subtype": histology, "radiographic_size": "3",
        "pathologic_size": "",
    }  # fmt: skip
    return {column: known[column] for column in COLUMNS}


def write_kits(root, rows, masks):
    """The tree below `root`/kits23."""
    folder = root / "kits23"
    (folder / MASKS).mkdir(parents=True)
    with (folder / TABLE).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(COLUMNS))
        writer.writeheader()
        writer.writerows(rows)
    for one in rows:
        write_labels(folder / MASKS / f"{one['case_id']}.nii.gz", masks[one["case_id"]])
    return folder


def quickly(root, case):
    """In the place of measuring a mask whole: its tumour's size alone, which is what these patients differ by."""
    labels = read_labels(root / MASKS / f"{case}.nii.gz").labels
    volume_ml = float(np.count_nonzero(labels == 2)) * 0.008
    diameter = (6000 * volume_ml / np.pi) ** (1 / 3)
    lengths = dict.fromkeys(("diameter_mm", "axial_long_mm", "axial_short_mm", "extent_z_mm"), diameter)
    return {"case": case, "numbers": {**lengths, "volume_ml": volume_ml}}
