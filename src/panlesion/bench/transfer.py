"""A network tuned first on a related task of the same patients, such as their CTs before their MRs."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from panlesion.bench.task import BenchTask
from panlesion.nets.checkpoint import load_checkpoint, save_checkpoint
from panlesion.nets.model import Model
from panlesion.train.finetune import Finetune, Labelled, adapted, finetune_segment


def tuned_on_related(task: BenchTask, model: Model, cases: Callable[[], list[Labelled]], config: Finetune, file: Path) -> Model:
    """`model` tuned on `cases` of a related task, from `file` where an earlier job of the repetition left it.

    Raises:
        TrainingError: Training failed.
        CheckpointError: `file` is damaged.
    """
    if not file.exists():
        start = adapted(model, dict.fromkeys(task.classes, task.start_from))
        start.info = replace(start.info, spacing_mm=task.working_mm)
        run = file.with_suffix(".run")
        tuned = finetune_segment(start, cases(), config, run)
        save_checkpoint(file, tuned)
        shutil.rmtree(run, ignore_errors=True)
    return load_checkpoint(file)
