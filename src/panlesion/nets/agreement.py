"""How far an engine answers as torch in float32 does: the share of voxels with the same class, on windows made for it."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from panlesion.nets.model import Model
from panlesion.nets.sliding import Engine, network_input

_TISSUES_HU = (-850.0, -80.0, 20.0, 60.0, 110.0, 160.0, 300.0, 700.0)
_BALLS, _NOISE_HU = 12, 15.0


def check_windows(model: Model) -> Tensor:
    """Windows (3, channels, side, side, side) after the model's intensity map: two drawn bodies, and smooth noise.

    The same ones every time. Sharp steps between tissues are what a CT is made of; in the noise nothing is sure, so that
    classes lie closer together than in any CT.
    """
    rng = np.random.default_rng(0)
    side, channels = model.info.patch_voxels, model.info.in_channels
    noise = ndimage.gaussian_filter(rng.normal(size=(side,) * 3), side / 12)
    drawn = [_body(side, rng), _body(side, rng), 30.0 + 150.0 * noise / noise.std()]
    windows = network_input(np.stack(drawn).astype(np.int16), model.intensity)
    return torch.from_numpy(windows)[:, None].repeat(1, channels, 1, 1, 1)


def _body(side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """HU of a trunk in air, fat around muscle, with ellipsoids of other tissues in it."""
    at = np.stack(np.meshgrid(*[np.linspace(-1, 1, side)] * 3, indexing="ij"))
    hu = np.full((side,) * 3, -1000.0)
    hu[(at[0] ** 2 / 0.9 + at[1] ** 2 / 0.7) < 1] = -90.0
    hu[(at[0] ** 2 / 0.75 + at[1] ** 2 / 0.55) < 1] = 50.0
    for _ in range(_BALLS):
        middle, radii = rng.uniform(-0.8, 0.8, (3, 1, 1, 1)), rng.uniform(0.1, 0.5, (3, 1, 1, 1))
        hu[(((at - middle) / radii) ** 2).sum(0) < 1] = rng.choice(_TISSUES_HU)
    return hu + rng.normal(0, _NOISE_HU, hu.shape)


def answers(model: Model, engine: Engine, windows: Tensor) -> dict[str, NDArray[np.uint8]]:
    """The class of every voxel in each group, as an engine sees it."""
    found: dict[str, list[NDArray[np.uint8]]] = {group.name: [] for group in model.classes.groups}
    for window in windows:
        logits = engine(window[None].to(engine.device))[0]
        for name, classes in found.items():
            classes.append(logits[model.classes.channels(name)].argmax(0).to(torch.uint8).cpu().numpy())
    return {name: np.stack(classes) for name, classes in found.items()}


def agreement(ours: Mapping[str, NDArray[np.uint8]], reference: Mapping[str, NDArray[np.uint8]]) -> dict[str, float]:
    """Share of voxels with the same class, by group."""
    return {name: float((classes == reference[name]).mean()) for name, classes in ours.items()}
