"""What a verb says when the extra it needs is not installed."""

import importlib.util
from collections.abc import Sequence

from panlesion.errors import MissingExtraError

_MODEL = ("torch", "monai", "lightning_fabric", "safetensors", "tensorboard", "blosc2")


_DICOM = ("highdicom",)
_BENCH = ("sklearn",)
_AID = ("fastapi", "uvicorn", "sqlalchemy", "alembic", "authlib", "argon2", "pydantic_settings", "python_multipart")


def need_dicom_extra(verb: str) -> None:
    """Raise unless what writes DICOM objects is installed.

    Raises:
        MissingExtraError: names what is missing and how to install it.
    """
    _need(verb, _DICOM, "dicom")


def need_model_extra(verb: str) -> None:
    """Raise unless the `model` extra is installed.

    Raises:
        MissingExtraError: names what is missing and how to install it.
    """
    _need(verb, _MODEL, "model")


def need_aid_extra(verb: str) -> None:
    """Raise unless the `aid` extra's server is installed.

    Raises:
        MissingExtraError: names what is missing and how to install it.
    """
    _need(verb, _AID, "aid")


def need_bench_extra(verb: str) -> None:
    """Raise unless the `bench` extra's models are installed.

    Raises:
        MissingExtraError: names what is missing and how to install it.
    """
    _need(verb, _BENCH, "bench")


def _need(verb: str, modules: Sequence[str], extra: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"panlesion {verb} needs {', '.join(missing)}; "
            f"install them with: pip install -c constraints.txt 'panlesion[{extra}]'"
        )
