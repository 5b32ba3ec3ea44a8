"""A tiny refiner for tests, with weights that change something."""

from pathlib import Path

import torch

from panlesion.nets.refiner import Refiner, RefinerInfo, save_refiner


def tiny_refiner(seed: int = 0, spacing_mm: float = 3.0) -> Refiner:
    torch.manual_seed(seed)
    refiner = Refiner(RefinerInfo(spacing_mm=spacing_mm, channels=(4, 8), patch_voxels=16, recipe={"steps": 1}))
    with torch.no_grad():
        for parameter in refiner.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return refiner.eval()


def write_tiny_refiner(folder: Path, spacing_mm: float = 3.0, seed: int = 0) -> Path:
    path = folder / f"refiner_{seed}.safetensors"
    save_refiner(path, tiny_refiner(seed, spacing_mm))
    return path
