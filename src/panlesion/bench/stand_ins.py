"""Stand-ins of the rows' data: small drawn trees in the published layouts, marked as such, to see a row run end to end.

A row finds its stand-in by its own id, or by the id of its dataset. A new one is one line in `BY_ROW`, or in the registry of
`data.standins` where it is a source's.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from panlesion.bench import untouched
from panlesion.bench.paper import Group, PaperTask, paper_tasks
from panlesion.bench.protocol import STAND_IN, BenchRow, Choices, Protocol
from panlesion.ct.modality import Modality
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.organs import V2_LABELS
from panlesion.ct.volume import Index3, LabelMap
from panlesion.data.publish import write_text
from panlesion.data.sources import lidc_nodules, sts
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.registry import SOURCES
from panlesion.data.sources.source_table import ORGANS
from panlesion.data.standins import case_tables
from panlesion.data.standins.drawn import draw_case
from panlesion.data.standins.kits_masks import write_kits_masks
from panlesion.data.standins.nifti import write_lidc_nodules, write_sts
from panlesion.data.standins.own import write_own
from panlesion.data.standins.registry import STANDINS
from panlesion.data.standins.tcia import write_tcga_blca
from panlesion.errors import StoreError

ABOUT = "Drawn by panlesion to see the bench run: no patient, and no number measured on it means anything."
SHAPE, CUBE, SMALL = (44, 48, 40), (40, 40, 40), (28, 32, 24)
"""Voxels of a scan, of a nodule's cube, and of a scan where many are needed."""
CASES, SCANS, NODULES, KIDNEYS = 6, 2, 54, 48
"""Of a set to learn from; without lesion; of nodules, two a patient and 20 patients reserved; of kidneys, for 20 deaths."""
WHOLE = 20
"""Cases of a question about whole cases: each of five folds then has every class."""
SEVERAL = frozenset({"rider_lung", "covid1920"})
"""Sets with two scans of one patient: folds are dealt by patient."""
MR = frozenset({"atlas_liver", "sts_mr"})
_LIVER = 5
"""In either numbering of organs."""
TABLES: Mapping[Group, Callable[[Path, int], Path]] = MappingProxyType(
    {
        Group.DETECTION: case_tables.write_detection,
        Group.SURVIVAL: case_tables.write_clinical,
        Group.STAGING: case_tables.write_clinical,
        Group.ATTRIBUTES: case_tables.write_attributes,
    }
)
"""Who draws a user's own `cases.csv` for a group of tasks."""
SEGMENTS = (Protocol.FEW_SHOT, Protocol.FOLDS)
TINY: Mapping[str, object] = MappingProxyType({"shots": (1,), "seeds": 1, "steps": 2})
"""Settings of any row that takes them; all its own arms run."""


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A drawn tree of `cases`, by the name it is marked with. `write` puts it below a root, in the rows' own folders."""

    name: str
    cases: int
    write: Callable[[Path], object]


def tiny_settings(row: BenchRow) -> Choices:
    """As little of a row as runs all of it: one test patient where it segments, two scans where there is no lesion."""
    cases = 1 if row.protocol in SEGMENTS else SCANS if row.protocol is Protocol.LESION_FREE else None
    steps = {"steps": 1} if row.protocol is Protocol.WHOLE_CASES else {}  # large crops, fifteen trainings
    chosen = {**TINY, "cases": cases, **steps}
    return Choices(**{name: value for name, value in chosen.items() if name in row.takes})  # type: ignore[arg-type]


def draw_cases(
    classes: Sequence[str], cases: int, *, shape: Index3 = SHAPE, spacing_mm: float = 2.5, modality: Modality = Modality.CT
) -> list[LabelledCT]:
    """Cases that differ by their seed alone."""
    return [
        draw_case(f"case_{n}", classes, n, shape=shape, spacing_mm=spacing_mm, modality=modality) for n in range(cases)
    ]  # fmt: skip


def stand_in_of(row: BenchRow) -> StandIn | None:
    """What a row runs on in place of its data; None where nobody has drawn that yet."""
    if row.id in BY_ROW:
        return BY_ROW[row.id]
    task = paper_tasks().get(row.id)
    if task is None:
        return None
    if task.data.id in STANDINS:
        return _of_source(task, row.protocol)
    if task.data.own and task.group in TABLES:
        write = TABLES[task.group]
        return StandIn(name=f"{task.data.id}_cases", cases=WHOLE, write=lambda root: write(root / task.data.folder, WHOLE))
    if task.data.own and row.protocol in SEGMENTS:
        return StandIn(name=task.data.id, cases=CASES, write=partial(_write_own, task.data.folder))
    return None


def _of_source(task: PaperTask, protocol: Protocol) -> StandIn:
    """A set's own layout, with as many cases as the protocol needs."""
    source = task.data.id
    by_protocol = {Protocol.LESION_FREE: SCANS, Protocol.WHOLE_CASES: WHOLE}
    cases = by_protocol.get(protocol, 2 * CASES if source in SEVERAL else CASES)
    return StandIn(name=source, cases=cases, write=partial(_write_source, source, task.data.folder, cases))


def _write_source(source: str, folder: str, cases: int, root: Path) -> None:
    modality = Modality.MR if source in MR else Modality.CT
    shape = SMALL if cases >= WHOLE else SHAPE
    STANDINS[source](root / folder, draw_cases(SOURCES[source].classes, cases, shape=shape, modality=modality))


def _write_own(folder: str, root: Path) -> None:
    write_own(root / folder, draw_cases(("lesion",), CASES))


def _write_sarcomas(root: Path) -> None:
    """CT and MR of the same patients."""
    for stem, modality in (("ct", Modality.CT), ("mr_t1", Modality.MR)):
        write_sts(root / "sts", draw_cases(sts.CLASSES, CASES, spacing_mm=3.0, modality=modality), stem=stem)


def _write_nodules(root: Path) -> None:
    write_lidc_nodules(root / "lidc_nodules", draw_cases(lidc_nodules.CLASSES, NODULES, shape=CUBE, spacing_mm=1.0))


def _write_real(root: Path) -> None:
    """The files of the single real CTs; one ball is the lesion of one and the liver of another."""
    for number, scan in enumerate(untouched.SCANS.values()):
        case = draw_case(scan.id, ("ball",), number, shape=SHAPE)
        liver = LabelMap(labels=case.label.labels * np.uint8(_LIVER), grid=case.label.grid)
        (root / scan.ct).parent.mkdir(parents=True, exist_ok=True)
        write_volume(root / scan.ct, case.ct)
        for file, labels in ((scan.truth, case.label), (scan.organs, liver)):
            if file is not None:
                write_labels(root / file, labels)


def _write_bladders(root: Path) -> None:
    """The set has no masks: a user adds organ maps, and so does its stand-in."""
    drawn = draw_cases(("bladder",), WHOLE, shape=SMALL)
    folder = write_tcga_blca(root / "tcga_blca", drawn)
    (folder / ORGANS).mkdir()
    for found, case in zip(SOURCES["tcga_blca"].find(folder), drawn, strict=True):
        organs = case.label.labels * np.uint8(V2_LABELS["urinary_bladder"])
        write_labels(folder / ORGANS / f"{found.id}.nii.gz", LabelMap(labels=organs, grid=case.label.grid))


_SARCOMAS = StandIn(name="sts", cases=CASES, write=_write_sarcomas)
_NODULES = StandIn(name="lidc_nodules", cases=NODULES, write=_write_nodules)
_KIDNEYS = StandIn(name="kits_masks", cases=KIDNEYS, write=lambda root: write_kits_masks(root / "kits23", KIDNEYS))
_BLADDERS = StandIn(name="tcga_blca", cases=WHOLE, write=_write_bladders)
BY_ROW: Mapping[str, StandIn] = MappingProxyType(
    {
        "sts": _SARCOMAS,
        "sts-mr": _SARCOMAS,
        "lidc": _NODULES,
        "lidc-attributes": _NODULES,
        "lidc-malignancy": _NODULES,
        "kits-stage": _KIDNEYS,
        "kits-survival": _KIDNEYS,
        "kits-painted": _KIDNEYS,
        "bladder-survival": _BLADDERS,
        "bladder-staging": _BLADDERS,
        "real": StandIn(name="real", cases=len(untouched.SCANS), write=_write_real),
    }
)
"""For rows that are no tasks of the paper, or whose data are more than a source's."""


def lay_out(one: StandIn, folders: Sequence[str], root: Path) -> None:
    """Write a stand-in below a root, unless it is there; each of its folders is marked before it holds anything.

    Raises:
        StoreError: A folder holds what is not marked as a stand-in, or a stand-in of the same name with other cases.
    """
    held = {folder: _marked(root / folder) for folder in folders}
    if all(trees.get(one.name) == one.cases for trees in held.values()):
        return
    for folder, trees in held.items():
        if one.name in trees and trees[one.name] != one.cases:
            raise StoreError(
                f"{root / folder} holds {trees[one.name]} drawn cases of {one.name}, not {one.cases}; remove the folder"
            )
    building = root / f".{one.name}"
    shutil.rmtree(building, ignore_errors=True)
    one.write(building)
    for folder, trees in held.items():
        _mark(root / folder, trees)
        shutil.copytree(building / folder, root / folder, dirs_exist_ok=True)
        _mark(root / folder, {**trees, one.name: one.cases})
    shutil.rmtree(building)


def _marked(folder: Path) -> dict[str, int]:
    """Names and numbers of cases of the stand-ins that a folder holds whole."""
    path = folder / STAND_IN
    if not path.is_file():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise StoreError(
                f"{folder} holds what is not marked as drawn ({STAND_IN} is missing); use another folder for --out"
            )
        return {}
    try:
        trees = json.loads(path.read_text(encoding="utf-8"))["trees"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged ({error}); remove {folder}, it is drawn anew") from error
    if not isinstance(trees, dict) or not all(isinstance(count, int) for count in trees.values()):
        raise StoreError(
            f"{path}: trees is {trees!r}, it must name each tree with its cases; remove {folder}, it is drawn anew"
        )
    return trees


def _mark(folder: Path, trees: Mapping[str, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / STAND_IN, json.dumps({"about": ABOUT, "trees": trees}, indent=1) + "\n")
