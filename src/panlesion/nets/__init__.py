"""The PASTA network: blocks, presets, heads, weights on disk. The lowest room that imports torch."""

from importlib.util import find_spec

from panlesion.errors import MissingExtraError

for _name in ("torch", "safetensors"):
    if find_spec(_name) is None:
        raise MissingExtraError(f"{_name} is not installed; networks need the model extra: pip install 'panlesion[model]'")
