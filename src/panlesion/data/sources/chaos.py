"""CHAOS (Kavur et al. 2021): abdominal CT of liver donors and MR of healthy people, without lesions, organs as PNG masks.

CT: `Train_Sets/CT/<n>/DICOM_anon/*.dcm`, `Ground/liver_GT_000.png …`.
MR: `Train_Sets/MR/<n>/T1DUAL/DICOM_anon/{InPhase,OutPhase}`, `T2SPIR/DICOM_anon`, and `Ground/` in each of the two sequences;
both phases of T1DUAL share one.

The n-th mask by the numbers in its name belongs to the n-th image by the numbers in its name. That is not always the order
along the body, so each mask is laid on the slice that its image became.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from panlesion.ct.dicom import DicomCT, list_dicom
from panlesion.ct.dicom_header import damaged
from panlesion.ct.modality import Modality
from panlesion.ct.mr import read_mr_with_source
from panlesion.ct.read import read_ct_with_source
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import ReadError, StoreError, about

MR_VALUES = ((55, 70), (110, 135), (175, 200), (240, 255))
"""Grey values of liver, right kidney, left kidney and spleen, about 63, 126, 189 and 252; all others are background."""

_MR_PARTS = (
    ("t1_in", "T1DUAL", "DICOM_anon/InPhase"),
    ("t1_out", "T1DUAL", "DICOM_anon/OutPhase"),
    ("t2", "T2SPIR", "DICOM_anon"),
)
_Opened = tuple[Volume, DicomCT | None]


def find_ct(root: Path) -> Sequence[FoundCase]:
    """CTs by patient number.

    Raises:
        StoreError: No `Train_Sets/CT` with patients, or one of them without images or masks.
    """
    return [
        FoundCase(id=f"ct_{patient.name}", patient=f"ct_{patient.name}", image=image, label=label)
        for patient in _patients(root, "CT")
        for image, label in [_folders(patient / "DICOM_anon", patient / "Ground")]
    ]


def find_mr(root: Path) -> Sequence[FoundCase]:
    """MRs by patient number: of each T1 in and out of phase, and T2.

    Raises:
        StoreError: No `Train_Sets/MR` with patients, or one of them without images or masks.
    """
    return [
        FoundCase(id=f"mr_{patient.name}_{name}", patient=f"mr_{patient.name}", image=image, label=label, modality=Modality.MR)
        for patient in _patients(root, "MR")
        for name, sequence, images in _MR_PARTS
        for image, label in [_folders(patient / sequence / images, patient / sequence / "Ground")]
    ]


def _patients(root: Path, kind: str) -> list[Path]:
    """Patients' folders by number, from `root`, `root/Train_Sets` or `root/CHAOS_Train_Sets/Train_Sets`."""
    for folder in (root / kind, root / "Train_Sets" / kind, root / "CHAOS_Train_Sets" / "Train_Sets" / kind):
        if folder.is_dir():
            found = sorted(
                (path for path in folder.iterdir() if path.is_dir() and path.name.isdigit()), key=lambda p: int(p.name)
            )
            if found:
                return found
            raise StoreError(f"{folder} holds no patient; folders must be named by a number")
    raise StoreError(f"{root} holds no Train_Sets/{kind}; unpack CHAOS_Train_Sets.zip there (the test sets have no masks)")


def _folders(images: Path, masks: Path) -> tuple[Path, Path]:
    for folder, kind in ((images, ".dcm"), (masks, ".png")):
        if not folder.is_dir() or not _files(folder, kind):
            raise StoreError(f"{folder}: no {kind} file; images lie in DICOM_anon, their masks in Ground")
    return images, masks


def _files(folder: Path, kind: str) -> list[Path]:
    """Files of a kind by the numbers in their names: "i0010,0000b.dcm" after "i0009,0000b.dcm"."""
    found = [path for path in folder.iterdir() if path.suffix.lower() == kind and not path.name.startswith(".")]
    return sorted(found, key=lambda path: ([int(digits) for digits in re.findall(r"\d+", path.stem)], path.name))


def read_ct_case(case: FoundCase) -> LabelledCT:
    """One CT with its liver, 1."""
    return _read(case, read_ct_with_source, lambda grey: np.asarray(grey > 0, dtype=np.uint8))


def read_mr_case(case: FoundCase) -> LabelledCT:
    """One MR with liver 1, right kidney 2, left kidney 3 and spleen 4."""
    table = np.zeros(256, dtype=np.uint8)
    for value, (low, high) in enumerate(MR_VALUES, 1):
        table[low : high + 1] = value
    return _read(case, read_mr_with_source, lambda grey: table[grey])


def _read(
    case: FoundCase, opened: Callable[[Path], _Opened], values: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> LabelledCT:
    with about(case.id):
        assert case.label is not None
        with _one_series(case.image) as folder:
            volume, source = opened(folder)
        assert source is not None  # a folder is never NIfTI
        masks, images = _files(case.label, ".png"), _files(case.image, ".dcm")
        if len(masks) != len(images) or len(images) != len(source.slices):
            raise ReadError(
                f"{case.label}: {len(masks)} masks for {len(images)} images, of which {len(source.slices)} are slices; "
                "each image must be a slice and have a mask. Unpack the download again"
            )
        slices = {reference.path.name: k for k, reference in enumerate(source.slices)}
        columns, rows, _ = volume.grid.shape
        labels = np.zeros(volume.grid.shape, dtype=np.uint8)
        for image, mask in zip(images, masks, strict=True):
            labels[:, :, slices[image.name]] = values(_grey(mask, (columns, rows))).T
        return LabelledCT(id=case.id, patient=case.patient, ct=volume, label=LabelMap(labels=labels, grid=volume.grid))


@contextmanager
def _one_series(folder: Path) -> Iterator[Path]:
    """A folder whose images are one series: itself, or copies with one UID where anonymising gave each image its own."""
    listed = list_dicom(folder)
    if len(listed) == 1 or any(series.images != 1 for series in listed):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="panlesion-chaos-") as name:
        for file in _files(folder, ".dcm"):
            with damaged(str(file), "the image cannot be read"):
                ds = pydicom.dcmread(file)
                ds.SeriesInstanceUID = listed[0].uid
                ds.save_as(Path(name) / file.name)
        yield Path(name)


def _grey(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Grey values (rows, columns) of a PNG of that size (columns, rows)."""
    try:
        with Image.open(path) as image:
            if image.size != size:
                raise ReadError(f"{path}: {image.size} pixels, its image has {size}; they must be equal")
            if image.mode not in ("1", "L"):
                raise ReadError(f"{path}: mode {image.mode}; a mask is black and white (1) or grey with 8 bits (L)")
            return np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ReadError(f"{path}: the mask cannot be read ({error}). Unpack the download again") from error


_LICENCE = "CC BY-NC-SA 4.0"
_GET = "https://doi.org/10.5281/zenodo.3431873, CHAOS_Train_Sets.zip"

SOURCES = (
    Source(
        id="chaos_ct",
        title="CHAOS, CT of healthy livers",
        classes=("liver",),
        lesions=(),
        licence=_LICENCE,
        get=_GET,
        layout="Train_Sets/CT/1/DICOM_anon/i0000,0000b.dcm …, Train_Sets/CT/1/Ground/liver_GT_000.png …",
        find=find_ct,
        read=read_ct_case,
    ),
    Source(
        id="chaos_mr",
        title="CHAOS, T1 and T2 MR of healthy abdomens",
        classes=("liver", "kidney_right", "kidney_left", "spleen"),
        lesions=(),
        licence=_LICENCE,
        get=_GET,
        layout="Train_Sets/MR/1/T1DUAL/DICOM_anon/{InPhase,OutPhase}/*.dcm, …/T2SPIR/DICOM_anon/*.dcm, …/Ground/*.png",
        find=find_mr,
        read=read_mr_case,
    ),
)
