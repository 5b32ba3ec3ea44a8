"""`synth_cohort`: a recipe becomes a folder of cases; the same bytes with any number of workers and after any kill."""

import csv
import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from panlesion.data.card import write_card
from panlesion.data.host_folder import HostCard
from panlesion.data.manifest import (
    COHORT_FILE,
    TIMING_FILE,
    Failure,
    read_cohort,
    write_cohort,
    write_failures,
    write_manifest,
)
from panlesion.data.publish import DiskFullError, remove_partials
from panlesion.errors import StoreError
from panlesion.lesion.taxonomy import TYPES
from panlesion.synth.assign import MINIMUM_ORGAN_ML, CaseJob, plan_cases
from panlesion.synth.compose import make_case
from panlesion.synth.hosts import HostSource, find_hosts, kept_host, prepare_host
from panlesion.synth.phantom_hosts import draw_phantoms
from panlesion.synth.pool import Outcome, Work, run_jobs
from panlesion.synth.recipe import PHANTOM, Recipe
from panlesion.synth.worker import CaseMaker, Compose

LOCK_FILE = ".lock"

Progress = Callable[[str, int, int], None]
"""Called with ("hosts" or "cases", how many are done, how many there are)."""


def _silent(_stage: str, _done: int, _all: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run left: cases by type, how many of them this run made, and what could not be made."""

    rows: Sequence[dict[str, str]]
    made_now: int
    failures: Sequence[Failure]


def synth_cohort(
    recipe: Recipe, out: Path, *, workers: int = 1, compose: Compose = make_case, progress: Progress = _silent
) -> Summary:
    """Make a cohort in `out`, or go on where an interrupted run of the same recipe stopped.

    Raises:
        StoreError: `out` holds something else, another recipe or another running synthesis.
        ReadError: no host can be used.
        DiskFullError: no room; complete cases stay, and the same command goes on from there.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    sources, failures = _find_sources(recipe)
    with _locked(out):
        remove_partials(out)
        _claim(out, recipe, sources)
        cards, broken = _prepare_hosts(recipe, sources, out, workers, progress)
        failures = [*failures, *broken]
        if not cards:
            causes = "; ".join(failure.cause for failure in failures[:3])
            raise StoreError(f"none of the {len(sources)} hosts can be used: {causes}")
        jobs, impossible = plan_cases(recipe, cards)
        failures += [_no_host(type_) for type_ in impossible]
        made_now, failed = _make_cases(recipe, jobs, out, workers, compose, progress)
        failures += failed
        remove_partials(out)
        write_failures(out, failures)
        rows = write_manifest(out)
        write_card(out, read_cohort(out), rows)
    return Summary(rows=rows, made_now=made_now, failures=failures)


def _find_sources(recipe: Recipe) -> tuple[Sequence[HostSource], list[Failure]]:
    if recipe.hosts == PHANTOM:
        return draw_phantoms(recipe.phantoms, recipe.seed, recipe.types, recipe.size_voxels), []
    return find_hosts(Path(recipe.hosts), recipe.organ_labels)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep a second synthesis out of the folder; the system frees the lock when its holder dies."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / LOCK_FILE
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{out} is being written by another panlesion; wait for it or choose another folder") from error
        yield
        path.unlink(missing_ok=True)


def _claim(out: Path, recipe: Recipe, sources: Sequence[HostSource]) -> None:
    """Write `cohort.json` into a new folder, or see that it tells the same recipe in an old one."""
    wanted = recipe.to_json({source.id: source.source for source in sources})
    if not (out / COHORT_FILE).exists():
        foreign = sorted(path.name for path in out.iterdir() if path.name != LOCK_FILE)
        if foreign:
            raise StoreError(f"{out} is no cohort and not empty ({', '.join(foreign[:3])}); choose a new or empty folder")
        write_cohort(out, wanted)
        return
    stored = read_cohort(out)
    differing = [name for name in {**stored, **wanted} if stored.get(name) != wanted.get(name)]
    if differing:
        told = "; ".join(_difference(name, stored.get(name), wanted.get(name)) for name in differing)
        raise StoreError(f"{out} was made with another recipe ({told}); repeat that recipe or choose another folder")


def _difference(name: str, stored: Any, wanted: Any) -> str:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        changed = sorted(key for key in {**stored, **wanted} if stored.get(key) != wanted.get(key))
        return f"{name} differ in {', '.join(changed[:5])}"
    return f"{name} was {stored!r}, is now {wanted!r}"


def _host_work(recipe: Recipe, out: Path) -> Work:
    return partial(prepare_host, out=out, spacing_mm=recipe.spacing_mm, given_phase=recipe.phase)


def _prepare_hosts(
    recipe: Recipe, sources: Sequence[HostSource], out: Path, workers: int, progress: Progress
) -> tuple[list[HostCard], list[Failure]]:
    kept = {source.id: card for source in sources if (card := kept_host(source, out)) is not None}
    todo = [source for source in sources if source.id not in kept]
    cards, failures = list(kept.values()), []
    progress("hosts", len(kept), len(sources))
    with closing(run_jobs(todo, partial(_host_work, recipe, out), workers)) as outcomes:
        for done, outcome in enumerate(outcomes, len(kept) + 1):
            _stop_if_pointless(outcome)
            if outcome.died:
                # going on without this host would give its cases to others, and a second run would not
                raise StoreError(f"host {outcome.job.id}: {outcome.cause}")
            if outcome.failed:
                failures.append(Failure(what="host", id=outcome.job.id, error=outcome.error, cause=outcome.cause))
            else:
                cards.append(outcome.result)
            progress("hosts", done, len(sources))
    return sorted(cards, key=lambda card: card.id), failures


def _case_work(recipe: Recipe, out: Path, compose: Compose) -> Work:
    if recipe.refining is not None:
        from panlesion.synth.refine import Refinery  # loads torch, which synthesis does without otherwise

        compose = partial(compose, refine=Refinery(recipe.refining, spacing_mm=recipe.spacing_mm))
    return CaseMaker(recipe=recipe, out=out, compose=compose).make


def _make_cases(
    recipe: Recipe, jobs: Sequence[CaseJob], out: Path, workers: int, compose: Compose, progress: Progress
) -> tuple[int, list[Failure]]:
    todo = [job for job in jobs if not (out / job.folder).exists()]
    there = len(jobs) - len(todo)
    failures = []
    progress("cases", there, len(jobs))
    with _timing(out) as note, closing(run_jobs(todo, partial(_case_work, recipe, out, compose), workers)) as outcomes:
        for done, outcome in enumerate(outcomes, there + 1):
            _stop_if_pointless(outcome)
            if outcome.failed:
                failures.append(_failed_case(outcome))
            note(outcome)
            progress("cases", done, len(jobs))
    return len(todo) - len(failures), failures


def _stop_if_pointless(outcome: Outcome[Any]) -> None:
    if outcome.fatal:
        raise DiskFullError(outcome.cause)


@contextmanager
def _timing(out: Path) -> Iterator[Callable[[Outcome[CaseJob]], None]]:
    """Seconds per case, appended as they come; kept apart from everything that two runs must agree on."""
    path = out / TIMING_FILE
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        if new:
            writer.writerow(("id", "seconds", "outcome"))

        def note(outcome: Outcome[CaseJob]) -> None:
            writer.writerow((outcome.job.id, f"{outcome.seconds:.3f}", outcome.error or "done"))
            lines.flush()

        yield note


def _failed_case(outcome: Outcome[CaseJob]) -> Failure:
    job = outcome.job
    return Failure(
        what="case", id=job.id, type=job.type.value, host=" ".join(job.hosts), error=outcome.error, cause=outcome.cause
    )


def _no_host(type_: Any) -> Failure:
    labels = ", ".join(str(label) for label in sorted(TYPES[type_].organ_labels))
    cause = f"no host holds {MINIMUM_ORGAN_ML[type_]:g} ml of its organ (labels {labels}); add hosts or leave the type out"
    return Failure(what="type", id=type_.value, type=type_.value, error="PlacementError", cause=cause)
