"""Small cases with a target each, for tests: a body with a ball whose brightness, size and time hang together."""

import csv
from pathlib import Path

import numpy as np

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.lesion.vocabulary import Density

SHAPE, SPACING_MM = (18, 18, 18), 4.0


def scan(seed=0, *, ball_hu=120, radius=4.0, origin=(0.0, 0.0, 0.0)):
    """An image and the label of its ball (value 1), in a ring of fat."""
    rng = np.random.default_rng(seed)
    ijk = np.indices(SHAPE).transpose(1, 2, 3, 0)
    out = np.linalg.norm((ijk[..., :2] - 8.5) / 8.5, axis=-1)
    hu = np.where(out < 1, 40, -1000) + rng.normal(0, 8, SHAPE)
    hu[(out > 0.8) & (out < 1)] -= 140
    ball = np.linalg.norm(ijk - (8.5 + rng.integers(-1, 2, 3)), axis=-1) < radius
    hu[ball] += ball_hu
    grid = standard_grid(SHAPE, SPACING_MM, origin)
    return Volume(hu=hu.astype(np.int16), grid=grid), LabelMap(labels=ball.astype(np.uint8), grid=grid)


def rows_made(count=12):
    """Rows as a table has them: every second ball is bright, radii come in three sizes, and larger ones have less time."""
    rows = []
    for n in range(count):
        size, bright = n // 2 % 3, n % 2
        rows.append({
            "case": f"c{n:02d}", "patient": f"p{n:02d}", "image": f"c{n:02d}.nii.gz", "label": f"c{n:02d}_label.nii.gz",
            "present": str(bright), "stage": ("I", "II", "III")[size],
            "time": str(400 - 100 * size - n), "event": str(int(n % 5 != 0)),
            "density": (Density.ISO if not bright else Density.HYPER).value,
        })  # fmt: skip
    return rows


def write_scans(root, rows):
    for n, row in enumerate(rows):
        size = ("I", "II", "III").index(row["stage"])
        image, label = scan(n, ball_hu=150 if row["present"] == "1" else 0, radius=(2.0, 3.5, 5.5)[size])
        write_volume(Path(root) / row["image"], image)
        write_labels(Path(root) / row["label"], label)


def write_table(root, rows, name="cases.csv"):
    path = Path(root) / name
    header = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, header)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_tabled(root, count=12):
    """A folder of scans with their table."""
    Path(root).mkdir(parents=True, exist_ok=True)
    rows = rows_made(count)
    write_scans(root, rows)
    return write_table(root, rows)
