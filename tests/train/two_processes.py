"""A run of the loop as a program, so that Fabric can start its other processes: OUT STEPS BAD_STEP."""

import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric
from runs_made import CLASSES, BallSource, tiny_fit, tiny_model

from panlesion.errors import PanlesionError
from panlesion.train.loop import fit
from panlesion.train.tasks.segment import Segment


def main(out: Path, steps: int, bad_step: int) -> None:
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=2, precision="32-true")
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
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
