"""What a run leaves to read: one JSON object per line, and TensorBoard event files."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from panlesion.data.publish import DiskFullError, naming_full_disk, publishing_file

JOURNAL_FILE = "journal.jsonl"


class Journal:
    """Appends numbers by step; lines beyond the step that a resumed run starts from are dropped: it writes them again."""

    def __init__(self, out: Path, start: int, *, enabled: bool = True) -> None:
        self._path, self._enabled = out / JOURNAL_FILE, enabled
        if not enabled:
            return
        out.mkdir(parents=True, exist_ok=True)
        rows = [row for row in read_journal(out) if row["step"] <= start]
        with publishing_file(self._path) as stream:
            stream.write("".join(json.dumps(row) + "\n" for row in rows).encode())

    def __enter__(self) -> Self:
        if self._enabled:
            self._stream = self._path.open("a", encoding="utf-8")
            self._board = SummaryWriter(str(self._path.parent / "tensorboard"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._enabled:
            return
        if isinstance(error, OSError | DiskFullError):
            # What could not be written yet cannot be written on closing either, and would hide the first error.
            with contextlib.suppress(OSError):
                self._stream.close()
            with contextlib.suppress(OSError):
                self._board.close()
            return
        with naming_full_disk(self._path):
            self._stream.close()
            self._board.close()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of one step to both places.

        Raises:
            DiskFullError: The disk is full; a line cut short is left out when the journal is read.
        """
        if not self._enabled:
            return
        with naming_full_disk(self._path):
            self._stream.write(json.dumps({"step": step} | {name: _short(value) for name, value in values.items()}) + "\n")
            self._stream.flush()
            for name, value in values.items():
                self._board.add_scalar(name, value, step)


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def read_journal(run: Path) -> list[dict[str, Any]]:
    """All complete lines of a run's journal, oldest first; empty if there is none. A line cut by a kill is left out."""
    path = run / JOURNAL_FILE
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
