"""What a training step costs: ours against the same network and loss in plain fp32 PyTorch; time spent waiting for data.

    python benchmarks/bench_train.py [--recipes nano,small] [--steps 12] [--run RUN]

Each side runs in a process of its own, by turns, on the same patches; BLAS and torch are held to `--threads`. `--run` is the
folder of a pretraining run, whose journal tells the share of waiting. Goal: waiting ≤ 5 %.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from panlesion.nets.classes import LESIONS, Classes
from panlesion.nets.memory import keep_freed_memory
from panlesion.nets.model import Model, new_model
from panlesion.recipes.pretrain import STAGE_ONE, StageOne
from panlesion.train.journal import JOURNAL_FILE
from panlesion.train.losses import SMOOTH, Balance
from panlesion.train.optim import Ema, make_optimizer
from panlesion.train.tasks.segment import Segment

OURS, PLAIN = "ours", "plain fp32"
Measured = tuple[list[float], float, float]
WARM_UP = 2


def plain_loss(levels: list[Tensor], targets: Tensor, classes: Classes, balance: Balance) -> Tensor:
    """The loss of `train.losses`, as one writes it with autograd."""
    total, norm = torch.zeros(()), sum(0.5**n for n in range(len(levels)))
    for n, logits in enumerate(levels):
        coarse = targets[..., :: 2**n, :: 2**n, :: 2**n].long()
        for g, group in enumerate(classes.groups):
            part, truth = logits[:, classes.channels(group.name)], coarse[:, g]
            one_hot = functional.one_hot(truth, len(group.classes)).movedim(-1, 1).float()
            voxels = one_hot.sum((0, 2, 3, 4))
            rarity = torch.where(voxels > 0, voxels / voxels.sum(), 1.0) ** -balance.get(group.name, 0.0)
            ce = functional.cross_entropy(part, truth, weight=rarity)
            p = part.softmax(1)
            dice = (2 * (p * one_hot).sum((0, 2, 3, 4)) + SMOOTH) / (p.sum((0, 2, 3, 4)) + voxels + SMOOTH)
            terms = [dice[c] for c in range(1, len(voxels)) if voxels[c] > 0]
            if group.name == LESIONS and terms:
                some, seen = one_hot[:, 1:].sum(), 1 - p[:, 0]
                terms.append((2 * (seen * (truth > 0)).sum() + SMOOTH) / (seen.sum() + some + SMOOTH))
            total = total + 0.5**n / norm / 2 * (ce + (1 - torch.stack(terms).mean() if terms else 0.0))
    return total


def batch_of(recipe: StageOne, model: Model, seed: int) -> tuple[Tensor, Tensor]:
    """Noise with a box of every class: the cost of a step does not depend on what it shows."""
    torch.manual_seed(seed)
    side = recipe.patch_voxels
    targets = torch.zeros(recipe.fit.batch, 2, side, side, side, dtype=torch.uint8)
    for g, group in enumerate(model.classes.groups):
        for c in range(1, len(group.classes)):
            i, j, k = torch.randint(0, side - 8, (3,)).tolist()
            targets[c % recipe.fit.batch, g, i : i + 8, j : j + 8, k : k + 8] = c
    return torch.rand(recipe.fit.batch, 1, side, side, side), targets


def measure(name: str, side: str, steps: int, threads: int, answer: "multiprocessing.Queue[Measured]") -> None:
    """Seconds of each step, peak memory in GB and the first loss."""
    torch.set_num_threads(threads)
    recipe = STAGE_ONE[name]()
    torch.manual_seed(0)
    model = new_model(recipe.preset, spacing_mm=recipe.spacing_mm, patch_voxels=recipe.patch_voxels)
    task = Segment(classes=model.classes, balance=recipe.balance)
    module, ours = task.network(model), side == OURS
    if ours:
        keep_freed_memory()
    optimizer = (
        make_optimizer(model.parameters(), recipe.fit.optim) if ours else torch.optim.AdamW(model.parameters(), foreach=False)
    )
    ema = Ema(model, recipe.fit.optim.ema_decay)
    spent, first = [], float("nan")
    for step in range(WARM_UP + steps):
        image, targets = batch_of(recipe, model, step)
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=ours):
            levels = module(image)
        loss = task.loss(levels, {"targets": targets}) if ours else plain_loss(levels, targets, model.classes, recipe.balance)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.fit.optim.clip_norm)
        optimizer.step()
        ema.update(model, step)
        spent.append(time.perf_counter() - began)
        first = loss.item() if step == 0 else first
    answer.put((spent[WARM_UP:], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, first))


def in_a_process(name: str, side: str, steps: int, threads: int) -> Measured:
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=measure, args=(name, side, steps, threads, answer))
    process.start()
    made = answer.get()
    process.join()
    return made


def waiting(run: Path) -> str:
    """Share of the logged steps' time that was spent waiting for data."""
    rows = [json.loads(line) for line in (run / JOURNAL_FILE).read_text().splitlines()]
    steps = [row for row in rows if "wait_s" in row]
    share = sum(row["wait_s"] for row in steps) / sum(row["step_s"] for row in steps)
    return f"{share:.2%} of the time of {len(steps)} logged steps"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--recipes", default="nano,small")
    arguments.add_argument("--steps", type=int, default=12)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--run", type=Path)
    given = arguments.parse_args()
    for name in given.recipes.split(","):
        seconds: dict[str, list[float]] = {OURS: [], PLAIN: []}
        peak, loss = dict.fromkeys(seconds, 0.0), dict.fromkeys(seconds, 0.0)
        for _ in range(2):  # by turns, so that a busy minute does not fall on one side
            for side in seconds:
                spent, memory, loss[side] = in_a_process(name, side, given.steps, given.threads)
                seconds[side] += spent
                peak[side] = max(peak[side], memory)
        for side, spent in seconds.items():
            low, middle, high = statistics.quantiles(spent, n=4)
            spread = f"{middle:.2f} s a step ({low:.2f}-{high:.2f})"
            print(f"{name:6} {side:11} {spread}, {peak[side]:.2f} GB, first loss {loss[side]:.4f}")
        ratio = statistics.median(seconds[PLAIN]) / statistics.median(seconds[OURS])
        print(f"{name:6} {ratio:.2f} x faster, {peak[OURS] / peak[PLAIN]:.0%} of the memory")
    if given.run:
        print(f"waiting for data: {waiting(given.run)}")


if __name__ == "__main__":
    main()
