"""A network tuned first on a related task of the same patients, such as their CTs before their MRs."""

import tempfile
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
        file.parent.mkdir(parents=True, exist_ok=True)
        # two jobs of a repetition may come here at once: each needs a folder of its own, and both leave the same weights
        with tempfile.TemporaryDirectory(prefix=f".{file.stem}.", dir=file.parent) as run:
            save_checkpoint(file, finetune_segment(start, cases(), config, Path(run)))
    return load_checkpoint(file)
