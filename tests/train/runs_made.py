"""A tiny model and source for tests of the loop: a bright ball to be found in noise."""

from dataclasses import dataclass

import numpy as np

from panlesion.nets.classes import Classes, ClassGroup
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset
from panlesion.train.loop import Fit, Sample
from panlesion.train.optim import Method, Optim, Schedule

TINY = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)
CLASSES = Classes(groups=(ClassGroup(name="lesions", classes=("none", "ball")),))


def tiny_model(seed: int = 0) -> Model:
    import torch

    torch.manual_seed(seed)
    return Model(ModelInfo(preset=TINY, classes=CLASSES, spacing_mm=3.0, patch_voxels=16))


def tiny_fit(steps: int, **changes: object) -> Fit:
    optim = Optim(method=Method.ADAMW, rate=1e-2, weight_decay=0.0, schedule=Schedule.CONSTANT, ema_decay=0.9)
    return Fit(**({"steps": steps, "batch": 2, "optim": optim, "log_every": 1, "save_every": 3} | changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class BallSource:
    """Samples whose ball's place follows from (step, slot); from `bad_step` on they hold a NaN."""

    bad_step: int = 10**9

    def at_step(self, step: int) -> None: ...

    def sample(self, step: int, slot: int) -> Sample:
        rng = np.random.default_rng([step, slot])
        at = rng.integers(5, 11, 3)
        inside = np.linalg.norm(np.indices((16, 16, 16)).transpose(1, 2, 3, 0) - at, axis=-1) < 4
        image = (0.3 + 0.3 * inside + 0.05 * rng.standard_normal(inside.shape)).astype(np.float32)
        if step >= self.bad_step:
            image[0, 0, 0] = np.nan
        return Sample(arrays={"image": image[None], "targets": inside[None].astype(np.uint8)}, id=f"ball {step}.{slot}")
