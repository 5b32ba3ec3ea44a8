"""Small annotated CTs for tests: a body with a dense ball (value 1) and an airy one (value 3), in any of the layouts."""

import json
from pathlib import Path

import numpy as np

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap, Volume, standard_grid

SHAPE, SPACING_MM = (40, 36, 32), 2.0


def annotated(seed=0, values=(1, 3)):
    """A CT and its label; balls for the values asked for."""
    rng = np.random.default_rng(seed)
    grid = standard_grid(SHAPE, SPACING_MM, (float(seed), 5.0, -40.0))
    ijk = np.indices(SHAPE).transpose(1, 2, 3, 0)
    body = np.linalg.norm((ijk[..., :2] - (20, 18)) / (17, 15), axis=-1) < 1
    hu = np.where(body, 40, -1000) + rng.normal(0, 12, SHAPE)
    hu[body & (ijk[..., 1] > 28)] -= 140  # fat, so that the values are plainly those of a CT
    label = np.zeros(SHAPE, dtype=np.uint8)
    for value, centre, change in ((1, (14, 18, 12), 90), (3, (26, 18, 20), -200)):
        ball = np.linalg.norm(ijk - np.add(centre, rng.integers(-2, 3, 3)), axis=-1) < 5
        if value in values:
            label[ball] = value
        hu[ball] += change
    return Volume(hu=hu.astype(np.int16), grid=grid), LabelMap(labels=label, grid=grid)


def write_pairs(root, count=4, values=(1, 3), images="images", labels="labels", channel=""):
    root = Path(root)
    for folder in (images, labels):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        ct, label = annotated(seed, values)
        write_volume(root / images / f"case_{seed}{channel}.nii.gz", ct)
        write_labels(root / labels / f"case_{seed}.nii.gz", label)
    return root


def write_nnunet(root, count=2, labels=None, **more):
    write_pairs(root, count, images="imagesTr", labels="labelsTr", channel="_0000")
    labels = labels if labels is not None else {"background": 0, "dense": 1, "airy": 3}
    text = json.dumps({"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"} | more)
    (Path(root) / "dataset.json").write_text(text)
    return Path(root)


def write_folders(root, count=2):
    for seed in range(count):
        folder = Path(root) / f"patient_{seed}"
        folder.mkdir(parents=True)
        ct, label = annotated(seed)
        write_volume(folder / "ct.nii.gz", ct)
        write_labels(folder / "label.nii.gz", label)
    return Path(root)
