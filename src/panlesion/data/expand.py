"""Turn a delta cohort back into a full one, bit for bit."""

import shutil
from collections.abc import Callable
from pathlib import Path

from panlesion.data.card import write_card
from panlesion.data.case import write_case
from panlesion.data.host_folder import HOSTS_FOLDER
from panlesion.data.manifest import FAILURES_FILE, read_cohort, write_cohort, write_manifest
from panlesion.data.publish import DiskFullError, publishing, remove_partials
from panlesion.data.store import CaseReader, StoredAs, iterate_cases, order_by_host
from panlesion.errors import PanlesionError, StoreError, about


def expand_cohort(
    root: Path, out: Path, *, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> list[tuple[str, str]]:
    """Write every case of a delta cohort in full, as `panlesion synth --format full` would have written it.

    Cases already in `out` stay; so an interrupted run can be repeated. Returns (case id, cause) of what could not be
    restored.

    Raises:
        StoreError: `root` is no delta cohort, or `out` lies inside it.
    """
    recipe = read_cohort(root)
    if recipe.get("format") != StoredAs.DELTA:
        raise StoreError(f"{root} is stored as {recipe.get('format')!r}; only a delta cohort can be expanded")
    if out.resolve().is_relative_to(root.resolve()):
        raise StoreError(f"{out} lies inside {root}; choose a folder beside it")
    out.mkdir(parents=True, exist_ok=True)
    remove_partials(out)
    _copy_hosts(root, out)
    full = recipe | {"format": StoredAs.FULL.value}
    write_cohort(out, full)
    if (root / FAILURES_FILE).is_file():
        shutil.copyfile(root / FAILURES_FILE, out / FAILURES_FILE)
    failures = _expand_cases(root, out, progress)
    write_card(out, full, write_manifest(out))
    return failures


def _expand_cases(root: Path, out: Path, progress: Callable[[int, int], None]) -> list[tuple[str, str]]:
    cases = order_by_host(list(iterate_cases(root)))
    reader = CaseReader(root)
    failures = []
    for done, case in enumerate(cases, 1):
        target = out / case.path.relative_to(root)
        try:
            if not target.exists():
                with about(case.id):
                    write_case(target, reader.read(case))
        except DiskFullError:
            raise
        except PanlesionError as error:
            failures.append((case.id, str(error)))
        progress(done, len(cases))
    return failures


def _copy_hosts(root: Path, out: Path) -> None:
    for host in sorted((root / HOSTS_FOLDER).iterdir()):
        target = out / HOSTS_FOLDER / host.name
        if host.is_dir() and not target.exists():
            with publishing(target) as partial:
                for file in host.iterdir():
                    shutil.copyfile(file, partial / file.name)
