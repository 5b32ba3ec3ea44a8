"""Predicting a CT: ours against MONAI's sliding window in float32 and nnU-Net's predictor; and the way from file to files.

    OMP_NUM_THREADS=1 python benchmarks/bench_predict.py FOLDER [--nnunet-venv VENV] [--shape 512,512,300] [--threads 1]

A drawn torso with lesions, 512×512×300 voxels of 0.8×0.8×1.5 mm, is made once and kept in FOLDER. Each side runs in a process
of its own on the same standardised CT, weights, tile and overlap, and makes class maps on the network's grid. `ours` is what
commands use, windows beginning at the body's box; `ours_same` has MONAI's windows, and so has `nnunet_same`. Ours include
choosing the engine, with conversion and check; imports count for nobody. `command` reads the CT's file and writes class maps
and findings' masks on the CT's own grid; with `--restore-all`, MONAI's logits are brought there too, all of them at once (12
GB). CPU seconds say more than wall seconds on a machine that does other things. Goals: 5 times faster than the rivals, half
their peak memory, Dice within 0.005; the whole way in 60 s and 3 GB on two cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from panlesion.ct.nifti import read_labels, read_volume, write_labels, write_volume
from panlesion.ct.volume import Grid, Index3, LabelMap, Volume
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import ANATOMY, LESIONS
from panlesion.nets.memory import return_freed_memory
from panlesion.nets.model import Model

SPACING_MM, DRAWN_MM, SEED, BMI = (0.8, 0.8, 1.5), 1.5, 2**31 + 5, 24.0
DRAWN = ("liver_tumor", "kidney_cyst", "lung_tumor", "bone_metastasis")
CACHE = "engines"
Maps = dict[str, NDArray[np.uint8]]
Made = tuple[Maps, dict[str, Any]]


def draw(folder: Path, shape: Index3) -> None:
    """CT, organs and lesions on a scanner's grid; drawn at 1.5 mm, which is finer than the network's grid."""
    from scipy import ndimage

    from panlesion.ct.standardise import restore
    from panlesion.errors import PlacementError, VerifyError
    from panlesion.lesion.taxonomy import LesionType
    from panlesion.phantom.phantom import make_phantom
    from panlesion.synth.compose import LESION, make_case
    from panlesion.synth.host import Host

    phantom = make_phantom(SEED, spacing_mm=DRAWN_MM, bmi=BMI)
    ct, organs, lesions = phantom.ct, phantom.organs, np.zeros(phantom.ct.hu.shape, dtype=bool)
    rng = np.random.default_rng(SEED)
    for name in DRAWN:
        try:
            case = make_case(Host.of(name, ct, organs), [LesionType(name)], rng)
        except (PlacementError, VerifyError) as error:
            print(f"without {name}: {error}")
            continue
        ct, organs, lesions = case.image, case.organs, lesions | (case.label.labels == LESION)
    affine = np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0])
    middle = ct.grid.to_xyz((np.array(ct.grid.shape) - 1) / 2)
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = Grid(shape=shape, affine=affine)
    scale, first = np.diag(np.linalg.inv(ct.grid.affine) @ affine)[:3], ct.grid.to_ijk(affine[:3, 3])
    hu = ndimage.affine_transform(ct.hu.astype(np.float32), scale, first, output_shape=shape, order=1, cval=-1000.0)
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(folder / "organs.nii.gz", restore(organs, grid))
    write_labels(folder / "truth.nii.gz", restore(LabelMap(labels=lesions.astype(np.uint8), grid=ct.grid), grid))
    write_volume(folder / "ct.nii.gz", Volume(hu=np.rint(hu).astype(np.int16), grid=grid))


def prepare(folder: Path, model: Model) -> None:
    """What every side reads: the standardised CT before and after the intensity map, and the network without our classes."""
    from dataclasses import asdict

    from panlesion.ct.standardise import standardise
    from panlesion.nets.sliding import network_input

    ct = standardise(read_volume(folder / "ct.nii.gz"), model.info.spacing_mm)
    np.savez(folder / "standard.npz", hu=ct.hu, affine=ct.grid.affine)
    np.save(folder / "input.npy", network_input(ct.hu, model.intensity))
    torch.save(model.unet.state_dict(), folder / "network.pt")
    channels = {group.name: model.classes.channels(group.name) for group in model.classes.groups}
    made = {
        "preset": asdict(model.preset),
        "classes": len(model.classes),
        "patch_voxels": model.info.patch_voxels,
        "offsets": model.info.offsets,
        "groups": {name: (part.start, part.stop) for name, part in channels.items()},
    }
    (folder / "network.json").write_text(json.dumps(made))


def winners(model: Model, logits: torch.Tensor) -> Maps:
    """The class of every voxel in each group."""
    channels = {group.name: model.classes.channels(group.name) for group in model.classes.groups}
    return {name: logits[part].argmax(0).to(torch.uint8).numpy() for name, part in channels.items()}


def standard_ct(folder: Path) -> Volume:
    file = np.load(folder / "standard.npz")
    return Volume(hu=file["hu"], grid=Grid(shape=file["hu"].shape, affine=file["affine"]))


def convert(folder: Path, model: Model, given: argparse.Namespace) -> Made:
    """What a checkpoint's first command on a machine does once: conversion and its check, kept in a cache."""
    from panlesion.nets.engines import choose_engine

    return {}, choose_engine(model, given.engine, cache=folder / CACHE).record()


def ours(folder: Path, model: Model, given: argparse.Namespace) -> Made:
    from panlesion.infer.findings import predict_scan
    from panlesion.nets.engines import choose_engine

    ct, began = standard_ct(folder), time.process_time()
    chosen = choose_engine(model, given.engine, cache=folder / CACHE)
    chose_s = time.process_time() - began
    found = predict_scan(model, ct, overlap=given.overlap, engine=chosen, skip_air=True)
    return {ANATOMY: found.anatomy, LESIONS: found.types}, chosen.record() | {"choosing_cpu_s": round(chose_s, 2)}


def ours_same(folder: Path, model: Model, given: argparse.Namespace) -> Made:
    from panlesion.ct.body import body_mask
    from panlesion.nets.engines import choose_engine
    from panlesion.nets.sliding import predict_logits

    def reduce(logits: torch.Tensor) -> torch.Tensor:
        return torch.stack([logits[model.classes.channels(name)].max(0).indices.to(torch.uint8) for name in names])

    ct, names = standard_ct(folder), [group.name for group in model.classes.groups]
    engine = choose_engine(model, given.engine, cache=folder / CACHE)
    maps = predict_logits(model, ct, overlap=given.overlap, engine=engine, body=body_mask(ct), reduce=reduce)
    return dict(zip(names, maps, strict=True)), {}


def monai(folder: Path, model: Model, given: argparse.Namespace) -> Made:
    return winners(model, monai_logits(folder, model, given)), {}


def monai_whole(folder: Path, model: Model, given: argparse.Namespace) -> Made:
    shape = json.loads((folder / "shape.json").read_text())
    logits = monai_logits(folder, model, given)
    whole = torch.nn.functional.interpolate(logits[None], size=shape, mode="trilinear")[0]
    return winners(model, whole), {}


def monai_logits(folder: Path, model: Model, given: argparse.Namespace) -> torch.Tensor:
    from monai.inferers import sliding_window_inference

    x, side = torch.from_numpy(np.load(folder / "input.npy"))[None, None], (model.info.patch_voxels,) * 3
    with torch.inference_mode():
        return sliding_window_inference(x, side, 1, model, overlap=given.overlap, mode="gaussian")[0]


def command(folder: Path, model: Model, given: argparse.Namespace) -> Made:
    """From the CT's file to class maps and findings' masks on its grid, in files; and how the CPU time is spent."""
    from panlesion.ct.standardise import standardise
    from panlesion.infer.findings import OVERLAP, body_box, find_lesions
    from panlesion.nets.engines import choose_engine
    from panlesion.nets.restore import Restorer, restore_parts

    stages, last = {}, time.process_time()

    def note(stage: str) -> None:
        nonlocal last
        stages[stage], last = round(time.process_time() - last, 2), time.process_time()

    volume = read_volume(folder / "ct.nii.gz")
    note("read")
    ct = standardise(volume, model.info.spacing_mm)
    note("standardise")
    chosen = choose_engine(model, given.engine, cache=folder / CACHE)
    note("choose the engine")
    restorer = Restorer(model.classes, ct.crop(body_box(ct)).grid, volume.grid)
    _, parts, found = find_lesions(model, ct, overlap=OVERLAP, engine=chosen, skip_air=True, watch=restorer.add)
    note("predict, restore, find")
    numbers = restore_parts(parts, ct.grid, restorer.maps[LESIONS] > 0, volume.grid)
    note("number the parts")
    for name, labels in (*restorer.maps.items(), ("findings", numbers.clip(max=255).astype(np.uint8))):
        write_labels(folder / f"predicted_{name}.nii.gz", LabelMap(labels=labels, grid=volume.grid))
    note("write")
    return dict(restorer.maps), chosen.record() | {"overlap": OVERLAP, "findings": len(found), "stages_cpu_s": stages}


ROLES: dict[str, Callable[[Path, Model, argparse.Namespace], Made]] = {
    "convert": convert,
    "ours": ours,
    "ours_same": ours_same,
    "monai": monai,
    "monai_whole": monai_whole,
    "command": command,
}
IMPORTED = {"monai": "monai.inferers", "monai_whole": "monai.inferers"}


def peak_gb() -> float:
    """Most memory this process ever held; what getrusage says of it begins with its parent's."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def play(role: str, given: argparse.Namespace) -> None:
    """One side, in this process."""
    torch.set_num_threads(given.threads)
    if role in ("ours", "ours_same", "command"):
        return_freed_memory()  # as the command does
    model = load_model(given.checkpoint).eval()
    __import__(IMPORTED.get(role, "panlesion.infer.findings"))
    wall, cpu = time.perf_counter(), time.process_time()
    maps, more = ROLES[role](given.folder, model, given)
    spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "peak_gb": peak_gb()}
    more |= {"process_cpu_s": round(time.process_time(), 1)}
    np.savez(given.folder / f"{role}.npz", **maps)
    (given.folder / f"{role}.json").write_text(json.dumps(spent | more))


def run(role: str, given: argparse.Namespace) -> dict[str, Any] | None:
    """One side, in a process of its own; None if its environment is not there."""
    environment = os.environ | {name: str(given.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    line = [sys.executable, __file__, str(given.folder), "--role", role, "--overlap", str(given.overlap)]
    line += ["--threads", str(given.threads), "--checkpoint", given.checkpoint, "--engine", given.engine]
    if role.startswith("nnunet"):
        python = given.nnunet_venv / "bin" / "python" if given.nnunet_venv else None
        if python is None or not python.exists():
            print(f"{role:12} skipped: give --nnunet-venv, a virtual environment with nnunetv2 (pip install nnunetv2)")
            return None
        script = Path(__file__).with_name("nnunet_predictor.py")
        line = [str(python), str(script), str(given.folder), str(given.overlap), str(given.threads), role]
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[1] / "src")
    subprocess.run(line, check=True, env=environment)
    made: dict[str, Any] = json.loads((given.folder / f"{role}.json").read_text())
    more = {name: value for name, value in made.items() if name not in ("wall_s", "cpu_s", "peak_gb")}
    spent = f"{made['cpu_s']:7.1f} CPU s {made['wall_s']:7.1f} s {made['peak_gb']:6.2f} GB"
    print(f"{role:12} {spent}  {json.dumps(more) if more else ''}", flush=True)
    return made


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def scores(maps: Maps, truth: Maps, model: Model) -> dict[str, float]:
    """Dice with the truth of every anatomy class that is there, and of all lesion classes as one."""
    names = model.classes.group(ANATOMY).classes
    found = {names[c]: dice(maps[ANATOMY] == c, truth[ANATOMY] == c) for c in np.unique(truth[ANATOMY]).tolist() if c}
    return found | {"any lesion": dice(maps[LESIONS] > 0, truth[LESIONS] > 0)}


def mean(values: dict[str, float]) -> float:
    return float(np.mean(list(values.values())))


def compare(given: argparse.Namespace, model: Model, mine: str, side: str, truth: Maps) -> None:
    """How far two sides differ in their Dice with the truth, and from each other."""
    a, b = (dict(np.load(given.folder / f"{one}.npz")) for one in (mine, side))
    known, theirs = scores(a, truth, model), scores(b, truth, model)
    away = {name: value - theirs[name] for name, value in known.items()}
    worst = max(away, key=lambda name: abs(away[name]))
    organs = truth[ANATOMY] > 0
    same = ", ".join(f"{name} {(a[name] == b[name])[organs].mean():.2%}" for name in a)
    print(
        f"{mine} - {side}: Dice with the truth {mean(known):.4f}, {mean(away):+.4f}, most for {worst} ({away[worst]:+.4f}); "
        f"same class in organs: {same}; lesions' Dice with each other {dice(a[LESIONS] > 0, b[LESIONS] > 0):.4f}"
    )


def truths(folder: Path, model: Model) -> tuple[Maps, Maps]:
    """Classes on the network's grid and on the CT's."""
    from panlesion.ct.standardise import standardise_labels
    from panlesion.nets.classes import anatomy_table

    organs, lesions = read_labels(folder / "organs.nii.gz"), read_labels(folder / "truth.nii.gz")
    standard = [standardise_labels(one, model.info.spacing_mm).labels for one in (organs, lesions)]
    both = [{ANATOMY: anatomy_table()[a], LESIONS: b} for a, b in (standard, (organs.labels, lesions.labels))]
    return both[0], both[1]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--nnunet-venv", type=Path)
    arguments.add_argument("--restore-all", action="store_true", help="also MONAI with all logits on the CT's grid: 12 GB")
    arguments.add_argument("--shape", default="512,512,300")
    arguments.add_argument("--overlap", type=float, default=0.5, help="nnU-Net's default")
    arguments.add_argument("--checkpoint", default="nano")
    arguments.add_argument("--engine", default="auto")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--role", choices=ROLES, help="for the benchmark's own processes")
    given = arguments.parse_args()
    if given.role:
        play(given.role, given)
        return
    i, j, k = (int(n) for n in given.shape.split(","))
    given.folder = given.folder / f"{i}x{j}x{k}"
    if not (given.folder / "ct.nii.gz").exists():
        draw(given.folder, (i, j, k))
        (given.folder / "shape.json").write_text(json.dumps([i, j, k]))
    model = load_model(given.checkpoint)
    prepare(given.folder, model)
    shutil.rmtree(given.folder / CACHE, ignore_errors=True)
    sides = ["convert", "ours", "ours_same", "monai", "nnunet", "nnunet_same", *["monai_whole"] * given.restore_all, "command"]
    made = {side: one for side in sides if (one := run(side, given)) is not None}
    rivals = [(mine, side) for mine in ("ours", "ours_same") for side in ("monai", "nnunet")]
    for mine, side in (*rivals, ("command", "monai_whole")):
        if side in made:
            times, memory = made[side]["cpu_s"] / made[mine]["cpu_s"], made[mine]["peak_gb"] / made[side]["peak_gb"]
            print(f"{mine} against {side}: {times:.1f} times faster (CPU), {memory:.0%} of the peak memory")
    on_standard, on_input = truths(given.folder, model)
    compared = (
        ("ours_same", "monai"),
        ("ours", "monai"),
        ("ours_same", "nnunet_same"),
        ("ours_same", "nnunet"),
        ("ours", "nnunet"),
    )
    for mine, side in compared:
        if side in made:
            compare(given, model, mine, side, on_standard)
    whole = scores(dict(np.load(given.folder / "command.npz")), on_input, model)
    print(f"command: mean Dice {mean(whole):.4f} with the truth on the CT's own grid")


if __name__ == "__main__":
    main()
