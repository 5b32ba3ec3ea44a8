"""What a folder of results is about: row, data, choices and network, so that others can be put next to it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import panlesion
from panlesion.data.publish import write_text
from panlesion.errors import PanlesionError, StoreError

ABOUT = "run.json"


@dataclass(frozen=True, kw_only=True)
class About:
    """One run. `parameters` and `spacing_mm` are the network's; None where no network answered."""

    row: str
    title: str
    protocol: str
    data: str
    checkpoint: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)
    network: str = ""
    parameters: int | None = None
    spacing_mm: float | None = None
    stand_in: bool = False
    version: str = ""


def network_facts(checkpoint: str) -> dict[str, Any]:
    """Name, size and spacing of a checkpoint's network; nothing where it cannot be read, as rows without a network allow."""
    # scores of masks (`panlesion evaluate`) use the bench's tables and need no torch
    from panlesion.nets.checkpoint import load_model

    try:
        model = load_model(checkpoint)
    except PanlesionError:
        return {}
    parameters = sum(p.numel() for p in model.parameters())
    return {"network": model.preset.name, "parameters": parameters, "spacing_mm": model.info.spacing_mm}


def write_about(out: Path, about: About) -> None:
    """Leave it in a folder for results."""
    write_text(out / ABOUT, json.dumps(asdict(about) | {"version": panlesion.__version__}, indent=1) + "\n")


def read_about(out: Path) -> About | None:
    """What a folder says of its run; None where it says nothing.

    Raises:
        StoreError: The file is damaged.
    """
    path = out / ABOUT
    if not path.exists():
        return None
    try:
        return About(**json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} tells of no run ({error}); run the row again") from error
