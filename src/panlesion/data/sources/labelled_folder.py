"""A user's own annotated CTs: which of four layouts a folder has, which cases it holds, which partner is missing."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from panlesion.ct.modality import Modality
from panlesion.ct.mr import read_mr
from panlesion.ct.nifti import read_labels
from panlesion.ct.read import read_ct
from panlesion.ct.volume import LabelMap
from panlesion.data.case import LESION, read_record
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.store import CaseFolder, CaseReader, iterate_cases
from panlesion.errors import StoreError, about

PATIENTS_FILE = "patients.csv"
_SUFFIXES = (".nii.gz", ".nii")
_CT, _LABEL, _DICOM = "ct", "label", "ct"


class Layout(StrEnum):
    """How a folder of annotated CTs may be laid out."""

    PAIRS = "images/<case>.nii.gz with labels/<case>.nii.gz"
    NNUNET = "imagesTr/<case>_0000.nii.gz with labelsTr/<case>.nii.gz (nnU-Net, Medical Decathlon)"
    CASES = "<case>/ct.nii.gz (or a DICOM folder <case>/ct/) with <case>/label.nii.gz"
    COHORT = "a PASTA-Gen cohort <Organ>/<Kind>/<case>/"


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """Where one case lies. Cases of a cohort have `stored`, all others `ct` (a file or a DICOM folder) and `label`."""

    id: str
    patient: str
    ct: Path
    label: Path
    stored: CaseFolder | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledFolder:
    """A folder of annotated CTs whose voxels were not opened yet.

    `names` is what the folder itself says its label values mean (empty: nothing), `ignore` the value of voxels nobody
    annotated. `problems` must be mended before the cases are of use, `notes` need not.
    """

    root: Path
    layout: Layout
    cases: tuple[CaseFiles, ...]
    names: Mapping[int, str]
    ignore: int | None
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    modality: Modality = Modality.CT
    _reader: list[CaseReader] = field(default_factory=list)

    def read(self, case: CaseFiles) -> LabelledCT:
        """CT and annotation as they are on disk, each on its own grid; label values are not changed.

        Raises:
            ReadError, StoreError: One of the files is missing or damaged, or is no CT or label map.
        """
        with about(case.id):
            if case.stored is not None:
                return self._of_cohort(case, case.stored)
            image = read_mr(case.ct) if self.modality is Modality.MR else read_ct(case.ct)
            return LabelledCT(id=case.id, patient=case.patient, ct=image, label=read_labels(case.label))

    def _of_cohort(self, case: CaseFiles, stored: CaseFolder) -> LabelledCT:
        if not self._reader:
            self._reader.append(CaseReader(self.root))
        opened = self._reader[0].read(stored)
        value = next(value for value, name in self.names.items() if name == _type_of(stored))
        labels = np.where(opened.label.labels == LESION, np.uint8(value), np.uint8(0))
        return LabelledCT(
            id=case.id, patient=case.patient, ct=opened.image, label=LabelMap(labels=labels, grid=opened.label.grid)
        )


def find_labelled(root: Path, *, modality: Modality = Modality.CT) -> LabelledFolder:
    """Recognise the layout of a folder and pair its files; `modality` is how its images will be read.

    Raises:
        StoreError: It does not exist, or has none of the layouts; the message lists them and what is there.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is no folder; give the folder that holds your annotated CTs")
    names = {entry.name for entry in root.iterdir() if not entry.name.startswith(".")}
    if names & {"imagesTr", "labelsTr"}:
        found = _nnunet(root)
    elif names & {"images", "labels"}:
        found = _pairs(root)
    elif not _is_case(root) and any(_is_case(path) for path in _folders(root)):
        found = _cases(root)
    elif not _is_case(root) and (cohort := _cohort(root)) is not None:
        found = cohort
    else:
        raise StoreError(f"{root} holds no annotated CTs: {_there(root, names)}. Looked for: {'; '.join(Layout)}")
    if not found.cases and not found.problems:
        raise StoreError(f"{root} has the layout {found.layout}, but no case in it; put the files there")
    return replace(_with_patients(found), modality=modality)


def _there(root: Path, names: set[str]) -> str:
    if _is_case(root):
        return "it is itself the folder of one case; give the folder above it"
    if not names:
        return "it is empty"
    shown = sorted(names)[:6]
    return f"there are {', '.join(shown)}" + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _pairs(root: Path) -> LabelledFolder:
    images, labels = root / "images", root / "labels"
    problems = [f"folder {path} is missing; the layout is {Layout.PAIRS}" for path in (images, labels) if not path.is_dir()]
    cts, more = _volumes(images, dicom=True)
    masks, still_more = _volumes(labels)
    cases, unpaired = _paired(cts, masks)
    names, ignore, said = _dataset_json(root)
    return LabelledFolder(
        root=root, layout=Layout.PAIRS, cases=cases, names=names, ignore=ignore,
        problems=(*problems, *unpaired, *said), notes=(*more, *still_more),
    )  # fmt: skip


def _nnunet(root: Path) -> LabelledFolder:
    images, labels = root / "imagesTr", root / "labelsTr"
    problems = [f"folder {path} is missing; the layout is {Layout.NNUNET}" for path in (images, labels) if not path.is_dir()]
    found, more = _volumes(images)
    masks, still_more = _volumes(labels)
    channels: dict[str, dict[str, Path]] = {}
    # the Decathlon's files have no channel number; nnU-Net's all have one
    numbered = any(stem[-5:] == "_0000" for stem in found)
    for stem, path in found.items():
        name, channel = (stem[:-5], stem[-4:]) if numbered and stem[-5:-4] == "_" else (stem, "0000")
        channels.setdefault(name, {})[channel] = path
    cts = {}
    for name, files in channels.items():
        if set(files) == {"0000"}:
            cts[name] = files["0000"]
        else:
            problems.append(f"{name}: has channels {', '.join(sorted(files))}; one CT a case is needed, as {name}_0000.nii.gz")
    cases, unpaired = _paired(cts, {stem: path for stem, path in masks.items() if stem in cts or stem not in channels})
    names, ignore, said = _dataset_json(root)
    notes = [*more, *still_more] + ([] if names else ["dataset.json names no classes; they are named after their values"])
    return LabelledFolder(
        root=root, layout=Layout.NNUNET, cases=cases, names=names, ignore=ignore,
        problems=(*problems, *unpaired, *said), notes=tuple(notes),
    )  # fmt: skip


def _cases(root: Path) -> LabelledFolder:
    cases, problems, notes = [], [], []
    for folder in _folders(root):
        ct, label = _nifti(folder, _CT) or _dicom(folder), _nifti(folder, _LABEL)
        if ct and label:
            cases.append(CaseFiles(id=folder.name, patient=folder.name, ct=ct, label=label))
        elif ct or label:
            lacks = "label.nii.gz" if ct else "ct.nii.gz (or a DICOM folder ct/)"
            problems.append(f"{folder.name}: {folder} has no {lacks}; add it or remove the folder")
        else:
            notes.append(f"{folder} holds neither CT nor label; left out")
    names, ignore, said = _dataset_json(root)
    return LabelledFolder(
        root=root, layout=Layout.CASES, cases=tuple(cases), names=names, ignore=ignore,
        problems=(*problems, *said), notes=tuple(notes),
    )  # fmt: skip


def _cohort(root: Path) -> LabelledFolder | None:
    found = list(iterate_cases(root))
    if not found:
        return None
    problems = [
        f"{case.id}: {case.path} lacks {', '.join(case.missing)}; make the cohort again" for case in found if case.missing
    ]
    problems += [f"{case.id}: the folders above {case.path} name none of the 15 types" for case in found if case.type is None]
    usable = [case for case in found if case.complete and case.type is not None]
    types = sorted({_type_of(case) for case in usable})
    cases = tuple(
        CaseFiles(
            id="_".join(case.path.relative_to(root).parts), ct=case.path, label=case.path, stored=case,
            # two cases in one host show the same body
            patient=str(read_record(case.path).get("host") or "_".join(case.path.relative_to(root).parts)),
        )
        for case in usable
    )  # fmt: skip
    return LabelledFolder(
        root=root, layout=Layout.COHORT, cases=cases, names=dict(enumerate(types, 1)), ignore=None,
        problems=tuple(problems), notes=(),
    )  # fmt: skip


def _type_of(case: CaseFolder) -> str:
    assert case.type is not None
    return case.type.value


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_case(folder: Path) -> bool:
    """A CT in it, or a label that is not that of a PASTA-Gen case."""
    alone = _nifti(folder, _LABEL) is not None and not (folder / "img.nii.gz").exists() and not (folder / "type.json").exists()
    return _nifti(folder, _CT) is not None or _dicom(folder) is not None or alone


def _nifti(folder: Path, stem: str) -> Path | None:
    return next((folder / f"{stem}{suffix}" for suffix in _SUFFIXES if (folder / f"{stem}{suffix}").is_file()), None)


def _dicom(folder: Path) -> Path | None:
    return folder / _DICOM if (folder / _DICOM).is_dir() else None


def _volumes(folder: Path, *, dicom: bool = False) -> tuple[dict[str, Path], list[str]]:
    """NIfTI files by their name without suffix (DICOM sub-folders too), and a note for everything else."""
    found: dict[str, Path] = {}
    notes = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        suffix = next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), None)
        if path.name.startswith("."):
            continue
        if (dicom and path.is_dir()) or (suffix and path.is_file()):
            stem = path.name.removesuffix(suffix or "")
            if stem in found:
                notes.append(f"{path} is left out: {found[stem].name} has the same name")
            found.setdefault(stem, path)
        else:
            notes.append(f"{path} is no NIfTI file; left out")
    return found, notes


def _paired(cts: Mapping[str, Path], labels: Mapping[str, Path]) -> tuple[tuple[CaseFiles, ...], list[str]]:
    both = sorted(cts.keys() & labels.keys())
    problems = [f"{name}: {cts[name]} has no label of the same name; add it or remove the CT" for name in cts.keys() - labels]
    problems += [
        f"{name}: {labels[name]} has no CT of the same name; add it or remove the label" for name in labels.keys() - cts
    ]
    cases = tuple(CaseFiles(id=name, patient=name, ct=cts[name], label=labels[name]) for name in both)
    return cases, sorted(problems)


def _dataset_json(root: Path) -> tuple[dict[int, str], int | None, list[str]]:
    """Names of label values, the value to ignore, and what is wrong with the file; nnU-Net v1 and v2 write it differently."""
    path = root / "dataset.json"
    if not path.is_file():
        return {}, None, []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        labels = content.get("labels", {})
        channels = content.get("channel_names", content.get("modality", {}))
        pairs = list(_label_pairs(labels))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        return {}, None, [f"{path} cannot be read ({error}); 'labels' must map names to values, as nnU-Net writes it"]
    problems = []
    if isinstance(channels, dict) and len(channels) > 1:
        problems.append(f"{path} tells {len(channels)} channels ({', '.join(map(str, channels.values()))}); one, CT, is needed")
    names = {value: name for name, value in pairs if value > 0 and name.lower() != "ignore"}
    if len(set(names.values())) < len(names) or max(names, default=0) > 254:
        problems.append(f"{path}: 'labels' must give every class a name and a value 1 … 254 of its own; it has {labels}")
    return names, next((value for name, value in pairs if name.lower() == "ignore"), None), problems


def _label_pairs(labels: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for key, value in labels.items():
        if isinstance(value, list):
            raise ValueError(f"class {key!r} is a region of several values, which is not known here: give each value a name")
        yield (str(value), int(key)) if isinstance(value, str) and key.isdigit() else (str(key), int(value))


def _with_patients(found: LabelledFolder) -> LabelledFolder:
    """Cases of one patient belong together; `patients.csv` (columns case, patient) says which they are."""
    path = found.root / PATIENTS_FILE
    if not path.is_file():
        return found
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = {row["case"].strip(): row["patient"].strip() for row in csv.DictReader(lines)}
    except (OSError, UnicodeDecodeError, KeyError, AttributeError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read ({error!r}); it is a CSV file with the columns case and patient") from error
    unknown = sorted(rows.keys() - {case.id for case in found.cases})
    problems = [f"{path} names {', '.join(unknown)}, which are no cases here; correct the names"] if unknown else []
    cases = tuple(
        CaseFiles(id=case.id, patient=rows.get(case.id) or case.patient, ct=case.ct, label=case.label, stored=case.stored)
        for case in found.cases
    )
    return LabelledFolder(
        root=found.root, layout=found.layout, cases=cases, names=found.names, ignore=found.ignore,
        problems=(*found.problems, *problems), notes=found.notes,
    )  # fmt: skip


def parse_classes(text: str) -> dict[int, str]:
    """Names of label values from "liver,tumour" (values 1, 2 …) or "liver=1,tumour=3".

    Raises:
        ValueError: A name or value is missing, comes twice, or is out of range.
    """
    names: dict[int, str] = {}
    for number, part in enumerate(text.split(","), 1):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name or name == "none" or (equals and not value.isdigit()):
            raise ValueError(f"{part.strip()!r} in {text!r} is no class; write liver,tumour or liver=1,tumour=3")
        at = int(value) if equals else number
        if not 1 <= at <= 254 or at in names or name in names.values():
            raise ValueError(f"{text!r}: names and values must differ from each other, and values lie in 1 … 254")
        names[at] = name
    return names
