"""A small few-shot task; in a file of its own, so that worker processes can import it."""

from dataclasses import replace

import numpy as np

from panlesion.bench.task import BenchTask
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.nets.classes import OTHER_MASS


def made_cases(_root, *, spacing_mm):
    for n in range(6):
        rng = np.random.default_rng(n)
        label = np.zeros((20, 18, 16), dtype=np.uint8)
        a, b, c = rng.integers(3, 7, 3)
        label[a : a + 8, b : b + 8, c : c + 7] = 1
        hu = (60 * label + rng.normal(0, 15, label.shape)).astype(np.int16)
        grid = standard_grid(label.shape, spacing_mm)
        yield LabelledCT(
            id=f"case_{n}", patient=f"case_{n}", ct=Volume(hu=hu, grid=grid), label=LabelMap(labels=label, grid=grid)
        )


TASK = BenchTask(id="made", read=made_cases, folder="made", classes=("box",), start_from=OTHER_MASS, spacing_mm=3.0)


def paired_cases(_root, *, spacing_mm):
    """Two cases of every patient."""
    for case in made_cases(_root, spacing_mm=spacing_mm):
        yield replace(case, id=f"{case.id}a")
        yield replace(case, id=f"{case.id}b")


PAIRS = replace(TASK, id="pairs", read=paired_cases)


def dark_cases(_root, *, spacing_mm):
    """The same patients seen with another scanner: what was bright is dark."""
    for case in made_cases(_root, spacing_mm=spacing_mm):
        yield replace(case, ct=Volume(hu=(-case.ct.hu).astype(np.int16), grid=case.ct.grid))


DARK = replace(TASK, id="dark", read=dark_cases, related=TASK)
