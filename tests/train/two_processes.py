"""Runs of the loop as a program, so that Fabric can start its other processes: OUT STEPS BAD_STEP, once or more."""

import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric
from runs_made import CLASSES, BallSource, tiny_fit, tiny_model

from panlesion.errors import PanlesionError
from panlesion.train.loop import fit
from panlesion.train.tasks.segment import Segment


def main(fabric: Fabric, out: Path, steps: int, bad_step: int) -> None:
    try:
        model = fit(
            tiny_model(), Segment(classes=CLASSES), BallSource(bad_step=bad_step),
            tiny_fit(steps, precision="32-true"), out, fabric=fabric,
        )  # fmt: skip
    except PanlesionError as error:
        (out / f"stopped_{fabric.global_rank}.txt").write_text(str(error))
        raise SystemExit(3) from error
    torch.save(model.state_dict(), out / f"weights_{fabric.global_rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    both = Fabric(accelerator="cpu", devices=2, precision="32-true")
    for start in range(1, len(sys.argv), 3):
        main(both, Path(sys.argv[start]), int(sys.argv[start + 1]), int(sys.argv[start + 2]))
