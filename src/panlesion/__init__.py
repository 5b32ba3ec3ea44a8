"""panlesion: lesions synthesised in healthy CT, a 3D network pretrained on them, and a reading room around it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panlesion.nets.checkpoint import load_model

__all__ = ["__version__", "load_model"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the public face when it is asked for: importing panlesion must not import torch."""
    if name == "load_model":
        from panlesion.nets.checkpoint import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
