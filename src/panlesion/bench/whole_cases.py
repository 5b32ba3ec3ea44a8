"""Rows that ask about whole cases: arms learn fold after fold as `panlesion finetune --task` does.

A job is one fold of one arm in one repetition. Its answers are a line of `answers.jsonl`; what has a line is not run again.
"""

import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from panlesion.bench.protocol import Asked, Choices, Table, Watch, parsed_arms
from panlesion.bench.rows import append_line, claim_folder, fingerprint, read_lines
from panlesion.bench.task import Arm
from panlesion.bench.whole_case_check import checked_table, folded
from panlesion.bench.whole_case_scores import Evidence, Question, baselines_of, whole_case_tables
from panlesion.ct.region import Region
from panlesion.data.sources.case_check import CheckedTable
from panlesion.data.sources.case_table import CaseTable
from panlesion.errors import StoreError, TrainingError
from panlesion.lesion.case_task import CaseTask
from panlesion.nets.case_answer import Answers
from panlesion.recipes.case_recipe import CaseProtocol, CaseRecipe, framing_of, frozen, full, published, resolve
from panlesion.recipes.cases import Part, parts_of, prepare, prepared, train_part
from panlesion.recipes.starting_weights import SCRATCH, StartingWeights, starting_weights
from panlesion.synth.pool import run_jobs

NETWORKS = (Arm.FINETUNED, Arm.FROZEN, Arm.SCRATCH)
CHOICES = frozenset({"arms", "cases", "seeds", "steps", "workers"})
ANSWERS, RUNS = "answers.jsonl", "runs"
_PUBLISHED_SIZE = "pasta"


@dataclass(frozen=True, kw_only=True)
class WholeCases:
    """A row: its question, the reader of its table (folder, stages as chosen), and what of a label the network is shown."""

    id: str
    folder: str
    question: Question
    table: Callable[[Path, tuple[str, ...]], CaseTable]
    region: Region
    values: tuple[int, ...] = ()

    @property
    def task(self) -> CaseTask:
        return self.question.task

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Every arm that answers this question: organs have no lesion volume, times no most frequent class."""
        return (*NETWORKS, *baselines_of(self.question, self.region))


@dataclass(frozen=True, kw_only=True)
class CaseJob:
    """One fold of one arm in one repetition."""

    arm: Arm
    seed: int
    part: str

    @property
    def group(self) -> str:
        """Every job is its own group: any worker takes any."""
        return str(self)

    @property
    def key(self) -> tuple[str, int, str]:
        return self.arm, self.seed, self.part

    def __str__(self) -> str:
        return f"{self.arm}, {self.part.replace('_', ' ')}, repetition {self.seed + 1}"


def protocol_of(arm: Arm, task: CaseTask, size: str) -> CaseProtocol:
    """How an arm's network is adapted: as published where it has the published size, else as a CPU can do it."""
    if arm is Arm.FROZEN:
        return frozen()
    return published(task) if size == _PUBLISHED_SIZE else replace(full(), encoder_scale=1.0 if arm is Arm.SCRATCH else 0.1)


def run_whole_cases(plan: WholeCases, asked: Asked, watch: Watch) -> list[Table]:
    """Check the cases, train what is missing, score everything out of fold.

    Raises:
        StoreError: The table or its cases are not as they should be; `asked.out` holds results of others.
        TrainingError: A fold failed.
        CheckpointError: The checkpoint cannot be read.
        ValueError: An unknown arm.
    """
    chosen = asked.choices
    arms = plan.arms if chosen.arms is None else parsed_arms(chosen.arms, plan.arms)
    start = starting_weights(asked.checkpoint)
    framing = framing_of(plan.task, start.model, region=plan.region, values=plan.values)
    table = _fewer(plan.table(asked.root / plan.folder, chosen.stages or ()), chosen.cases)
    plan.question.check(table)
    asked.out.mkdir(parents=True, exist_ok=True)
    checked = checked_table(table, plan.task, framing, asked.out, progress=lambda n, of, id: watch(f"checking {id}", n, of))
    starts = {arm: replace(start, name=SCRATCH, sha256="") if arm is Arm.SCRATCH else start for arm in NETWORKS}
    # the trivial arms need a recipe's cases and folds too
    plain = partial(_recipe, plan, starts[Arm.FROZEN], table, chosen=chosen, arm=Arm.FROZEN)
    seeds = range(chosen.seeds or 1)
    each = {seed: folded(table, checked, plan.task, seed) for seed in seeds}
    recipes = {
        (arm, seed): _recipe(plan, starts[arm], table, each[seed], chosen=chosen, arm=arm, seed=seed)
        for seed in seeds for arm in arms if arm in NETWORKS
    }  # fmt: skip
    claim_folder(asked.out, _settings(plan, start, plain(checked, seed=0), chosen))
    answers = _answers(recipes, starts, table, asked, watch)
    evidence = [
        Evidence(recipe=plain(each[seed], seed=seed), answers={arm: answers[arm, seed] for arm in arms if arm in NETWORKS})
        for seed in seeds
    ]
    notes = (*table.notes, *checked.notes, _adapted(plan, start, chosen))
    return whole_case_tables(plan.id, plan.question, evidence, arms, notes=tuple(dict.fromkeys(notes)))


def _fewer(table: CaseTable, most: int | None) -> CaseTable:
    """The first patients of a table."""
    kept = list(dict.fromkeys(case.patient for case in table.cases))[:most]
    return replace(table, cases=tuple(case for case in table.cases if case.patient in kept))


def _recipe(
    plan: WholeCases, start: StartingWeights, table: CaseTable, checked: CheckedTable, *, chosen: Choices, arm: Arm, seed: int
) -> CaseRecipe:
    framing = framing_of(plan.task, start.model, region=plan.region, values=plan.values)
    protocol = protocol_of(arm, plan.task, start.model.preset.name)
    return resolve(plan.task, start, table, checked, framing, protocol=protocol, steps=chosen.steps, seed=seed)


def _settings(plan: WholeCases, start: StartingWeights, recipe: CaseRecipe, chosen: Choices) -> dict[str, Any]:
    """What every answer of a folder depends on, beside its own arm, fold and repetition."""
    cases = [{name: value for name, value in asdict(case).items() if name != "volume_ml"} for case in recipe.cases]
    return {
        "task": plan.task, "region": plan.region, "model": fingerprint(start.model), "steps": chosen.steps,
        "framing": asdict(recipe.framing), "stages": recipe.stages, "folds": recipe.folds, "cases": cases,
    }  # fmt: skip


def _adapted(plan: WholeCases, start: StartingWeights, chosen: Choices) -> str:
    size = start.model.preset.name
    made = protocol_of(Arm.FINETUNED, plan.task, size)
    how = "as published" if size == _PUBLISHED_SIZE else "ours, sized for a CPU"
    return (
        f"Fine-tuned: encoder and head, {chosen.steps or made.fit.steps} steps a fold, {how}; frozen: the head alone; scratch: "
        "the same network without pretraining. The step is chosen on patients of the training part."
    )


Answered = dict[tuple[Arm, int], list[tuple[Part, Answers]]]


def _answers(
    recipes: Mapping[tuple[Arm, int], CaseRecipe],
    starts: Mapping[Arm, StartingWeights],
    table: CaseTable,
    asked: Asked,
    watch: Watch,
) -> Answered:
    """Out-of-fold answers of every arm and repetition; those that are not there yet are made."""
    out = asked.out
    told = _told(out)
    parts = {key: [part for part in parts_of(recipe) if len(part.scored)] for key, recipe in recipes.items()}
    every = [CaseJob(arm=arm, seed=seed, part=part.name) for (arm, seed), mine in parts.items() for part in mine]
    jobs = [job for job in every if job.key not in told]

    def read(arm: Arm, seed: int, part: Part) -> Answers:
        return _read(told[arm, seed, part.name], part, recipes[arm, seed], out)

    for (arm, seed), mine in parts.items():  # before hours are spent on the others
        for part in mine:
            if (arm, seed, part.name) in told:
                read(arm, seed, part)
    for arm, seed in dict.fromkeys((job.arm, job.seed) for job in jobs):
        folder = out / RUNS / f"{arm.name.lower()}_{seed}"
        prepare(recipes[arm, seed], starts[arm], table, folder, cubes_in=out,
                progress=lambda n, of, id: watch(f"preparing {id}", n, of))  # fmt: skip
    blob = pickle.dumps((dict(recipes), dict(starts), out))
    done = len(every) - len(jobs)
    for number, outcome in enumerate(run_jobs(jobs, partial(_make_work, blob), asked.choices.workers or 1), 1):
        if outcome.failed:
            raise TrainingError(f"{outcome.job}: {outcome.error}: {outcome.cause}")
        append_line(out / ANSWERS, outcome.result)
        told[outcome.job.key] = outcome.result
        shutil.rmtree(out / RUNS / _folder(outcome.job) / outcome.job.part, ignore_errors=True)
        watch(str(outcome.job), done + number, len(every))
    return {(arm, seed): [(part, read(arm, seed, part)) for part in mine] for (arm, seed), mine in parts.items()}


def _told(out: Path) -> dict[tuple[str, int, str], dict[str, Any]]:
    """The lines of finished jobs by their keys."""
    lines = read_lines(out / ANSWERS)
    if not all(isinstance(line, dict) and {"arm", "seed", "part"} <= line.keys() for line in lines):
        raise StoreError(f"{out / ANSWERS} has a line that names no arm, seed and part; remove that line and run again")
    return {(line["arm"], line["seed"], line["part"]): line for line in lines}


def _folder(job: CaseJob) -> str:
    return f"{job.arm.name.lower()}_{job.seed}"


def _make_work(blob: bytes) -> Callable[[CaseJob], dict[str, Any]]:
    recipes, starts, out = pickle.loads(blob)
    return lambda job: _work(recipes[job.arm, job.seed], starts[job.arm], out, job)


def _work(recipe: CaseRecipe, start: StartingWeights, out: Path, job: CaseJob) -> dict[str, Any]:
    """Train one fold, and its answers as a line."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        folder = out / RUNS / _folder(job)
        data = prepared(recipe, folder, cubes_in=out)
        part = next(part for part in parts_of(recipe) if part.name == job.part)
        trained = train_part(recipe, start, data, part, folder)
    finally:
        torch.set_num_threads(threads)
    assert trained.answers is not None
    answers = trained.answers
    return {
        "arm": str(job.arm), "seed": job.seed, "part": job.part, "step": trained.step,
        "cases": [recipe.cases[row].id for row in part.scored.tolist()],
        "classes": {name: values.tolist() for name, values in answers.classes.items()},
        "risk": None if answers.risk is None else answers.risk.tolist(),
    }  # fmt: skip


def _read(line: Mapping[str, Any], part: Part, recipe: CaseRecipe, out: Path) -> Answers:
    """The answers of a line.

    Raises:
        StoreError: It is about other cases, or lacks some.
    """
    ids = [recipe.cases[row].id for row in part.scored.tolist()]
    try:
        classes = {name: np.array(values, dtype=np.float64) for name, values in line["classes"].items()}
        risk = None if line["risk"] is None else np.array(line["risk"], dtype=np.float64)
        sound = line["cases"] == ids and {len(one) for one in (*classes.values(), *([] if risk is None else [risk]))} == {
            len(ids)
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        sound = False
    if not sound:
        raise StoreError(
            f"{out / ANSWERS}: the line of {line.get('arm')}, {line.get('part')}, seed {line.get('seed')} is not about the "
            "cases of that fold; remove it and run again"
        )
    return Answers(classes=classes, risk=risk)
