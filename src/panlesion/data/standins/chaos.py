"""Cases written as CHAOS is published: DICOM images, and PNG masks that are paired with them by the numbers in their names."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from panlesion.ct.modality import Modality
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.standins._dicom import right_handed, write_series

_MR_GREY = np.array([0, 63, 126, 189, 252], dtype=np.uint8)


def write_chaos_ct(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Value 1 is the liver. Files are numbered from the head downwards, from 0 or 1, in the two ways the set names them."""
    for number, case in enumerate(map(right_handed, cases), 1):
        patient, slices = root / "Train_Sets" / "CT" / str(number), case.ct.grid.shape[2]
        name = _downwards("i{:04d},0000b.dcm" if number % 2 else "IMG-0002-{:05d}.dcm", slices, 0 if number % 2 else 1, 1)
        write_series(patient / "DICOM_anon", case.ct, patient=str(number), name=name)
        grey = np.where(case.label.labels > 0, np.uint8(255), np.uint8(0))
        _write_masks(patient / "Ground", grey, _downwards("liver_GT_{:03d}.png", slices, 0, 1))
    return root


def write_chaos_mr(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Values 1 … 4 are liver, right kidney, left kidney, spleen. Each case becomes the three scans of one patient.

    The phases of T1 take turns in numbering and share the masks, which are numbered as those in phase.
    """
    for number, case in enumerate(map(right_handed, cases), 1):
        patient, slices = root / "Train_Sets" / "MR" / str(number), case.ct.grid.shape[2]
        grey = _MR_GREY[case.label.labels]
        for sequence, folder, stem, first, step in (
            ("T1DUAL", "DICOM_anon/InPhase", "IMG-0004-{:05d}", 2, 2),
            ("T1DUAL", "DICOM_anon/OutPhase", "IMG-0004-{:05d}", 1, 2),
            ("T2SPIR", "DICOM_anon", "IMG-0003-{:05d}", 1, 1),
        ):
            name = _downwards(f"{stem}.dcm", slices, first, step)
            write_series(patient / sequence / folder, case.ct, patient=str(number), name=name, modality=Modality.MR)
        _write_masks(patient / "T1DUAL" / "Ground", grey, _downwards("IMG-0004-{:05d}.png", slices, 2, 2))
        _write_masks(patient / "T2SPIR" / "Ground", grey, _downwards("IMG-0003-{:05d}.png", slices, 1, 1))
    return root


def _downwards(pattern: str, slices: int, first: int, step: int) -> Callable[[int], str]:
    """Names of slices k, numbered from the last one."""
    return lambda k: pattern.format(first + step * (slices - 1 - k))


def _write_masks(folder: Path, grey: NDArray[np.uint8], name: Callable[[int], str]) -> None:
    folder.mkdir(parents=True)
    for k in range(grey.shape[2]):
        Image.fromarray(np.ascontiguousarray(grey[:, :, k].T)).save(folder / name(k))
