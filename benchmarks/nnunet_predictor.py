"""nnU-Net's predictor on our network and volume: the rival of bench_predict.py that has an environment of its own.

    PYTHONPATH=src NNUNET_VENV/bin/python benchmarks/nnunet_predictor.py FOLDER OVERLAP THREADS SIDE

FOLDER has what bench_predict.py put there. Only torch, NumPy, nnunetv2, `panlesion.nets.preset` and `panlesion.nets.unet` are
imported, which import `panlesion.nets.blocks` and `panlesion.errors`. SIDE is `nnunet`, its predictor as it is, or
`nnunet_same`, which has MONAI's windows; its own are as many, but spaced evenly. Off or left out, as on the other sides:
mirroring, folds, resampling, files. The network runs in float32; its predictor sums logits in float16 and leaves no choice.
"""

import json
import sys
import time
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from panlesion.nets.preset import Preset
from panlesion.nets.unet import UNet


class Network(torch.nn.Module):
    """The U-Net with its offsets."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        made = json.loads((folder / "network.json").read_text())
        preset = made["preset"] | {"channels": tuple(made["preset"]["channels"])}
        self.unet = UNet(Preset(**preset), made["classes"], in_channels=1)
        self.unet.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
        self.side, self.classes = made["patch_voxels"], made["classes"]
        self.groups: dict[str, list[int]] = made["groups"]
        self.register_buffer("offsets", torch.tensor(made["offsets"] or [0.0] * self.classes)[:, None, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.unet(x) + self.offsets


class SameWindows(nnUNetPredictor):
    """Windows at MONAI's places: a fixed step, and the last one ends with the image."""

    def _internal_get_sliding_window_slicers(self, image_size: tuple[int, ...]) -> list[tuple[slice, ...]]:
        starts = []
        for length, side in zip(image_size, self.configuration_manager.patch_size, strict=True):
            step = max(1, int(side * self.tile_step_size))
            starts.append([min(start, length - side) for start in range(0, length - side + step, step)])
        side = self.configuration_manager.patch_size[0]
        return [(slice(None), *(slice(one, one + side) for one in corner)) for corner in product(*starts)]


PREDICTORS = {"nnunet": nnUNetPredictor, "nnunet_same": SameWindows}


def peak_gb() -> float:
    """Most memory this process ever held; what getrusage says of it begins with its parent's."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def main() -> None:
    folder, overlap, threads, name = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(threads)
    network = Network(folder)
    image = torch.from_numpy(np.load(folder / "input.npy"))[None]
    began, cpu = time.perf_counter(), time.process_time()
    predictor = PREDICTORS[name](
        tile_step_size=1 - overlap, use_gaussian=True, use_mirroring=False, perform_everything_on_device=False,
        device=torch.device("cpu"), allow_tqdm=False,
    )  # fmt: skip
    predictor.network = network
    # All that its sliding window asks of plans and labels.
    predictor.configuration_manager = SimpleNamespace(patch_size=[network.side] * 3)
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=network.classes)
    logits = predictor.predict_sliding_window_return_logits(image)
    maps = {name: logits[a:b].argmax(0).to(torch.uint8).numpy() for name, (a, b) in network.groups.items()}
    spent = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    np.savez(folder / f"{name}.npz", **maps)
    (folder / f"{name}.json").write_text(json.dumps(spent | {"peak_gb": peak_gb()}))


if __name__ == "__main__":
    main()
