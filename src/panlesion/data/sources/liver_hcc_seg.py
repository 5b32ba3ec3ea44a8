"""LiverHccSeg (Gross et al., Data in Brief 2023): liver and hepatocellular carcinoma in T1 MR of TCGA-LIHC.

Each exam has four phases, and three of them again on the grid of the arterial one. Two radiologists drew liver and tumours on
that, one file a tumour; the first one's masks are read here, on the arterial phase. Three patients have no tumour left to see.
An exam in which nobody drew anything is no case.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import LabelMap
from panlesion.data.sources._layout import every, folder_with, known, listed, matching, on_image, read_image, wrong_tree
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import ReadError, about

CLASSES = ("liver", "tumor")
_PATIENT = re.compile(r"(TCGA-\w{2}-\w{4})")
_EXAM = re.compile(r"([^.].*)")  # named by its date
_PHASE = "art.nii.gz"
_LIVER = "rater1_liver.nii.gz"
_TUMOUR = re.compile(r"rater1_tumor(\d+)\.nii\.gz")
_DRAWN = re.compile(r"(rater[12]_\w+)\.nii\.gz")
_LAYOUT = (
    f"nifti_and_segms/TCGA-BC-4073/02-21-2000/{_PHASE} with {_LIVER} and, for each tumour, rater1_tumor1.nii.gz … beside it"
)


def _find(root: Path) -> Sequence[FoundCase]:
    folder = folder_with(root, "TCGA-*", ("nifti_and_segms", "*"), _LAYOUT)
    exams = {
        f"{patient}_{date}": exam
        for patient, path in every(folder, "TCGA-*", _PATIENT, _LAYOUT).items()
        for date, exam in matching(path, _EXAM).items()
        if matching(exam, _DRAWN)
    }
    if not exams:
        raise wrong_tree(folder, "there is no exam with masks in it", _LAYOUT)
    for file in (_PHASE, _LIVER):
        if lacking := [name for name, exam in exams.items() if not (exam / file).is_file()]:
            raise wrong_tree(folder, f"{listed(lacking)} lack {file}; unpack nifti_and_segms.zip again", _LAYOUT)
    return [
        FoundCase(id=name, patient=exam.parent.name, image=exam / _PHASE, label=exam, modality=Modality.MR)
        for name, exam in exams.items()
    ]


def _read(case: FoundCase) -> LabelledCT:
    assert case.label is not None
    with about(case.id):
        image = read_image(case)
        labels = np.zeros(image.grid.shape, dtype=np.uint8)
        drawn = [(_LIVER, 1), *((path.name, 2) for path in matching(case.label, _TUMOUR).values())]
        for name, value in drawn:
            mask = known(read_labels(case.label / name), {1: CLASSES[value - 1]}, case.label / name)
            if not mask.labels.any():
                raise ReadError(f"{case.label / name}: the mask is empty; each file shows the liver or one tumour")
            labels[on_image(image, mask, case.label / name).labels > 0] = value
        return LabelledCT(id=case.id, patient=case.patient, ct=image, label=LabelMap(labels=labels, grid=image.grid))


LIVER_HCC_SEG = Source(
    id="liver_hcc_seg",
    title="LiverHccSeg: hepatocellular carcinoma in arterial T1 MR",
    classes=CLASSES,
    lesions=("tumor",),
    licence="CC BY 4.0",
    get="nifti_and_segms.zip from https://zenodo.org/records/8179129",
    layout=_LAYOUT,
    find=_find,
    read=_read,
    published=17,
)
