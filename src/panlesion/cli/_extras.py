"""What a verb says when the extra it needs is not installed."""

import importlib.util

from panlesion.errors import MissingExtraError

_MODEL = ("torch", "monai", "lightning_fabric", "safetensors", "tensorboard", "blosc2")


def need_model_extra(verb: str) -> None:
    """Raise unless the `model` extra is installed.

    Raises:
        MissingExtraError: names what is missing and how to install it.
    """
    missing = [name for name in _MODEL if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"panlesion {verb} needs {', '.join(missing)}; install them with: pip install -c constraints.txt 'panlesion[model]'"
        )
