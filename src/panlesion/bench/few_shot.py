"""Segmentation from few shots or in folds: how much a pretrained network gains over one from scratch on the same CTs.

Cases are read once, into files of the results' folder, and never sit in memory together. Every arm sees the same
patients, steps and augmentation. Results are rows in a file; what is there is not run again. Jobs share nothing and use one
thread each, so neither the number of workers nor an interruption changes a row.
"""

import json
import pickle
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.bench.baselines import FITTERS, Predict
from panlesion.bench.case_store import CaseStore, StoredCase, fill, resampled, written
from panlesion.bench.rows import claim_folder, fingerprint
from panlesion.bench.task import Arm, BenchTask
from panlesion.bench.transfer import tuned_on_related
from panlesion.ct.atomic import replacing
from panlesion.ct.standardise import standardise
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.splits import FewShotSplit, stored_splits
from panlesion.errors import StoreError, TrainingError
from panlesion.measure.overlap import dice
from panlesion.nets.model import Model
from panlesion.nets.sliding import predict_logits
from panlesion.synth.pool import run_jobs
from panlesion.train.finetune import Finetune, Labelled, Moves, adapted, finetune_segment, reset

RESULTS, SPLITS, PREPARED, RELATED = "results.jsonl", "splits.json", "prepared", "related"
ALL = 10**6
"""Shots of a repetition that trains on all of its training patients; more than any dataset has."""

TRAINED: Mapping[Arm, Moves] = MappingProxyType(
    {Arm.SCRATCH: Moves.ALL, Arm.FROZEN: Moves.DECODER, Arm.FINETUNED: Moves.ALL, Arm.TRANSFERRED: Moves.ALL}
)


@dataclass(frozen=True, kw_only=True)
class FewShot:
    """One comparison. `seeds` repetitions, each with its own split by patient, initial weights and batches.

    `arms` None takes the task's own; a shot number of 0 is for arms that need none. `patients` limits those tested on.
    `cross_validated` makes the repetitions folds, each trained on all patients of the others: `shots` has no say then.
    """

    shots: tuple[int, ...] = (1, 4, 16)
    seeds: int = 5
    cross_validated: bool = False
    arms: tuple[Arm, ...] | None = None
    patients: int | None = None
    development: bool = False
    finetune: Finetune = field(default_factory=Finetune)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Dice of one case of a test patient in one repetition of one arm."""

    arm: Arm
    shots: int
    seed: int
    patient: str
    dice: float
    case: str


Watch = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class FewShotJob:
    """One arm at one number of shots in one repetition."""

    arm: Arm
    shots: int
    split: FewShotSplit

    @property
    def key(self) -> tuple[Arm, int, int]:
        return self.arm, self.shots, self.split.seed

    @property
    def group(self) -> str:
        """Every job is its own group: any worker takes any."""
        return str(self)

    def __str__(self) -> str:
        shots = "all data" if self.shots == ALL else f"{self.shots} shots"
        return f"{self.arm}, {shots}, repetition {self.split.seed + 1}"


def run_few_shot(
    task: BenchTask, root: Path, model: Model, plan: FewShot, out: Path, *, workers: int = 1, watch: Watch | None = None
) -> list[Row]:
    """Run all arms, or those still missing from `out`, and return every row.

    Raises:
        StoreError, ReadError: The task's data are missing or damaged, or `out` holds a comparison of another kind.
        TrainingError: A fine-tuning failed; the jobs that are done stay.
    """
    claim_folder(out, _settings(task, model, plan))
    stored, working = stored_cases(task, root, out, watch)
    splits = _splits(task, stored.entries, plan, out)
    rows = _finished(read_rows(out), splits, stored.entries, out)
    done = {(row.arm, row.shots, row.seed) for row in rows}
    jobs = [job for job in _jobs(task, plan, splits) if job.key not in done]
    if not jobs:
        return rows
    if watch is not None:
        watch(str(jobs[0]), 0, len(jobs))
    related = None
    if task.related is not None and any(job.arm is Arm.TRANSFERRED for job in jobs):
        _, related = stored_cases(task.related, root, out / RELATED, watch)
        task = replace(task, related=replace(task.related, read=_read_already))
    bench = _Bench(
        task=replace(task, read=_read_already), stored=stored, working=working, related=related, model=model, plan=plan, out=out
    )
    blob = pickle.dumps(bench)
    for number, outcome in enumerate(run_jobs(jobs, partial(_make_work, blob), workers), 1):
        if outcome.failed:
            raise TrainingError(f"{outcome.job}: {outcome.error}: {outcome.cause}")
        _append(out, outcome.result)
        rows += outcome.result
        if watch is not None:
            watch(str(outcome.job), number, len(jobs))
    rows.sort(key=lambda row: (row.seed, list(Arm).index(row.arm), row.shots, row.case))
    _write(out, rows)
    return rows


def stored_cases(task: BenchTask, root: Path, out: Path, watch: Watch | None = None) -> tuple[CaseStore, CaseStore]:
    """The task's cases where Dice is taken and where the network works, read into files of `out` if they are not there yet.

    Raises:
        StoreError, ReadError: The data are missing, damaged, or others than the results began with.
    """
    settings = {"task": task.id, "spacing_mm": task.spacing_mm}
    folder = out / PREPARED / f"{task.spacing_mm:g}mm"
    stored = fill(folder, settings, task.stream(root, written(folder)), watch=watch)
    task.check_same(root, written(folder))
    if not stored.entries:
        raise StoreError(f"{root / task.folder} holds {len(stored.left_out)} cases, none of them with a lesion of {task.id}")
    if task.working_mm == task.spacing_mm:
        return stored, stored
    return stored, resampled(stored, out / PREPARED / f"{task.working_mm:g}mm", task.working_mm, settings)


def _read_already(*_: Any, **__: Any) -> Iterator[LabelledCT]:
    raise AssertionError("workers read the stored cases; a reader may not be picklable")


def _splits(task: BenchTask, cases: Sequence[StoredCase], plan: FewShot, out: Path) -> list[FewShotSplit]:
    names = task.patients(cases, development=plan.development)
    splits = stored_splits(out / SPLITS, names, repetitions=plan.seeds, cross_validated=plan.cross_validated)
    return [replace(split, test=split.test[: plan.patients]) for split in splits]


def _jobs(task: BenchTask, plan: FewShot, splits: Sequence[FewShotSplit]) -> Iterator[FewShotJob]:
    for split in splits:
        for arm in plan.arms or task.arms:
            some = {ALL} if plan.cross_validated else {min(shots, len(split.train)) for shots in plan.shots if shots > 0}
            none_too = {Arm.ZERO: {0}, Arm.THRESHOLD: some | {0}, Arm.TRANSFERRED: some | {0}}
            for shots in sorted(none_too.get(arm, some)):
                yield FewShotJob(arm=arm, shots=shots, split=split)


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What a worker needs for any job."""

    task: BenchTask
    stored: CaseStore
    working: CaseStore
    related: CaseStore | None
    model: Model
    plan: FewShot
    out: Path


def _make_work(blob: bytes) -> Callable[[FewShotJob], list[Row]]:
    # one line a fine-tuning about its precision would tear the caller's progress bar
    bench: _Bench = pickle.loads(blob)
    return lambda job: _rows(bench, job)


def _rows(bench: _Bench, job: FewShotJob) -> list[Row]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        predict = _predictor(bench, job)
        return [
            Row(
                arm=job.arm, shots=job.shots, seed=job.split.seed, patient=case.patient, case=case.id,
                dice=dice(predict(case), case.label.labels > 0),
            )
            for case in bench.stored.of(job.split.test)
        ]  # fmt: skip
    finally:
        torch.set_num_threads(threads)


def _predictor(bench: _Bench, job: FewShotJob) -> Predict:
    task, plan, arm = bench.task, bench.plan, job.arm
    shown = job.split.train[: job.shots]
    if arm in FITTERS:
        return FITTERS[arm](list(bench.stored.of(shown)))
    if arm is Arm.TRANSFERRED:
        tuned = adapted(_related_model(bench, job), {name: name for name in task.classes})
    else:
        tuned = adapted(bench.model, dict.fromkeys(task.classes, None if arm is Arm.SCRATCH else task.start_from))
    tuned.info = replace(tuned.info, spacing_mm=task.working_mm)
    if shown and arm is not Arm.ZERO:
        if arm is Arm.SCRATCH:
            reset(tuned, job.split.seed)
        protocol = plan.finetune.starting_anew() if arm is Arm.SCRATCH else plan.finetune
        config = replace(protocol, moves=TRAINED[arm], fit=replace(protocol.fit, seed=job.split.seed))
        folder = bench.out / f"run_{arm.name.lower()}_{job.shots}_{job.split.seed}"
        tuned = finetune_segment(tuned, [_labelled(case) for case in bench.working.of(shown)], config, folder)
        shutil.rmtree(folder)
    tuned.eval()
    return lambda case: segment(tuned, case)


def _related_model(bench: _Bench, job: FewShotJob) -> Model:
    """Tuned on all training patients of the repetition: none that is tested on, on neither task."""
    task, related, split = bench.task.related, bench.related, job.split
    assert task is not None and related is not None
    config = replace(bench.plan.finetune, fit=replace(bench.plan.finetune.fit, seed=split.seed))
    file = bench.out / RELATED / f"tuned_{split.seed}.safetensors"
    return tuned_on_related(task, bench.model, lambda: [_labelled(case) for case in related.of(split.train)], config, file)


def _labelled(case: LabelledCT) -> Labelled:
    return Labelled(id=case.id, hu=case.ct.hu, target=case.label.labels)


def segment(model: Model, case: LabelledCT) -> NDArray[np.bool_]:
    """Where an adapted model sees any lesion, on the case's own grid; logits go there linearly from the model's spacing."""
    ct = standardise(case.ct, model.info.spacing_mm)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = predict_logits(model, ct)
    if not ct.grid.same_as(case.ct.grid):
        scale = case.ct.grid.spacing_mm[0] / ct.grid.spacing_mm[0]
        first = ct.grid.to_ijk(case.ct.grid.to_xyz((0.0, 0.0, 0.0)))
        onto = partial(
            ndimage.affine_transform,
            matrix=np.full(3, scale),
            offset=first,
            output_shape=case.ct.grid.shape,
            order=1,
            mode="nearest",
        )
        logits = np.stack([onto(one) for one in logits])
    found: NDArray[np.bool_] = np.asarray(logits.argmax(0)) > 0
    return found


def _settings(task: BenchTask, model: Model, plan: FewShot) -> dict[str, Any]:
    """What every row of a folder depends on, beside its own arm, shots and repetition."""
    finetune = {f"finetune.{name}": value for name, value in asdict(plan.finetune).items()}
    folds = {"folds": plan.seeds} if plan.cross_validated else {}
    folds |= {"related": task.related.id} if task.related else {}
    return {
        "task": task.id,
        "model": fingerprint(model),
        "spacing_mm": task.working_mm,
        "development": plan.development,
    } | folds | finetune  # fmt: skip


def read_rows(out: Path) -> list[Row]:
    """The rows of finished jobs; a job is finished when all cases of its split have one."""
    path = out / RESULTS
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:  # cut by a kill
            continue
        # rows of tasks with one case a patient may name the patient alone
        rows.append(Row(**({"case": row["patient"]} | row | {"arm": Arm(row["arm"])})))
    return rows


def _finished(rows: Sequence[Row], splits: Sequence[FewShotSplit], cases: Iterable[StoredCase], out: Path) -> list[Row]:
    """Only rows of jobs that are complete; the file is rewritten without the others."""
    patient = {case.id: case.patient for case in cases}
    wanted = {split.seed: {name for name, one in patient.items() if one in split.test} for split in splits}
    found: dict[tuple[Arm, int, int], set[str]] = {}
    for row in rows:
        found.setdefault((row.arm, row.shots, row.seed), set()).add(row.case)
    kept = [row for row in rows if found[row.arm, row.shots, row.seed] >= wanted.get(row.seed, set())]
    if len(kept) < len(rows) or (out / RESULTS).exists():
        _write(out, kept)
    return kept


def _lines(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(asdict(row)) + "\n" for row in rows)


def _write(out: Path, rows: Iterable[Row]) -> None:
    with replacing(out / RESULTS) as stream:
        stream.write(_lines(rows).encode())


def _append(out: Path, rows: Iterable[Row]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / RESULTS).open("a", encoding="utf-8") as stream:
        stream.write(_lines(rows))
