"""Cases written as the public sets of NIfTI files are laid out, with their oddities; value n + 1 is the set's class n.

Each function takes cases in any number and names the files itself, as the set does: the case n of what is read back is the
case n of what was given. The image's numbers are stored as they are, so MR must be brightness, not HU.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.data.sources import abdomenatlas, flare23, kits23, lidc_nodules
from panlesion.data.sources.labelled_ct import LabelledCT

_KITS_FACTS = {
    "gender": "female",
    "vital_status": "censored",
    "vital_days_after_surgery": 400,
    "comorbidities": {"copd": False},
    "age_at_nephrectomy": 60,
    "malignant": True,
    "pathology_t_stage": "1a",
    "pathology_n_stage": "0",
    "pathology_m_stage": "0",
    "aua_risk_score": None,
}


def write_msd(
    root: Path, cases: Sequence[LabelledCT], *, task: str = "Task06_Lung", labels: Sequence[str] = ("cancer",)
) -> Path:
    """A task of the Decathlon, with its unlabelled test part and what macOS leaves in its archives."""
    stem, folder = task.partition("_")[2].lower(), root / task
    width = 1 if stem == "liver" else 3  # livers alone have no leading zeros
    names = [f"{stem}_{number:0{width}d}" for number in range(1, len(cases) + 1)]
    for name, case in zip(names, cases, strict=True):
        _pair(case, folder / "imagesTr" / f"{name}.nii.gz", folder / "labelsTr" / f"{name}.nii.gz")
        for part in ("imagesTr", "labelsTr"):
            (folder / part / f"._{name}.nii.gz").write_bytes(b"\0\5\x16\7")
    test = f"{stem}_{len(cases) + 1:0{width}d}"
    _image(cases[0].ct, folder / "imagesTs" / f"{test}.nii.gz")
    index = {
        "name": stem.title(),
        "licence": "CC-BY-SA 4.0",
        "modality": {"0": "CT"},
        "labels": {"0": "background"} | {str(value): name for value, name in enumerate(labels, 1)},
        "numTraining": len(cases),
        "numTest": 1,
        "training": [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names],
        "test": [f"./imagesTs/{test}.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(index, indent=1))
    return root


def write_kits23(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """`dataset/` of the repository after its download, slices first, and a row of facts for each case."""
    rows = []
    for number, case in enumerate(cases):
        folder = root / "dataset" / f"case_{number:05d}"
        first = _slices_first(case)
        _pair(first, folder / "imaging.nii.gz", folder / "segmentation.nii.gz")
        rows.append({"case_id": folder.name} | _KITS_FACTS)
    (root / "dataset" / kits23.FACTS).write_text(json.dumps(rows, indent=1))
    return root


def write_flare23(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """The training part, the first case's label corrected later, and a scan without a label.

    The first release of that label is empty here.
    """
    for number, case in enumerate(cases, 1):
        name = f"FLARE23_{number:04d}"
        _pair(case, root / "imagesTr2200" / f"{name}_0000.nii.gz", root / "labelsTr2200" / f"{name}.nii.gz")
    first = root / "labelsTr2200" / "FLARE23_0001.nii.gz"
    fixed = first.parent / flare23.FIXES / first.name
    fixed.parent.mkdir()
    first.rename(fixed)
    write_labels(first, LabelMap(labels=np.zeros_like(cases[0].label.labels), grid=cases[0].label.grid))
    _image(cases[0].ct, root / "unlabeledTr1800" / "FLARE23_2201_0000.nii.gz")
    return root


def write_flare23_validation(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """The validation part: as many scans again have no label."""
    labels = root / "val-gt-50cases-for-sanity-check"
    for number, case in enumerate(cases):
        name, unlabelled = f"FLARE23Ts_{2 * number + 1:04d}", f"FLARE23Ts_{2 * number + 2:04d}"
        _pair(case, root / "validation" / f"{name}_0000.nii.gz", labels / f"{name}.nii.gz")
        _image(case.ct, root / "validation" / f"{unlabelled}_0000.nii.gz")
    return root


def write_covid1920(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """`Train/` and an unlabelled `Validation/`; the first two cases are of one patient."""
    names = [f"volume-covid19-A-{3:04d}", *(f"volume-covid19-A-{3 + max(0, n - 1):04d}_1" for n in range(1, len(cases)))]
    for name, case in zip(names, cases, strict=True):
        _pair(case, root / "Train" / f"{name}_ct.nii.gz", root / "Train" / f"{name}_seg.nii.gz")
    _image(cases[0].ct, root / "Validation" / "volume-covid19-A-0900_ct.nii.gz")
    return root


def write_abdomenatlas(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Every other case with its masks one by one, the others with one label map; the list of cases free of lesions is all."""
    for number, case in enumerate(cases, 1):
        folder = root / f"BDMAP_{number:08d}"
        _image(case.ct, folder / "ct.nii.gz")
        if number % 2:
            _label(case.label, folder / "combined_labels.nii.gz")
        for value, name in abdomenatlas.VALUES.items() if number % 2 == 0 else ():
            mask = (case.label.labels == value).astype(np.uint8)
            if mask.any():
                _label(LabelMap(labels=mask, grid=case.label.grid), folder / "segmentations" / f"{name}.nii.gz")
    _table(root / abdomenatlas.LESION_FREE, [{"case": f"BDMAP_{n:08d}"} for n in range(1, len(cases) + 1)])
    return root


def write_atlas_liver(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """The training part of version 1.0.1."""
    folder = root / "atlas-train-dataset-1.0.1" / "train"
    for number, case in enumerate(cases):
        _pair(case, folder / "imagesTr" / f"im{number}.nii.gz", folder / "labelsTr" / f"lb{number}.nii.gz")
    return root


def write_liver_hcc_seg(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """One exam a patient, the tumour in two files where it has two halves, and an exam that nobody drew on."""
    for number, case in enumerate(cases):
        folder = root / "nifti_and_segms" / f"TCGA-ZZ-{number:04d}" / "02-21-2000"
        for phase in ("pre", "art", "pv", "del"):
            _image(case.ct, folder / f"{phase}.nii.gz")
        masks = {"liver": case.label.labels > 0}
        tumour = case.label.labels == 2
        lower = tumour.copy()
        lower[:, :, int(np.median(np.nonzero(tumour)[2])) if tumour.any() else 0 :] = False
        masks |= {f"tumor{n}": part for n, part in enumerate((lower, tumour & ~lower), 1) if part.any()}
        for (name, mask), rater in ((item, rater) for item in masks.items() for rater in (1, 2)):
            _label(LabelMap(labels=mask.astype(np.uint8), grid=case.label.grid), folder / f"rater{rater}_{name}.nii.gz")
    _image(cases[0].ct, root / "nifti_and_segms" / "TCGA-ZZ-9999" / "01-01-2001" / "art.nii.gz")
    return root


def write_sts(root: Path, cases: Sequence[LabelledCT], *, stem: str = "ct") -> Path:
    """One folder a patient; `stem` is ct or mr_t1."""
    for number, case in enumerate(cases, 1):
        folder = root / f"STS_{number:03d}"
        _pair(case, folder / f"{stem}.nii.gz", folder / f"{stem}_gtv.nii.gz")
    return root


def write_lidc_nodules(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Cubes with an index; two nodules a patient. Each score goes through 1 to 5 in an order of its own, and means nothing."""
    rows = []
    for number, case in enumerate(cases):
        name = f"case{number:03d}_n0.nii.gz"
        _pair(case, root / "image" / name, root / "label" / name)
        rows.append(
            {"file": name, "lidc_patient": f"LIDC-IDRI-{number // 2:04d}", "readers": "4"}
            | {score: str((number + 2 * n) % 5 + 1) for n, score in enumerate(lidc_nodules.Score)}
        )
    _table(root / lidc_nodules.INDEX, rows)
    return root


def write_nnunet(root: Path, cases: Sequence[LabelledCT], *, classes: Sequence[str]) -> Path:
    """A raw dataset of nnU-Net v2."""
    for number, case in enumerate(cases):
        _pair(case, root / "imagesTr" / f"case_{number:03d}_0000.nii.gz", root / "labelsTr" / f"case_{number:03d}.nii.gz")
    labels = {"background": 0} | {name: value for value, name in enumerate(classes, 1)}
    index = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": len(cases), "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(index, indent=1))
    return root


def _pair(case: LabelledCT, image: Path, label: Path) -> None:
    _image(case.ct, image)
    _label(case.label, label)


def _image(volume: Volume, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, volume)


def _label(labels: LabelMap, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_labels(path, labels)


def _slices_first(case: LabelledCT) -> LabelledCT:
    """The same voxels with the array's axes reversed, k first, and an affine that says so."""
    old = case.ct.grid
    affine = old.affine.copy()
    affine[:, :3] = old.affine[:, 2::-1]
    i, j, k = old.shape
    grid = Grid(shape=(k, j, i), affine=affine)
    ct = Volume(hu=np.ascontiguousarray(case.ct.hu.transpose(2, 1, 0)), grid=grid)
    label = LabelMap(labels=np.ascontiguousarray(case.label.labels.transpose(2, 1, 0)), grid=grid)
    return LabelledCT(id=case.id, patient=case.patient, ct=ct, label=label)


def _table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
