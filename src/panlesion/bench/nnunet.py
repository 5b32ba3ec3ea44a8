"""nnU-Net v2 as a rival: planned, trained and asked in a virtual environment of its own, through files and its own commands.

Isensee et al., Nature Methods 2021;18:203-211. docs/why/rivals.md says which of its settings are its own and which are ours.
"""

import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.nifti import read_labels, write_labels, write_volume
from panlesion.data.publish import write_text
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.errors import MissingExtraError, ReadError, StoreError, TrainingError

DATASET, CONFIGURATION, TRAINER = "Dataset001_panlesion", "3d_fullres", "FewIterations"
TRAINER_FILE = Path(__file__).with_name("nnunet_side") / "few_iterations.py"
OWN_ITERATIONS = 250
"""Of one of its epochs, as published."""
FEW_ITERATIONS = 10
"""Of an epoch where the number of steps is given: its learning rate falls from epoch to epoch, so there must be some (ours)."""
TRAIN = "nnUNetv2_train"
LOG = "log.txt"

_ENDING = ".nii.gz"
_LAST_LINES = 15
_TOLD = "panlesion found "
_PROBE = f"""
import importlib.metadata as m, json
import torch, nnunetv2.training.nnUNetTrainer.nnUNetTrainer
from nnunetv2.paths import nnUNet_extTrainer
device = "cuda" if torch.cuda.is_available() else "cpu"
print({_TOLD!r} + json.dumps({{"version": m.version("nnunetv2"), "torch": torch.__version__, "device": device}}))
"""
_HOW = (
    "make one with `python -m venv VENV && VENV/bin/pip install nnunetv2`, never in panlesion's own, and give it as "
    "--nnunet-venv VENV; 2.8.1 is known to work"
)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long nnU-Net trains."""

    epochs: int
    iterations: int

    @classmethod
    def of(cls, steps: int, epochs: int | None) -> "Schedule":
        """Its own epochs if some are given, else so many short ones as have the steps of the other arms, rounded up."""
        if epochs is not None:
            return cls(epochs=epochs, iterations=OWN_ITERATIONS)
        few = min(steps, FEW_ITERATIONS)
        return cls(epochs=math.ceil(steps / few), iterations=few)


@dataclass(frozen=True, kw_only=True)
class NnUNet:
    """An environment that holds nnU-Net, and what of it rows depend on."""

    venv: Path
    version: str
    torch: str
    device: str

    @classmethod
    def found_in(cls, venv: Path | None) -> "NnUNet":
        """Ask an environment what it holds.

        Raises:
            MissingExtraError: There is no Python in it, or nnU-Net cannot be imported there.
        """
        if venv is None:
            raise MissingExtraError(f"the arm nnunet needs nnU-Net in an environment of its own: {_HOW}")
        # Not resolved: the interpreter of a virtual environment is a link, and knows its environment by where it was called.
        python = venv.absolute() / "bin" / "python"
        if not python.is_file():
            raise MissingExtraError(f"--nnunet-venv {venv}: {python} is not there; {_HOW}")
        try:
            done = subprocess.run(
                [python, "-P", "-c", _PROBE],
                env=_clean(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            )  # fmt: skip
        except OSError as error:
            raise MissingExtraError(f"--nnunet-venv {venv}: {python} cannot be started ({error.strerror}); {_HOW}") from error
        told = [line.removeprefix(_TOLD) for line in done.stdout.splitlines() if line.startswith(_TOLD)]
        if done.returncode or not told:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise MissingExtraError(f"--nnunet-venv {venv}: nnU-Net cannot be used there ({said}); {_HOW}")
        return cls(venv=venv.absolute(), **json.loads(told[-1]))


def fit_nnunet(
    nnunet: NnUNet,
    train: Sequence[LabelledCT],
    test: Sequence[LabelledCT],
    classes: Sequence[str],
    *,
    schedule: Schedule,
    seed: int,
    folder: Path,
) -> dict[str, NDArray[np.bool_]]:
    """Where nnU-Net, trained on some cases, sees any lesion in others: a mask on each one's grid, by its id.

    `folder` is emptied first and removed at the end; after a failure it stays, with all that was printed in `log.txt`.

    Raises:
        TrainingError: A command of nnU-Net failed, or left no usable mask.
        StoreError: A label has values that are no class.
    """
    shutil.rmtree(folder, ignore_errors=True)
    write_cases(folder, train, test, classes)
    environment = _environment(folder, schedule, seed)
    # Training itself fetches batches on a CPU, so that a seed gives the same ones; beside a GPU that would be the slowest part.
    fetching = {TRAIN: {"nnUNet_n_proc_DA": "0" if nnunet.device == "cpu" else str(os.cpu_count() or 1)}}
    for program, *options in _commands(folder, nnunet.device):
        _run(nnunet, program, options, folder / LOG, environment | fetching.get(program, {}))
    found = read_masks(folder / "predicted", test)
    shutil.rmtree(folder)
    return found


def write_cases(folder: Path, train: Sequence[LabelledCT], test: Sequence[LabelledCT], classes: Sequence[str]) -> None:
    """nnU-Net's raw folder of the training cases, and the CTs to predict beside it.

    Files have numbers, not the cases' names: nnU-Net reads meaning into names.

    Raises:
        ValueError: No training case.
        StoreError: A label has values that are no class.
    """
    if not train:
        raise ValueError("train is empty; nnU-Net needs at least one annotated CT")
    raw = folder / "raw" / DATASET
    for part in (raw / "imagesTr", raw / "labelsTr", folder / "test", folder / "preprocessed", folder / "results"):
        part.mkdir(parents=True)
    for number, case in enumerate(train):
        most = int(case.label.labels.max())
        if most > len(classes):
            raise StoreError(f"{case.id}: label value {most}; the task has the classes 1 … {len(classes)}. Correct the label")
        write_volume(raw / "imagesTr" / f"{_name(number)}_0000{_ENDING}", case.ct)
        write_labels(raw / "labelsTr" / f"{_name(number)}{_ENDING}", case.label)
    for number, case in enumerate(test):
        write_volume(folder / "test" / f"{_name(number)}_0000{_ENDING}", case.ct)
    about = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0} | {name: index for index, name in enumerate(classes, 1)},
        "numTraining": len(train),
        "file_ending": _ENDING,
    }
    write_text(raw / "dataset.json", json.dumps(about, indent=1) + "\n")
    (folder / "trainer").mkdir()
    shutil.copyfile(TRAINER_FILE, folder / "trainer" / TRAINER_FILE.name)


def read_masks(folder: Path, test: Sequence[LabelledCT]) -> dict[str, NDArray[np.bool_]]:
    """What nnU-Net found in each case, any lesion class.

    Raises:
        TrainingError: A case has no file, a damaged one, or one on another grid.
    """
    found = {}
    for number, case in enumerate(test):
        path = folder / f"{_name(number)}{_ENDING}"
        try:
            labels = read_labels(path)
        except ReadError as error:
            raise TrainingError(f"{case.id}: nnU-Net left no usable mask ({error}); see {folder.parent / LOG}") from error
        if not labels.grid.same_as(case.ct.grid):
            raise TrainingError(
                f"{case.id}: the mask that nnU-Net wrote has {labels.grid.shape} voxels, axes {labels.grid.axes}, the CT "
                f"{case.ct.grid.shape}, {case.ct.grid.axes}; it must lie on the CT's grid. See {folder.parent / LOG}"
            )
        found[case.id] = labels.labels > 0
    return found


def _name(number: int) -> str:
    return f"case_{number:04d}"


def _commands(folder: Path, device: str) -> list[list[str]]:
    """The program and options of every step, as anybody would type them."""
    same = ["-f", "all", "-tr", TRAINER, "-c", CONFIGURATION]
    return [
        ["nnUNetv2_plan_and_preprocess", "-d", "1", "-c", CONFIGURATION, "-npfp", "1", "-np", "1", "--verify_dataset_integrity",
         "--no_pbar"],
        [TRAIN, "1", CONFIGURATION, "all", "-tr", TRAINER, "-device", device],
        ["nnUNetv2_predict", "-i", str(folder / "test"), "-o", str(folder / "predicted"), "-d", "1", *same, "-device", device,
         "-npp", "1", "-nps", "1", "--disable_progress_bar"],
    ]  # fmt: skip


def _clean() -> dict[str, str]:
    """Our environment without what would let our packages, or another nnU-Net's folders, into that one."""
    ours = ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("nnUNet")}


def _environment(folder: Path, schedule: Schedule, seed: int) -> dict[str, str]:
    folder = folder.absolute()
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return _clean() | threads | {
        "nnUNet_raw": str(folder / "raw"), "nnUNet_preprocessed": str(folder / "preprocessed"),
        "nnUNet_results": str(folder / "results"), "nnUNet_extTrainer": str(folder / "trainer"),
        "nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "1", "nnUNet_compile": "f",
        "PANLESION_EPOCHS": str(schedule.epochs), "PANLESION_ITERATIONS": str(schedule.iterations), "PANLESION_SEED": str(seed),
    }  # fmt: skip


def _run(nnunet: NnUNet, program: str, options: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    """Run to the end; what it prints goes to a file, since its workers may outlive it holding a pipe open."""
    script = nnunet.venv / "bin" / program
    command = [str(nnunet.venv / "bin" / "python"), str(script), *options]
    with log.open("a", encoding="utf-8") as stream:
        stream.write(f"$ {' '.join(command)}\n")
        stream.flush()
        done = subprocess.run(
            command, cwd=log.parent, env=dict(environment), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
    if done.returncode:
        last = "\n".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LAST_LINES:])
        raise TrainingError(f"{program} of {nnunet.venv} ended with code {done.returncode}; all it said is in {log}:\n{last}")
