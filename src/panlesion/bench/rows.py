"""Result folders: which model and settings they belong to, and rows that a kill cannot spoil."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panlesion.data.publish import write_text
from panlesion.errors import StoreError

if TYPE_CHECKING:
    from panlesion.nets.model import Model

SETTINGS = "settings.json"


def fingerprint(model: "Model") -> str:
    """SHA-256 over names and values of all weights, as stored in the model."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def claim_folder(out: Path, settings: Mapping[str, Any]) -> None:
    """Write what the folder's rows depend on, or see that they depend on the same.

    Raises:
        StoreError: The folder holds rows of another model or other settings; the message names what differs.
    """
    path, mine = out / SETTINGS, json.loads(json.dumps(settings))
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(mine, indent=1) + "\n")
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise StoreError(f"{path} is damaged ({error}); remove the folder or use another one") from error
    differing = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
    if differing:
        raise StoreError(f"{out} holds results with another {', '.join(differing)}; use another folder, or remove this one")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file; the last line may have been cut by a kill and is left out then.

    Raises:
        StoreError: Another line is damaged.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise StoreError(f"{path}, line {number} is damaged ({error}); remove that line and run again") from error
            _drop_last(path)
    return rows


def _drop_last(path: Path) -> None:
    whole = path.read_text(encoding="utf-8").splitlines()[:-1]
    write_text(path, "".join(line + "\n" for line in whole))


def append_line(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row, allow_nan=False) + "\n")
