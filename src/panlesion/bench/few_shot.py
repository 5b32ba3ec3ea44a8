"""Few-shot segmentation: how much a pretrained network gains over one from scratch when few annotated CTs are there.

Every arm sees the same patients, steps and augmentation. Results are rows in a file; what is there is not run again.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from panlesion.bench.registry import BenchTask
from panlesion.ct.atomic import replacing
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.splits import FewShotSplit, stored_splits
from panlesion.measure.overlap import dice
from panlesion.measure.resampling import Interval, bootstrap_mean
from panlesion.nets.model import Model
from panlesion.nets.sliding import predict_logits
from panlesion.train.finetune import Finetune, Labelled, Moves, adapted, finetune_segment, reset

RESULTS, SPLITS = "results.jsonl", "splits.json"


class Arm(StrEnum):
    """What is compared."""

    BALL = "centre ball"
    ZERO = "no real label"
    SCRATCH = "scratch"
    FROZEN = "features frozen"
    FINETUNED = "fine-tuned"


TRAINED: Mapping[Arm, Moves] = MappingProxyType({Arm.SCRATCH: Moves.ALL, Arm.FROZEN: Moves.DECODER, Arm.FINETUNED: Moves.ALL})


@dataclass(frozen=True, kw_only=True)
class FewShot:
    """One comparison. `seeds` repetitions, each with its own split by patient, initial weights and batches."""

    shots: tuple[int, ...] = (1, 4, 16)
    seeds: int = 5
    arms: tuple[Arm, ...] = tuple(Arm)
    finetune: Finetune = field(default_factory=Finetune)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Dice of one test patient in one repetition of one arm."""

    arm: Arm
    shots: int
    seed: int
    patient: str
    dice: float


Watch = Callable[[str, int, int], None]


def run_few_shot(
    task: BenchTask, root: Path, model: Model, plan: FewShot, out: Path, *, watch: Watch | None = None
) -> list[Row]:
    """Run all arms, or those still missing from `out`, and return every row.

    Raises:
        StoreError, ReadError: The task's data are missing or damaged.
        TrainingError: A fine-tuning failed.
    """
    cases = {case.patient: case for case in task.cases(root)}
    splits = stored_splits(out / SPLITS, sorted(cases), repetitions=plan.seeds)
    rows = _finished(read_rows(out), splits, out)
    done = {(row.arm, row.shots, row.seed) for row in rows}
    jobs = [job for job in _jobs(plan, splits) if (job[0], job[1], job[2].seed) not in done]
    for number, (arm, shots, split) in enumerate(jobs):
        if watch is not None:
            watch(f"{arm}, {shots} shots, repetition {split.seed + 1}", number, len(jobs))
        predict = _predictor(_Job(arm=arm, shots=shots, split=split), cases, task, model, plan, out)
        found = []
        for name in split.test:
            score = dice(predict(cases[name]), cases[name].label.labels > 0)
            found.append(Row(arm=arm, shots=shots, seed=split.seed, patient=name, dice=score))
        _append(out, found)
        rows += found
    return rows


def _jobs(plan: FewShot, splits: Sequence[FewShotSplit]) -> Iterator[tuple[Arm, int, FewShotSplit]]:
    for split in splits:
        for arm in plan.arms:
            # without training, the number of shots matters only to the ball, whose size is the mean of the shots
            for shots in (0,) if arm is Arm.ZERO else plan.shots:
                yield arm, min(shots, len(split.train)), split


@dataclass(frozen=True, kw_only=True)
class _Job:
    arm: Arm
    shots: int
    split: FewShotSplit


Predict = Callable[[LabelledCT], NDArray[np.bool_]]


def _predictor(job: _Job, cases: Mapping[str, LabelledCT], task: BenchTask, model: Model, plan: FewShot, out: Path) -> Predict:
    arm, shots, split = job.arm, job.shots, job.split
    train = [cases[name] for name in split.train[:shots]]
    if arm is Arm.BALL:
        mean_ml = float(np.mean([np.count_nonzero(case.label.labels) * case.label.grid.voxel_ml for case in train]))
        return lambda case: centre_ball(case.label.labels.shape, case.ct.grid.spacing_mm[0], mean_ml)
    tuned = adapted(model, task.classes, start_from=task.start_from)
    tuned.info = replace(tuned.info, spacing_mm=task.spacing_mm)
    if arm is not Arm.ZERO:
        if arm is Arm.SCRATCH:
            reset(tuned, split.seed)
        config = replace(plan.finetune, moves=TRAINED[arm], fit=replace(plan.finetune.fit, seed=split.seed))
        labelled = [Labelled(id=case.id, hu=case.ct.hu, target=case.label.labels) for case in train]
        folder = out / f"run_{arm.name.lower()}_{shots}_{split.seed}"
        tuned = finetune_segment(tuned, labelled, config, folder)
        shutil.rmtree(folder)
    tuned.eval()
    return lambda case: _segment(tuned, case)


def _segment(model: Model, case: LabelledCT) -> NDArray[np.bool_]:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = predict_logits(model, case.ct)
    found: NDArray[np.bool_] = np.asarray(logits.argmax(0)) > 0
    return found


def centre_ball(shape: tuple[int, ...], spacing_mm: float, volume_ml: float) -> NDArray[np.bool_]:
    """The trivial baseline: a ball of a volume in the middle of the image."""
    radius = (3 * volume_ml * 1000 / (4 * np.pi)) ** (1 / 3) / spacing_mm
    offset = np.indices(shape).T - (np.asarray(shape) - 1) / 2
    inside: NDArray[np.bool_] = (np.linalg.norm(offset, axis=-1) <= radius).T
    return inside


def read_rows(out: Path) -> list[Row]:
    """The rows of finished jobs; a job is finished when all patients of its split have one."""
    path = out / RESULTS
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:  # cut by a kill
            continue
        rows.append(Row(**(row | {"arm": Arm(row["arm"])})))
    return rows


def _finished(rows: Sequence[Row], splits: Sequence[FewShotSplit], out: Path) -> list[Row]:
    """Only rows of jobs that are complete; the file is rewritten without the others."""
    wanted = {split.seed: set(split.test) for split in splits}
    found: dict[tuple[Arm, int, int], set[str]] = {}
    for row in rows:
        found.setdefault((row.arm, row.shots, row.seed), set()).add(row.patient)
    kept = [row for row in rows if found[row.arm, row.shots, row.seed] >= wanted.get(row.seed, set())]
    if len(kept) < len(rows) or (out / RESULTS).exists():
        with replacing(out / RESULTS) as stream:
            stream.write("".join(json.dumps(asdict(row)) + "\n" for row in kept).encode())
    return kept


def _append(out: Path, rows: Sequence[Row]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / RESULTS).open("a", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def summary(rows: Sequence[Row]) -> list[tuple[Arm, int, Interval]]:
    """Mean Dice of every arm and number of shots, with a 95 % interval over patients."""
    table = []
    for arm in Arm:
        for shots in sorted({row.shots for row in rows if row.arm is arm}):
            mine = [row for row in rows if row.arm is arm and row.shots == shots]
            table.append((arm, shots, bootstrap_mean([row.dice for row in mine], [row.patient for row in mine])))
    return table


def gain(rows: Sequence[Row], arm: Arm, over: Arm, shots: int) -> Interval:
    """Mean paired difference in Dice of two arms on the same patients and repetitions, with its interval.

    Raises:
        ValueError: The arms share no patient at that number of shots.
    """
    at = {(row.arm, row.seed, row.patient): row.dice for row in rows if row.shots == shots}
    pairs = [(patient, value - at[(over, seed, patient)]) for (one, seed, patient), value in at.items()
             if one is arm and (over, seed, patient) in at]  # fmt: skip
    return bootstrap_mean([value for _, value in pairs], [patient for patient, _ in pairs])
