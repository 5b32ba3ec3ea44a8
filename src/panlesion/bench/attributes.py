"""Report attributes on held-out synthetic lesions: what a head names rightly, beside what needs no image at all.

Five arms answer for the same lesions of bodies nobody trained on: the model's own head; a head trained here on lesions of
other bodies; the same training with labels shuffled between lesions, which must know nothing; the commonest class; the
commonest class of the lesion's type, which is what a reader knows who is told the type and sees nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from panlesion.bench.rows import claim_folder, fingerprint, read_lines
from panlesion.data.patches import BLOCK_SUFFIX, OpenBlock
from panlesion.data.publish import write_text
from panlesion.lesion.vocabulary import READINGS
from panlesion.measure.naming import Naming, naming
from panlesion.nets.attributes import look_of
from panlesion.nets.heads import ATTRIBUTE_HEAD, ATTRIBUTES, attribute_head, split_attributes
from panlesion.nets.model import Model
from panlesion.synth.lesion_crops import LesionCrops
from panlesion.train.loop import Fit, fit
from panlesion.train.optim import Method, Optim, Schedule
from panlesion.train.pool import BlockPool
from panlesion.train.readings import Vectors, VectorSource, gather
from panlesion.train.tasks.describe import UNKNOWN, Describe, class_weights, only_head

ROWS, TRAIN, TEST = "readings.jsonl", "train", "test"


class Arm(StrEnum):
    """Who answers."""

    OWN = "the model's head"
    TRAINED = "head trained here"
    SHUFFLED = "trained on shuffled labels"
    MAJORITY = "commonest class"
    TYPE = "commonest class of the type"


@dataclass(frozen=True, kw_only=True)
class AttributeBench:
    """One comparison. Training and test bodies come from seeds of their own; `views`, `balance` as in stage II."""

    seed: int = 0
    train_bodies: int = 40
    test_bodies: int = 30
    scans: int = 1
    lesions_per_scan: int = 15
    views: int = 2
    balance: float = 0.5
    fit: Fit = field(
        default_factory=lambda: Fit(
            steps=1000,
            batch=64,
            optim=Optim(
                method=Method.ADAMW, rate=1e-3, weight_decay=1e-2, schedule=Schedule.COSINE, warmup_steps=50, ema_decay=0.99
            ),
            precision="32-true",
            save_every=10_000,
        )
    )

    def crops(self, model: Model, part: str) -> LesionCrops:
        """The lesions of one part, at the spacing that the model's head looks at."""
        look = look_of(model)
        # Room to turn the crop; the two parts' seeds are apart from each other and from those that runs are given.
        spacing = (look.spacing_mm, look.spacing_mm)
        seed = 2 * self.seed + (part == TEST) + 0x6265_0000
        return LesionCrops(
            seed=seed,
            spacing_mm=spacing,
            size_voxels=2 * look.crop_voxels,
            scans=self.scans,
            lesions_per_scan=self.lesions_per_scan,
        )


@dataclass(frozen=True, kw_only=True)
class ReadRow:
    """What one arm said of one attribute of one lesion; classes by their index in `lesion.vocabulary`."""

    arm: Arm
    attribute: str
    body: str
    lesion: str
    type: str
    truth: int
    said: int


@dataclass(frozen=True, kw_only=True)
class AttributeResult:
    """One line of the table."""

    attribute: str
    arm: Arm
    naming: Naming


Watch = Callable[[str, int, int], None]


def run_attributes(
    model: Model, plan: AttributeBench, out: Path, *, workers: int = 1, watch: Watch | None = None
) -> list[ReadRow]:
    """Draw the lesions, train both heads and read the test lesions; `out` keeps lesions and rows, and is gone on with.

    Raises:
        CheckpointError: The model has no attribute head.
        StoreError: `out` holds results of another model or plan.
        TrainingError: Drawing or training failed.
    """
    look_of(model)
    claim_folder(out, {"model": fingerprint(model), **asdict(plan)})
    if rows := [_row(line) for line in read_lines(out / ROWS)]:
        return rows
    train = drawn_blocks(plan.crops(model, TRAIN), plan.train_bodies, out / TRAIN, workers=workers, watch=watch)
    test = drawn_blocks(plan.crops(model, TEST), plan.test_bodies, out / TEST, workers=workers, watch=watch)
    rows = read_all(model, train, test, plan, out, watch=watch)
    write_text(out / ROWS, "".join(json.dumps(asdict(row)) + "\n" for row in rows))
    return rows


def drawn_blocks(
    crops: LesionCrops, count: int, folder: Path, *, workers: int = 1, watch: Watch | None = None
) -> list[OpenBlock]:
    """Blocks 0 … count of a recipe, kept in a folder; those that are there are not drawn again."""
    pool = BlockPool(folder, crops.make, workers=workers, ahead=0)
    if len(list(folder.glob(f"block_*{BLOCK_SUFFIX}"))) < count:
        pool.advance(0, count)
    blocks = []
    try:
        for index in range(count):
            blocks.append(pool.open(index))
            if watch is not None:
                watch(f"drawing lesions to {folder.name} with", index + 1, count)
    finally:
        pool.stop()
    return blocks


def read_all(
    model: Model, train: Sequence[OpenBlock], test: Sequence[OpenBlock], plan: AttributeBench, out: Path, *,
    watch: Watch | None = None,
) -> list[ReadRow]:  # fmt: skip
    """Every arm's answers on the lesions of `test`; nothing about these is used before."""
    known = _gathered(model, train, plan.views, "training lesions", watch)
    asked = _gathered(model, test, 1, "test lesions", watch)
    learnt = [row for block in train for row in block.rows]
    facts = [row for block in test for row in block.rows]
    vectors = asked.vectors[:, 0]  # the plain view
    said = {
        Arm.OWN: _named(model, vectors),
        Arm.TRAINED: _named(_trained(model, known, plan, out / "trained"), vectors),
        Arm.SHUFFLED: _named(_trained(model, shuffled(known, plan.seed), plan, out / "shuffled"), vectors),
        Arm.MAJORITY: np.tile(_commonest(known.labels), (len(facts), 1)),
        Arm.TYPE: _commonest_of_type(known.labels, [row["type"] for row in learnt], [row["type"] for row in facts]),
    }
    return [
        ReadRow(
            arm=arm, attribute=name, body=str(row["body"]), lesion=f"{row['host']} {number}", type=row["type"],
            truth=int(asked.labels[number, n]), said=int(answers[number, n]),
        )
        for arm, answers in said.items()
        for number, row in enumerate(facts)
        for n, name in enumerate(ATTRIBUTES)
        if asked.labels[number, n] != UNKNOWN
    ]  # fmt: skip


def shuffled(data: Vectors, seed: int) -> Vectors:
    """The same vectors, each lesion with the labels of another: what can be learnt from them is the classes' frequency."""
    order = np.random.default_rng([seed, 0x73687566]).permutation(len(data.labels))
    return Vectors(vectors=data.vectors, labels=data.labels[order])


def _gathered(model: Model, blocks: Sequence[OpenBlock], views: int, what: str, watch: Watch | None) -> Vectors:
    parts = []
    for number, block in enumerate(blocks):
        parts.append(gather(model, block, views=views, seed=(0, number)))
        if watch is not None:
            watch(f"reading {what}", number + 1, len(blocks))
    return Vectors.joined(parts)


def _trained(model: Model, data: Vectors, plan: AttributeBench, out: Path) -> Model:
    """A copy of the model with a fresh head, trained on the vectors."""
    fresh = deepcopy(model)
    torch.manual_seed(plan.fit.seed)
    head = attribute_head(model.preset, look_of(model))
    head.adjust(torch.from_numpy(data.vectors).flatten(0, 1))
    fresh.heads[ATTRIBUTE_HEAD] = head
    task = Describe(weights=class_weights(torch.from_numpy(data.labels), plan.balance))
    source = VectorSource(data=data, seed=plan.fit.seed, batch=plan.fit.batch)
    only_head(fresh)
    return fit(fresh, task, source, plan.fit, out, groups=only_head).eval()


def _named(model: Model, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """The most probable class (N, 5) of every attribute."""
    with torch.inference_mode():
        parts = split_attributes(model.heads[ATTRIBUTE_HEAD](torch.from_numpy(vectors)))
    return np.stack([part.argmax(dim=1).numpy() for part in parts.values()], axis=1)


def _commonest(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The commonest class (5,) of every attribute; the first one where nothing is known."""
    counts = [Counter(column[column != UNKNOWN].tolist()).most_common(1) for column in labels.T]
    return np.array([count[0][0] if count else 0 for count in counts])


def _commonest_of_type(labels: NDArray[np.int64], learnt: Sequence[str], asked: Sequence[str]) -> NDArray[np.int64]:
    every, of = _commonest(labels), {}
    for type_ in sorted(set(learnt)):
        mine = labels[np.array([one == type_ for one in learnt])]
        of[type_] = np.where((mine != UNKNOWN).any(axis=0), _commonest(mine), every)
    return np.stack([of.get(type_, every) for type_ in asked])


def results(rows: Sequence[ReadRow]) -> list[AttributeResult]:
    """Accuracy and balanced accuracy of every attribute and arm, in their order."""
    found = []
    for name in READINGS:
        for arm in Arm:
            mine = [row for row in rows if row.attribute == name and row.arm is arm]
            if mine:
                score = naming([row.truth for row in mine], [row.said for row in mine], [row.body for row in mine])
                found.append(AttributeResult(attribute=name, arm=arm, naming=score))
    return found


def markdown_table(found: Sequence[AttributeResult]) -> str:
    """The results as a Markdown table."""
    lines = ["| attribute | who answers | lesions | accuracy (95 %) | balanced accuracy (95 %) |", "|---|---|---|---|---|"]
    for one in found:
        a, b = (f"{i.mean:.3f} ({i.low:.3f}–{i.high:.3f})" for i in (one.naming.accuracy, one.naming.balanced))
        lines.append(f"| {one.attribute} | {one.arm} | {one.naming.lesions} | {a} | {b} |")
    return "\n".join(lines) + "\n"


def _row(line: Mapping[str, Any]) -> ReadRow:
    return ReadRow(**{**line, "arm": Arm(line["arm"])})
