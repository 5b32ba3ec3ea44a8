"""The network through OpenVINO, on CPUs: converted once, compiled for one size of window."""

import hashlib
import importlib.util
import shutil
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from panlesion.errors import MissingExtraError
from panlesion.nets.model import Model

_NETWORK = "network.xml"
_COMPILED: dict[tuple[str, int, bool, int], Any] = {}


def has_openvino() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("openvino") is not None


def openvino() -> Any:
    """The module, imported without its telemetry.

    Importing OpenVINO reports that to Google Analytics and writes an identifier into the home directory, unless the user
    opted out (openvino_telemetry 2025.2). A program for hospitals asks for nothing of the kind, so it does not find the
    package that would do it; without that package OpenVINO does without.

    Raises:
        MissingExtraError: It is not installed.
    """
    if not has_openvino():
        raise MissingExtraError("openvino is not installed: pip install -c constraints.txt 'panlesion[fast]'")
    name = "openvino_telemetry"
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if absent:
            del sys.modules[name]
    return openvino


def weights_digest(model: Model) -> str:
    """SHA-256 of what a converted network and its check depend on: weights, and all that says how they are used."""
    info = model.info
    made = hashlib.sha256(repr((info.preset, info.offsets, info.in_channels, info.classes, info.intensity)).encode())
    for name, tensor in sorted(model.unet.state_dict().items()):
        made.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        made.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().data)
    return made.hexdigest()


class OpenVinoEngine:
    """Windows one by one through a compiled network; a batch is slower, as it leaves the cache. Not for two threads at once."""

    device = torch.device("cpu")

    def __init__(self, model: Model, *, bf16: bool, threads: int, cache: Path | None = None) -> None:
        digest = weights_digest(model)
        key = (digest, model.info.patch_voxels, bf16, threads)
        if key not in _COMPILED:
            settings = {
                "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
            }
            _COMPILED[key] = openvino().Core().compile_model(_converted(model, digest, cache), "CPU", settings)
        self._request = _COMPILED[key].create_infer_request()

    def __call__(self, windows: Tensor) -> Tensor:
        """Logits of windows of the model's size; any other is refused by OpenVINO."""
        if len(windows) == 1:
            return self._one(windows)
        return torch.cat([self._one(window[None]).clone() for window in windows])

    def _one(self, window: Tensor) -> Tensor:
        """In the request's own memory: copying it would take a tenth of the time that the network takes."""
        self._request.infer({0: window.contiguous().numpy()}, share_inputs=True, share_outputs=True)
        return torch.from_numpy(self._request.get_output_tensor(0).data)


def entry_of(model: Model, digest: str, cache: Path) -> Path:
    """The folder of a converted network in a cache: another version of OpenVINO, or other weights, have another."""
    version = openvino().__version__.split("-")[0]
    return cache / f"{digest[:32]}-{model.info.patch_voxels}-openvino-{version}"


def _converted(model: Model, digest: str, cache: Path | None) -> Any:
    """The network as OpenVINO has it, from the cache where it is there and whole, else made now and put there."""
    if cache is None:
        return _convert(model)
    entry = entry_of(model, digest, cache)
    if (entry / _NETWORK).is_file():
        try:
            return openvino().Core().read_model(entry / _NETWORK)
        except RuntimeError:  # cut off or of another make: made anew
            shutil.rmtree(entry, ignore_errors=True)
    network = _convert(model)
    # A cache that cannot be written (disk full, read-only, another process was first) is no reason not to predict.
    with suppress(OSError, RuntimeError):
        _put_by(network, entry)
    return network


def _put_by(network: Any, entry: Path) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=entry.parent))
    try:
        openvino().save_model(network, part / _NETWORK, compress_to_fp16=False)
        part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _convert(model: Model) -> Any:
    side, channels = model.info.patch_voxels, model.info.in_channels
    window = torch.zeros(1, channels, side, side, side)
    with warnings.catch_warnings(), torch.no_grad():
        # Windows have one size, so checks of it need not be in the graph, of which the tracer warns for each of them.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # OpenVINO 2026.4 takes a traced module or an exported one; exporting takes seconds and loads sympy.
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.trace", category=DeprecationWarning)
        traced = torch.jit.trace(model, window, check_trace=False)  # type: ignore[no-untyped-call]
        return openvino().convert_model(traced, example_input=window, input=[tuple(window.shape)])
