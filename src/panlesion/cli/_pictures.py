"""From case folders to pictures: what `show` and `synth` share."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from panlesion.ct.nifti import read_volume
from panlesion.ct.phase import Phase
from panlesion.ct.volume import Box, Grid, Volume
from panlesion.data.case import Case
from panlesion.data.host_folder import CT_FILE, HOSTS_FOLDER
from panlesion.data.store import CaseFolder, CaseReader, iterate_cases, order_by_host
from panlesion.errors import StoreError
from panlesion.lesion.taxonomy import TYPES
from panlesion.picture.focus import FewerLesionsError
from panlesion.picture.gallery import MOST_CASES, Card, choose, make_card, write_gallery
from panlesion.picture.sheet import Words, case_sheet
from panlesion.picture.window import Window, window_for
from panlesion.picture.words import lesion_centres, report_lines

GALLERY_FILE = "gallery.html"


class Opener:
    """Opens cases with their healthy CTs; keeps the last host, so that cases of one host open it once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._reader = CaseReader(root)
        self._host: tuple[str, Volume] | None = None

    def open(self, case: CaseFolder) -> tuple[Case, Volume | None]:
        """The case and, where the cohort keeps its host, the healthy CT on the case's grid.

        Raises:
            StoreError: the case is incomplete, or its image and label do not fit.
        """
        opened = self._reader.read(case)
        if not opened.label.grid.same_as(opened.image.grid, tolerance_mm=0.1):
            raise StoreError(f"{case.path}: image and label lie on different grids; both must have the same shape and affine")
        host = str(opened.record.get("host", ""))
        return opened, self._healthy(host, opened.image.grid) if host else None

    def _healthy(self, host: str, grid: Grid) -> Volume | None:
        if self._host is None or self._host[0] != host:
            path = self._root / HOSTS_FOLDER / host / CT_FILE
            if not path.is_file():
                return None
            self._host = None  # drop the old host before the next one takes its room
            self._host = (host, read_volume(path))
        whole = self._host[1]
        i, j, k = np.rint(whole.grid.to_ijk(grid.to_xyz((0, 0, 0)))).astype(int).tolist()
        a, b, c = grid.shape
        healthy = whole.crop(Box(start=(i, j, k), stop=(i + a, j + b, k + c)))
        return healthy if healthy.grid.same_as(grid) else None


def root_of(case: Path) -> Path:
    """The cohort a case lies in: the nearest folder above with hosts, else three levels up as the layout has it."""
    parents = case.resolve().parents
    return next((parent for parent in parents[:4] if (parent / HOSTS_FOLDER).is_dir()), parents[min(2, len(parents) - 1)])


def complete_cases(root: Path) -> list[CaseFolder]:
    """Every complete case below a folder.

    Raises:
        StoreError: there is none.
    """
    cases = [case for case in iterate_cases(root) if case.complete]
    if not cases:
        raise StoreError(f"{root} holds no complete case (img, label, total .nii.gz and type.json, or delta.npz)")
    return cases


def kind_of(case: CaseFolder) -> str:
    """The lesion type in words; "case" where nothing tells it."""
    return TYPES[case.type].name if case.type is not None else "case"


def draw_case(case: CaseFolder, opener: Opener, *, window: Window | None = None, lesion: int = 1) -> Image.Image:
    """The sheet of a case; the window of its type unless another is given.

    `lesion` counts as our reports do; where a report does not tell the lesions apart, the largest comes first.

    Raises:
        StoreError: the case cannot be opened.
        FewerLesionsError: it has no lesion of that number.
    """
    opened, healthy = opener.open(case)
    centres = lesion_centres(opened.report)
    if centres and lesion > len(centres):
        raise FewerLesionsError(f"lesion {lesion} was asked for; the report holds {len(centres)}, counted from 1")
    host = str(opened.record.get("host", ""))
    phase = str(opened.record.get("phase", ""))
    parts = [
        f"case {case.id}",
        host and f"host {host}{'' if healthy else ' (not kept)'}",
        phase and (f"{phase} CT" if phase == Phase.NON_CONTRAST else f"{phase} phase"),
        f"lesion {lesion} of {len(centres)}" if len(centres) > 1 else "",
    ]
    words = Words(title=kind_of(case).capitalize(), subtitle=" · ".join(filter(None, parts)), lines=report_lines(opened.report))
    return case_sheet(
        opened.image,
        opened.label,
        window=window or window_for(case.type),
        healthy=healthy,
        words=words,
        lesion_number=1 if centres else lesion,
        near_ijk=centres[lesion - 1] if centres else None,
    )


def write_cohort_gallery(root: Path, out: Path | None = None, *, window: Window | None = None) -> tuple[Path, int, int]:
    """Write the gallery of a folder of cases, beside them unless told where; the file, cases shown, cases there are.

    Raises:
        StoreError: the folder holds no complete case.
    """
    cases = complete_cases(root)
    chosen = choose(cases, kind_of, MOST_CASES)
    target = out or root / GALLERY_FILE
    by_host = order_by_host(chosen)  # opened host by host, shown in the folder's order
    cards = dict(zip((case.path for case in by_host), _cards(by_host, Opener(root), window), strict=True))
    write_gallery(target, (cards[case.path] for case in chosen), title=root.resolve().name, of=len(cases))
    return target, len(chosen), len(cases)


def _cards(cases: Sequence[CaseFolder], opener: Opener, window: Window | None) -> Iterator[Card]:
    for case in cases:
        opened, healthy = opener.open(case)
        yield make_card(
            case.id,
            kind_of(case),
            opened.image,
            opened.label,
            window=window or window_for(case.type),
            healthy=healthy,
            lines=report_lines(opened.report),
        )
