"""Folders that `bench run` left, put beside the paper's numbers and its best rival's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panlesion.bench.about import About, read_about
from panlesion.bench.paper import Group, PaperTask, Published, paper_tasks
from panlesion.bench.predictions import Said, read_predictions
from panlesion.bench.scores import DIFFERENCE, SCORES, Score, read_scores
from panlesion.data.publish import write_text
from panlesion.errors import StoreError

PAGE_MD, PAGE_HTML = "compare.md", "compare.html"
PAPER_PARAMETERS = 240.3e6
"""Of the paper's network with 31 classes, from its code."""
_PAPER_STEPS = {
    Group.DETECTION: "5,000 (its public code)",
    Group.ATTRIBUTES: "20,000 (its public code)",
    Group.SURVIVAL: "an unpublished number",
    Group.STAGING: "an unpublished number",
}
RAN = "ran on stand-ins, no score"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One folder; `name` tells two folders of one row apart. `task` is the paper's task, None for rows of ours."""

    name: str
    row: str
    scores: tuple[Score, ...]
    said: tuple[Said, ...]
    about: About | None
    task: PaperTask | None

    @property
    def stand_in(self) -> bool:
        """Whether all of it was measured on generated data."""
        drawn = self.about is not None and self.about.stand_in
        return drawn or (bool(self.scores) and all(score.stand_in for score in self.scores))

    @property
    def title(self) -> str:
        if self.about is not None:
            return self.about.title
        return self.task.title if self.task is not None else self.row

    @property
    def quoted(self) -> tuple[Score, ...]:
        """The scores that are shown, without paired differences."""
        return tuple(score for score in self._measured if not score.metric.endswith(DIFFERENCE))

    @property
    def differences(self) -> tuple[Score, ...]:
        """Paired differences of two arms."""
        return tuple(score for score in self._measured if score.metric.endswith(DIFFERENCE))

    @property
    def _measured(self) -> tuple[Score, ...]:
        return () if self.stand_in else tuple(score for score in self.scores if not score.stand_in)

    def published(self, score: Score) -> Published | None:
        """The paper's number that a score stands beside."""
        return self.task.published(score.metric, score.shots) if self.task is not None else None


def read_results(folders: Sequence[Path]) -> list[Result]:
    """Results of folders of rows, and of all rows below folders of suites; in the order given.

    Raises:
        StoreError: A folder holds no results, is named twice, or a file in it is damaged.
        ValueError: No folder.
    """
    if not folders:
        raise ValueError("no folder is given; give those that panlesion bench run left")
    found: list[Path] = []
    for folder in folders:
        mine = [folder] if (folder / SCORES).exists() else sorted(path.parent for path in folder.glob(f"*/{SCORES}"))
        if not mine:
            raise StoreError(f"{folder} holds no {SCORES}, nor does a folder in it; give folders that panlesion bench run left")
        found += mine
    resolved = [folder.resolve() for folder in found]
    if twice := sorted({str(folder) for folder in found if resolved.count(folder.resolve()) > 1}):
        raise StoreError(f"{', '.join(twice)} would be shown twice; name each folder once")
    results = [_read(folder) for folder in found]
    # the full path only where the last part is not enough
    names = [folder.name for folder in found]
    return [
        _named(one, str(folder) if names.count(folder.name) > 1 else folder.name)
        for one, folder in zip(results, found, strict=True)
    ]


def _read(folder: Path) -> Result:
    scores, about = read_scores(folder), read_about(folder)
    rows = sorted({score.row for score in scores} | ({about.row} if about else set()))
    if len(rows) != 1:
        raise StoreError(f"{folder / SCORES} has scores of {', '.join(rows) or 'no row'}; a folder has those of one row")
    return Result(
        name="", row=rows[0], scores=tuple(scores), said=tuple(read_predictions(folder)), about=about,
        task=paper_tasks().get(rows[0]),
    )  # fmt: skip


def _named(result: Result, name: str) -> Result:
    return Result(
        name=name, row=result.row, scores=result.scores, said=result.said, about=result.about, task=result.task
    )  # fmt: skip


def what_differs(result: Result) -> list[str]:
    """How a run differs from what the paper did, in words; what nobody published is said to be so."""
    task, about = result.task, result.about
    if result.stand_in:
        return ["Drawn stand-ins in the layout of its data: the row ran to its end, and nothing was measured."]
    if task is None:
        return ["The paper has no such row: nothing published stands beside it."]
    words = []
    if task.data.private:
        words.append("Data: the user's own, in place of the authors', which are not published.")
    elif task.group is Group.MRI or not task.numbers:
        words.append(f"Data: {task.data.title}; no number was published for it where we could read one.")
    else:
        words.append(f"Data: {task.data.title}; which of its cases the authors tested on is not published.")
    counts = sorted({score.n for score in result.quoted})
    if counts:
        ours = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        words.append(f"n: {ours} here; {f'{task.n} in the paper' if task.n else 'the paper says none'}.")
    if task.spacing_mm is not None:
        words.append(f"Resolution: Dice on a grid of {task.spacing_mm:g} mm here; the paper's is not published.")
    if about is not None and about.parameters is not None:
        words.append(
            f"Network: {about.network}, {about.parameters / 1e6:.1f} M parameters at {about.spacing_mm:g} mm; "
            f"{PAPER_PARAMETERS / 1e6:.1f} M in the paper."
        )
    steps = about.choices.get("steps", "the row's own number of") if about is not None else "an unknown number of"
    if task.group in {Group.FULL, Group.PLAIN, Group.PAN_CANCER}:
        words.append(f"Training: {steps} steps a fold here; 500 × 250 iterations in the paper.")
    if task.group in {Group.FEW_SHOT, Group.MRI}:
        words.append(
            f"Training: {steps} steps here, 35 % of the patients tested on; 10 × 200 iterations in the paper, whose split is "
            "not published."
        )
    if task.group in _PAPER_STEPS:
        words.append(f"Training: {steps} steps a fold here; {_PAPER_STEPS[task.group]} in the paper.")
    if about is not None and about.choices:
        words.append(f"Chosen: {', '.join(f'{name} {value}' for name, value in about.choices.items())}.")
    return words


def shown(score: Score) -> str:
    """A number with its interval and n."""
    single = score.n == 1 and score.low == score.high
    interval = "no interval" if single else f"{score.low:.3f} to {score.high:.3f}"
    return f"{score.value:.3f} ({interval}, n = {score.n} {score.unit})"


def shots_of(score: Score) -> str:
    """Shots as written; a dash where the row has none to choose."""
    return "all" if score.shots is None else str(score.shots)


def beside(result: Result, score: Score) -> tuple[str, str, str]:
    """The paper's number, its best rival's, and how the score lies to the paper's; blank where nothing was published."""
    one = result.published(score)
    if one is None:
        return "", "", ""
    if one.paper.value is None:
        return "?", str(one.rival), ""
    paper = f"{one.paper} ± {one.error:g}"
    away = score.value - one.paper.value
    inside = score.low - one.error <= one.paper.value <= score.high + one.error
    return paper, str(one.rival), f"{away:+.3f}{' (within the interval)' if inside else ''}"


HEADER = ("metric", "arm", "shots", "ours (95 %, n)", "repetitions", "paper", "best rival", "ours − paper")


def lines_of(result: Result) -> list[tuple[str, ...]]:
    """The table of one result; a stand-in's has one line without numbers."""
    if result.stand_in:
        return [("", RAN, *("" for _ in HEADER[2:]))]
    return [
        (score.metric, score.arm, shots_of(score), shown(score), str(score.repetitions), *beside(result, score))
        for score in result.quoted
    ]


def markdown(results: Sequence[Result]) -> str:
    """The comparison as Markdown: a section a result, what differs, its table, and paired differences."""
    parts = [
        "# Results beside the paper",
        "Intervals are 95 % by resampling patients (or what the unit says). The paper's numbers were read off figures and may "
        "be off by what stands behind ±; ? could not be read, ≤ is a bound. No line claims that two numbers were measured "
        "alike: what differs stands above each table.",
    ]
    for result in results:
        parts.append(f"## {result.name}: {result.title}")
        parts.append("\n".join(f"- {word}" for word in what_differs(result)))
        parts.append(_table(HEADER, lines_of(result)))
        if result.differences:
            lines = [(one.arm, shots_of(one), shown(one)) for one in result.differences]
            parts.append(_table(("paired difference", "shots", "Dice (95 %, n)"), lines))
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in rows)


def compare_folders(folders: Sequence[Path], out: Path) -> list[Path]:
    """Write `compare.md` and `compare.html` of some results, and return where they are.

    Raises:
        StoreError: As `read_results`.
        MissingExtraError: matplotlib is not installed.
    """
    from panlesion.bench.compare_page import html_page

    results = read_results(folders)
    pages = {PAGE_MD: markdown(results), PAGE_HTML: html_page(results)}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        write_text(out / name, text)
    return [out / name for name in pages]
