"""Masks back on the scanner's grid: how true are borders, by four ways of restoring; and what each costs.

    OMP_NUM_THREADS=1 python benchmarks/bench_restore.py [--lumps 16] [--folder FOLDER]

Lumps with a wavy border are drawn at 0.8×0.8×1.5 mm and averaged to 2.5 mm; the share of a voxel that is lump makes its logit,
as a network would have it that is as good as 2.5 mm allow. With FOLDER (of bench_predict.py, such as FOLDER/512x512x300) the
anatomy that `nano` predicts there is restored too, and compared with the organs as they were drawn.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.nifti import read_labels
from panlesion.ct.standardise import parallel_axes, restore, standardise
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import ANATOMY, LESIONS, Classes, ClassGroup, anatomy_table
from panlesion.nets.restore import Restorer, restore_parts

SPACING_MM, NETWORK_MM = (0.8, 0.8, 1.5), 2.5
LUMP = Classes(groups=(ClassGroup(name=LESIONS, classes=("none", "lump")),))
Logits = NDArray[np.float32]
Way = Callable[[Logits, Classes, Grid, Grid], NDArray[np.uint8]]


def lump(diameter_mm: float, rng: np.random.Generator) -> LabelMap:
    """A stretched ball whose radius waves by an eighth."""
    shape = tuple(int(np.ceil((diameter_mm + 20) / mm)) for mm in SPACING_MM)
    at = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) + 0.5
    at = (at - np.array(shape) / 2) * SPACING_MM + rng.uniform(-NETWORK_MM / 2, NETWORK_MM / 2, 3)
    way = at / np.maximum(np.linalg.norm(at, axis=-1, keepdims=True), 1e-6)
    a, b = rng.uniform(0, 2 * np.pi, 2)
    radius = diameter_mm / 2 * (1 + 0.125 * np.sin(6 * way[..., 0] + a) * np.sin(6 * way[..., 1] + b))
    inside = np.linalg.norm(at / rng.uniform(0.75, 1.25, 3), axis=-1) <= radius
    return LabelMap(labels=inside.astype(np.uint8), grid=Grid(shape=shape, affine=np.diag([-0.8, -0.8, 1.5, 1.0])))


def seen(truth: LabelMap) -> tuple[Logits, Grid]:
    """Logits on the network's grid."""
    standard = standardise(Volume(hu=truth.labels.astype(np.int16) * 1000, grid=truth.grid), NETWORK_MM)
    share = (standard.hu / 1000.0).clip(1e-3, 1 - 1e-3)
    return np.stack([np.zeros(share.shape), np.log(share / (1 - share))]).astype(np.float32), standard.grid


def nearest(logits: Logits, classes: Classes, source: Grid, target: Grid) -> NDArray[np.uint8]:
    del classes
    at = [np.rint(place.clip(0, source.shape[of] - 1)).astype(int) for of, place, _ in parallel_axes(source, target)]
    return logits.argmax(0)[np.ix_(*at)].astype(np.uint8)


def vote(logits: Logits, classes: Classes, source: Grid, target: Grid) -> NDArray[np.uint8]:
    del classes
    return restore(LabelMap(labels=logits.argmax(0).astype(np.uint8), grid=source), target).labels


def from_logits(logits: Logits, classes: Classes, source: Grid, target: Grid) -> NDArray[np.uint8]:
    restorer = Restorer(classes, source, target, probability=False)
    restorer.add(0, torch.from_numpy(logits))
    return restorer.maps[classes.groups[0].name]


def from_probabilities(logits: Logits, classes: Classes, source: Grid, target: Grid) -> NDArray[np.uint8]:
    return from_logits(torch.from_numpy(logits).softmax(0).numpy(), classes, source, target)


def parts(logits: Logits, classes: Classes, source: Grid, target: Grid) -> NDArray[np.uint8]:
    """As findings' masks are made."""
    marked = from_logits(logits, classes, source, target) > 0
    return restore_parts(logits.argmax(0).astype(np.int32), source, marked, target).astype(np.uint8)


WAYS: dict[str, Way] = {
    "nearest voxel": nearest,
    "vote of labels": vote,
    "probabilities": from_probabilities,
    "logits": from_logits,
}
OF_LUMPS = WAYS | {"restore_parts": parts}


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return 2 * int((a & b).sum()) / max(1, int(a.sum()) + int(b.sum()))


def border_mm(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Mean distance of each border from the other."""
    edges = [one ^ ndimage.binary_erosion(one) for one in (a, b)]
    away = [ndimage.distance_transform_edt(~one, SPACING_MM) for one in edges]
    return float((away[1][edges[0]].mean() + away[0][edges[1]].mean()) / 2) if a.any() else float("nan")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lumps", type=int, default=16)
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    for diameter_mm in (6.0, 8.0, 10.0, 20.0, 40.0):
        lumps = [lump(diameter_mm, rng) for _ in range(given.lumps)]
        logits = [seen(one) for one in lumps]
        for name, way in OF_LUMPS.items():
            made = [way(one, LUMP, grid, truth.grid) > 0 for (one, grid), truth in zip(logits, lumps, strict=True)]
            pairs = [(mask, truth.labels > 0) for mask, truth in zip(made, lumps, strict=True)]
            rows = np.array([(dice(a, b), border_mm(a, b), a.sum() / b.sum()) for a, b in pairs])
            overlap, border, volume = np.nanmean(rows, axis=0)
            print(f"{diameter_mm:4.0f} mm  {name:15} Dice {overlap:.3f}, borders {border:.2f} mm apart, volume {volume:.2f}")
    if given.folder:
        anatomy(given.folder)


def anatomy(folder: Path) -> None:
    """The shipped model's organs on a drawn CT."""
    from panlesion.nets.engines import choose_engine
    from panlesion.nets.sliding import predict_logits

    file, model = np.load(folder / "standard.npz"), load_model("nano")
    ct = Volume(hu=file["hu"], grid=Grid(shape=file["hu"].shape, affine=file["affine"]))
    organs = read_labels(folder / "organs.nii.gz")
    part, group = model.classes.channels(ANATOMY), model.classes.group(ANATOMY)
    logits = predict_logits(model, ct, engine=choose_engine(model), reduce=lambda planes: planes[part])
    truth = anatomy_table()[organs.labels]
    for name, way in WAYS.items():
        began = time.process_time()
        made = way(logits, Classes(groups=(group,)), ct.grid, organs.grid)
        spent = time.process_time() - began
        found = np.mean([dice(made == c, truth == c) for c in np.unique(truth) if c])
        print(f"anatomy  {name:15} mean Dice {found:.4f}, {spent:.1f} CPU s")


if __name__ == "__main__":
    main()
