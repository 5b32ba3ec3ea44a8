"""`BenchRow`: one row of the task table, whatever its protocol: what data it wants, which choices it takes, how it runs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path

from panlesion.bench.about import About, network_facts, write_about
from panlesion.bench.predictions import Said, write_predictions
from panlesion.bench.scores import Score, write_scores
from panlesion.bench.task import Arm
from panlesion.data.publish import write_text
from panlesion.errors import PanlesionError, StoreError

TABLE = "table.md"
STAND_IN = "STAND_IN"
"""A file of this name in a dataset's folder says that its cases were generated."""


class Protocol(StrEnum):
    """How a row is measured."""

    FEW_SHOT = "few-shot segmentation"
    FOLDS = "5-fold segmentation"
    LESION_FREE = "lesion-free scans"
    PHANTOMS = "held-out phantoms"
    UNTOUCHED = "real CTs, no adaptation"
    ATTRIBUTES = "report attributes"
    CLINICAL = "clinical endpoint, cross-validated by patient"
    WHOLE_CASES = "5-fold question about whole cases"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Real data of a row: its folders below the root, and how somebody without them gets them.

    `ids` names the cases of a folder without opening any, where a reader can tell; else the folders need only be there.
    """

    folders: tuple[str, ...]
    source: str
    get: str
    layout: str
    ids: Callable[[Path], Sequence[str]] | None = None

    def check(self, root: Path) -> int | None:
        """How many cases there are below a root; None where only a run would tell.

        Raises:
            StoreError: A folder is missing or laid out otherwise; the message says what to download and where it goes.
        """
        missing = [str(root / folder) for folder in self.folders if not (root / folder).is_dir()]
        if missing:
            raise StoreError(f"{', '.join(missing)} not found. {self.how()}")
        if self.ids is None:
            return None
        counts = []
        for folder in self.folders:
            try:
                counts.append(len(self.ids(root / folder)))
            except PanlesionError as error:
                raise StoreError(f"{root / folder} cannot be used: {error}. {self.how()}") from error
            if not counts[-1]:
                raise StoreError(f"{root / folder} holds no case. {self.how()}")
        return sum(counts)

    def how(self) -> str:
        """What to get and where to put it."""
        where = f" in {self.folders[0]}/" if len(self.folders) == 1 else ""
        return f"Get {self.get}; lay it out below --root{where} as {self.layout}; or give another --root"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What may be chosen for a run; None leaves the row's own value."""

    shots: tuple[int, ...] | None = None
    seeds: int | None = None
    steps: int | None = None
    arms: tuple[str, ...] | None = None
    spacing: float | None = None
    cases: int | None = None
    workers: int | None = None
    development: bool | None = None
    nnunet_venv: Path | None = None
    nnunet_epochs: int | None = None
    rival: Path | None = None
    rival_kind: str | None = None
    stages: tuple[str, ...] | None = None

    def given(self) -> list[str]:
        """Names of what was chosen."""
        return [one.name for one in fields(self) if getattr(self, one.name) is not None]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One run of a row."""

    root: Path
    checkpoint: str
    out: Path
    choices: Choices


@dataclass(frozen=True, kw_only=True)
class Table:
    """Results as text, each number with its interval and n; `scores` are its numbers as such, `said` what lies behind them."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    said: tuple[Said, ...] = ()

    def markdown(self) -> str:
        """As a Markdown section."""
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return "\n\n".join([f"## {self.title}", table, *self.notes]) + "\n"


def option(name: str) -> str:
    """How a choice is written on the command line."""
    return f"--{name.replace('_', '-')}"


Watch = Callable[[str, int, int], None]
"""Told what is going on, how many parts are done, and how many there are."""
Runner = Callable[[Asked, Watch], Sequence[Table]]


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """A row of the task table. `takes` names the `Choices` that `run` listens to; others are refused before it starts."""

    id: str
    title: str
    protocol: Protocol
    run: Runner
    takes: frozenset[str]
    data: Dataset | None = None

    def measure(self, asked: Asked, watch: Watch) -> Sequence[Table]:
        """Run the row and leave its tables in `table.md`, numbers in `scores.json` and what was said in `predictions.csv`.

        Raises:
            ValueError, StoreError: As `check`.
        """
        self.check(asked)
        asked.out.mkdir(parents=True, exist_ok=True)
        tables = self.run(asked, watch)
        made = self._made(asked.root)
        if made:
            note = (
                f"{made} says that these are stand-ins, drawn to see the row run: its numbers mean nothing and are not quoted."
            )
            tables = [
                replace(
                    table, notes=(note, *table.notes), scores=tuple(replace(score, stand_in=True) for score in table.scores)
                )
                for table in tables
            ]
        write_text(asked.out / TABLE, self._page(asked, tables))
        write_scores(asked.out, [score for table in tables for score in table.scores])
        write_about(asked.out, self._about(asked, made=made is not None))
        if said := [one for table in tables for one in table.said]:
            write_predictions(asked.out, said)
        return tables

    def check(self, asked: Asked) -> None:
        """See before anything runs that it can.

        Raises:
            ValueError: A choice that the row does not take.
            StoreError: Its data are missing.
        """
        refused = [name for name in asked.choices.given() if name not in self.takes]
        if refused:
            takes = ", ".join(option(name) for name in sorted(self.takes)) or "no choice"
            raise ValueError(f"{self.id} ({self.protocol}) takes no {' or '.join(map(option, refused))}; it takes {takes}")
        if self.data is not None:
            self.data.check(asked.root)

    def _about(self, asked: Asked, *, made: bool) -> About:
        chosen = {name: getattr(asked.choices, name) for name in asked.choices.given()}
        data = self.data.source if self.data is not None else "drawn when run"
        return About(
            row=self.id, title=self.title, protocol=str(self.protocol), data=data,
            checkpoint=asked.checkpoint, choices=chosen, stand_in=made, **network_facts(asked.checkpoint),
        )  # fmt: skip

    def _made(self, root: Path) -> Path | None:
        folders = self.data.folders if self.data is not None else ()
        return next((path for folder in folders if (path := root / folder / STAND_IN).exists()), None)

    def _page(self, asked: Asked, tables: Iterable[Table]) -> str:
        chosen = [f"{name.replace('_', ' ')} {getattr(asked.choices, name)}" for name in asked.choices.given()]
        about = [
            f"Protocol: {self.protocol}.",
            f"Checkpoint: {asked.checkpoint}.",
            *([f"Chosen: {'; '.join(chosen)}."] if chosen else []),
        ]
        if self.data is not None:
            about.append(f"Data: {self.data.source}.")
        return "\n".join([f"# {self.id}: {self.title}\n", " ".join(about) + "\n", *(table.markdown() for table in tables)])


def parsed_arms(names: Sequence[str], known: Sequence[Arm]) -> tuple[Arm, ...]:
    """Arms by their names in lower case, such as `finetuned`.

    Raises:
        ValueError: A name that is none of `known`.
    """
    by_name = {arm.name.lower(): arm for arm in known}
    if unknown := [name for name in names if name not in by_name]:
        raise ValueError(f"{', '.join(unknown)} is no arm; use some of {', '.join(by_name)}")
    return tuple(by_name[name] for name in names)
