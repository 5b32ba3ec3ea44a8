"""Few-shot results as a table: every arm with its interval, and what fine-tuning gains over the others."""

from collections.abc import Sequence
from dataclasses import replace

from panlesion.bench.few_shot import ALL, FewShot, Row, run_few_shot
from panlesion.bench.protocol import Asked, Table, Watch, parsed_arms
from panlesion.bench.scores import DIFFERENCE, Score, scored
from panlesion.bench.task import Arm, BenchTask
from panlesion.measure.resampling import Interval, bootstrap_mean
from panlesion.nets.checkpoint import load_model


def summary(rows: Sequence[Row]) -> list[tuple[Arm, int, Interval]]:
    """Mean Dice of every arm and number of shots, with a 95 % interval over patients."""
    table = []
    for arm in Arm:
        for shots in sorted({row.shots for row in rows if row.arm is arm}):
            mine = [row for row in rows if row.arm is arm and row.shots == shots]
            table.append((arm, shots, bootstrap_mean([row.dice for row in mine], [row.patient for row in mine])))
    return table


def gain(rows: Sequence[Row], arm: Arm, over: Arm, shots: int) -> Interval:
    """Mean paired difference in Dice of two arms on the same cases and repetitions, with its interval.

    Raises:
        ValueError: The arms share no case at that number of shots.
    """
    at = {(row.arm, row.seed, row.patient, row.case): row.dice for row in rows if row.shots == shots}
    pairs = [(patient, value - at[(over, seed, patient, case)]) for (one, seed, patient, case), value in at.items()
             if one is arm and (over, seed, patient, case) in at]  # fmt: skip
    return bootstrap_mean([value for _, value in pairs], [patient for patient, _ in pairs])


def run_task(task: BenchTask, asked: Asked, watch: Watch, *, plan: FewShot | None = None) -> list[Table]:
    """Run a task as asked, and show its rows; `plan` is what holds where nothing was chosen.

    Raises:
        ValueError: A choice out of its range.
        PanlesionError: As `run_few_shot`, or the checkpoint cannot be read.
    """
    chosen, plan = asked.choices, plan or FewShot()
    if chosen.spacing is not None:
        if not chosen.spacing > 0:
            raise ValueError(f"spacing is {chosen.spacing}; it must be a positive number of mm")
        task = task.at(chosen.spacing)
    if chosen.arms is not None:
        plan = replace(plan, arms=parsed_arms(chosen.arms, task.arms))
    if chosen.shots is not None:
        if not chosen.shots or min(chosen.shots) < 0:
            raise ValueError(f"shots are {chosen.shots}; they must be numbers of patients, 0 or more")
        plan = replace(plan, shots=chosen.shots)
    if chosen.steps is not None:
        plan = replace(plan, finetune=replace(plan.finetune, fit=replace(plan.finetune.fit, steps=chosen.steps)))
    plan = replace(plan, seeds=chosen.seeds or plan.seeds, patients=chosen.cases, development=bool(chosen.development))
    model = load_model(asked.checkpoint)
    rows = run_few_shot(task, asked.root, model, plan, asked.out, workers=chosen.workers or 1, watch=watch)
    return few_shot_tables(task, rows)


def shown_shots(shots: int) -> str:
    """A number of shots as it is written."""
    return "all" if shots == ALL else str(shots)


def few_shot_tables(task: BenchTask, rows: Sequence[Row]) -> list[Table]:
    """Dice of every arm, and the paired gains of fine-tuning."""
    repetitions = {key: len({row.seed for row in rows if (row.arm, row.shots) == key}) for key in _keys(rows)}
    found = summary(rows)
    scores = Table(
        title=f"Dice on a grid of {task.spacing_mm:g} mm, the network at {task.working_mm:g} mm",
        header=("arm", "shots", "Dice (95 % interval)", "repetitions"),
        rows=tuple(
            (str(arm), shown_shots(shots), str(interval), str(repetitions[arm, shots])) for arm, shots, interval in found
        ),
        notes=(f"Intervals resample patients (n), values of one averaged first. Cases: {len({row.case for row in rows})}.",),
        scores=tuple(_score(task, "dice", str(arm), shots, one, repetitions[arm, shots]) for arm, shots, one in found),
    )
    at = {arm: {row.shots for row in rows if row.arm is arm} for arm in task.arms}
    gains = [
        (arm, over, shots, gain(rows, arm, over, shots))
        for arm in (Arm.FINETUNED, Arm.TRANSFERRED)
        for over in task.arms
        if over not in (arm, Arm.TRANSFERRED)
        for shots in sorted(at.get(arm, set()) & at[over])
    ]
    if not gains:
        return [scores]
    paired = Table(
        title="Paired differences in Dice",
        header=("arms", "shots", "difference (95 % interval)"),
        rows=tuple((f"{arm} over {over}", shown_shots(shots), str(one)) for arm, over, shots, one in gains),
        scores=tuple(
            _score(task, f"dice{DIFFERENCE}", f"{arm} over {over}", shots, one, repetitions[over, shots])
            for arm, over, shots, one in gains
        ),
    )
    return [scores, paired]


def _keys(rows: Sequence[Row]) -> set[tuple[Arm, int]]:
    return {(row.arm, row.shots) for row in rows}


def _score(task: BenchTask, metric: str, arm: str, shots: int, interval: Interval, repetitions: int) -> Score:
    """In folds every patient is tested on once: that is one repetition."""
    every = shots == ALL
    kept, times = (None, 1) if every else (shots, repetitions)
    return scored(task.id, arm, metric, interval, shots=kept, repetitions=times)
