"""`panlesion show`: pictures of cases, hosts, plain CTs and whole cohorts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from panlesion.picture.window import Window

console = Console()

_CT_NAMES, _ORGAN_NAMES = ("ct.nii.gz", "ct.nii", "ct"), ("organs.nii.gz", "organs.nii", "organs")


def show(
    path: Annotated[Path | None, typer.Argument(help="A case, a host, or a folder of either.", show_default=False)] = None,
    ct: Annotated[Path | None, typer.Option(help="A CT (NIfTI or DICOM) instead of a case.", show_default=False)] = None,
    mask: Annotated[
        Path | None, typer.Option(help="With --ct: its lesion mask; everything above 0.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="PNG to write; for several, a folder. Default: named after the case, here; pictures."),
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="A preset (lung, soft, liver, bone ...) or centre/width in HU. Default: the type's own.")
    ] = None,
    lesion: Annotated[int, typer.Option(min=1, help="Which lesion, counted as the report does; else the largest first.")] = 1,
    organ_labels: Annotated[
        str, typer.Option(help="Numbering of a host's organ map, v1 or v2; hosts of our own are known to be v1.")
    ] = "v2",
    most: Annotated[int, typer.Option(min=1, help="Of a folder: at most so many, the first of every type.")] = 15,
    gallery: Annotated[
        bool, typer.Option("--gallery", help="Of a folder of cases: write gallery.html instead of PNGs.")
    ] = False,
) -> None:
    """Draw three planes through the lesion, healthy beside synthetic, with contours and the report.

    Works for cases of `panlesion synth` (full or delta), for any case in the PASTA-Gen-30K layout, for a host folder, and
    for a plain CT with or without a mask.

    Example: `panlesion show cohort/Liver/Tumor/liver_tumor_000000 -o liver.png`

    Example: `panlesion show --ct chest.nii.gz --mask nodule.nii.gz --window lung`
    """
    chosen = _window(window)
    if (path is None) == (ct is None):
        raise typer.BadParameter("give either a case folder or --ct")
    if mask is not None and ct is None:
        raise typer.BadParameter("--mask needs --ct; a case has its own mask")
    if ct is not None:
        _show_ct(ct, mask, out or Path(f"{_stem(ct)}.png"), chosen, lesion)
        return
    assert path is not None
    if (host := _host_files(path)) is not None:
        _show_host(path, host, out or Path(f"{path.resolve().name}.png"), chosen, organ_labels)
        return
    if (hosts := _hosts_in(path)) and not gallery:
        folder = out or Path("pictures")
        folder.mkdir(parents=True, exist_ok=True)
        for name, files in hosts[:most]:
            _show_host(path / name, files, folder / f"{name}.png", chosen, organ_labels)
        console.print(f"{min(most, len(hosts))} of {len(hosts)} hosts")
        return
    _show_cases(path, out, chosen, lesion, most, gallery=gallery)


def _window(text: str | None) -> "Window | None":
    from panlesion.picture.window import parse_window

    try:
        return None if text is None else parse_window(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--window") from error


@contextmanager
def _usage() -> Iterator[None]:
    """A lesion number out of range is a mistake on the command line, not a bug."""
    from panlesion.picture.focus import FewerLesionsError

    try:
        yield
    except FewerLesionsError as error:
        raise typer.BadParameter(str(error), param_hint="--lesion") from error


def _stem(path: Path) -> str:
    name = path.resolve().name
    return name.split(".nii")[0] if path.is_file() else name


def _host_files(folder: Path) -> tuple[Path, Path | None] | None:
    """CT and organ map of a host folder; None where the folder is none."""
    ct = next((folder / name for name in _CT_NAMES if (folder / name).exists()), None)
    organs = next((folder / name for name in _ORGAN_NAMES if (folder / name).exists()), None)
    return None if ct is None else (ct, organs)


def _hosts_in(folder: Path) -> list[tuple[str, tuple[Path, Path | None]]]:
    """(name, files) of every host directly in a folder."""
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    return [(entry.name, files) for entry in inside if (files := _host_files(entry)) is not None]


def _show_ct(ct: Path, mask: Path | None, out: Path, window: "Window | None", lesion: int) -> None:
    import numpy as np

    from panlesion.ct.nifti import read_labels
    from panlesion.ct.read import read_ct
    from panlesion.ct.volume import LabelMap
    from panlesion.errors import OrganMapError
    from panlesion.picture.sheet import Words, case_sheet, host_sheet
    from panlesion.picture.window import WINDOWS

    volume = read_ct(ct)
    chosen, words = window or WINDOWS["soft"], Words(title=f"{ct.resolve().parent.name}/{_stem(ct)}")
    if mask is None:
        host_sheet(volume, None, window=chosen, words=words).save(out)
    else:
        labels = read_labels(mask)
        if not labels.grid.same_as(volume.grid, tolerance_mm=0.1):
            raise OrganMapError(
                f"{mask} has shape {labels.grid.shape} and axes {labels.grid.axes}, {ct} {volume.grid.shape} and "
                f"{volume.grid.axes}; a mask must lie on its CT's grid: resample it"
            )
        if not labels.labels.any():
            raise OrganMapError(f"{mask} is empty; leave --mask out to see the CT alone")
        label = LabelMap(labels=np.where(labels.labels > 0, 2, 0).astype(np.uint8), grid=volume.grid)
        with _usage():
            sheet = case_sheet(volume, label, window=chosen, words=words, lesion_number=lesion)
        sheet.save(out)
    console.print(f"wrote {out}")


def _show_host(folder: Path, files: tuple[Path, Path | None], out: Path, window: "Window | None", numbering: str) -> None:
    from panlesion.ct.organ_files import OrganNumbering, read_organs
    from panlesion.ct.read import read_ct
    from panlesion.data.case import RECORD_FILE
    from panlesion.data.host_folder import CARD_FILE
    from panlesion.picture.sheet import Words, host_sheet
    from panlesion.picture.window import WINDOWS

    volume = read_ct(files[0])
    organs = None
    if files[1] is not None:
        # hosts that we wrote, a cohort's and drawn ones, are always numbered v1
        ours = any((folder / name).is_file() for name in (CARD_FILE, RECORD_FILE))
        organs = read_organs(files[1], numbering=OrganNumbering("v1" if ours else numbering), like=volume.grid)
    words = Words(title=folder.resolve().name, subtitle="host")
    host_sheet(volume, organs, window=window or WINDOWS["soft"], words=words).save(out)
    console.print(f"wrote {out}")


def _show_cases(path: Path, out: Path | None, window: "Window | None", lesion: int, most: int, *, gallery: bool) -> None:
    from panlesion.cli._pictures import Opener, complete_cases, draw_case, kind_of, root_of, write_cohort_gallery
    from panlesion.data.store import find_case, order_by_host
    from panlesion.errors import StoreError, about
    from panlesion.picture.gallery import choose

    if not path.is_dir():
        raise StoreError(f"{path} is no folder; give a case folder, a host folder or a folder of cases, or --ct FILE")
    if gallery:
        target, shown, there = write_cohort_gallery(path, out, window=window)
        console.print(f"wrote {target}: {shown} of {there} cases")
        return
    single = find_case(path.resolve(), root_of(path))
    if single is not None:
        target = out or Path(f"{single.id}.png")
        with _usage():
            draw_case(single, Opener(root_of(path)), window=window, lesion=lesion).save(target)
        console.print(f"wrote {target}")
        return
    cases, folder, opener = complete_cases(path), out or Path("pictures"), Opener(path)
    chosen = order_by_host(choose(cases, kind_of, most))
    folder.mkdir(parents=True, exist_ok=True)
    for case in chosen:
        name = "_".join(case.path.relative_to(path).parts)
        with about(case.id), _usage():
            draw_case(case, opener, window=window, lesion=lesion).save(folder / f"{name}.png")
    console.print(f"wrote {len(chosen)} pictures of {len(cases)} cases into {folder}")
