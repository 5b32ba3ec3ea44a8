"""Shape features of every real lesion mask in the shared data: one row each, only numbers leave this file."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Box, Vector3
from panlesion.measure.shape import shape_features

# Real masks → lesion family. The ULS23 kidney set is left out: its patients are those of KiTS23, and it does not tell
# tumour from cyst.
ULS_FAMILIES = {
    "bone": "bone_lesion",
    "colon_msd": "colon_tumour",
    "liver_lits": "liver_tumour",
    "lung_msd": "lung_nodule",
    "pancreas_msd": "pancreas_tumour",
    "pancreas_radboud": "pancreas_tumour",
}
KITS_FAMILIES = {2: "kidney_tumour", 3: "kidney_cyst"}
FAMILIES = ("lung_nodule", "liver_tumour", "pancreas_tumour", "colon_tumour", "kidney_tumour", "kidney_cyst", "bone_lesion")

FEATURES = ("log_volume", "log_diameter", "elongation", "flatness", "sphericity", "solidity", "log_roughness")
MIN_VOXELS = 50
# Large lesions, real and synthetic alike, are measured on a coarser grid: the finest axis is strided until the box is small.
MAX_BOX_VOXELS = 60_000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One real lesion: `features` in the order of `FEATURES`.

    `spacing_mm` is that of the grid it was measured on; `thickness_mm` that of the slices the reader drew on: more than the
    spacing where a mask was resampled.
    """

    family: str
    source: str
    name: str
    patient: str
    spacing_mm: Vector3
    thickness_mm: float
    voxels: int
    touches_crop: bool
    features: tuple[float, ...]


def feature_vector(mask: NDArray, spacing_mm: Vector3) -> tuple[float, ...]:
    """The features everything here is compared in, see `FEATURES`."""
    f = shape_features(mask, spacing_mm)
    return (
        float(np.log(f.volume_ml)),
        float(np.log(max(f.diameter_mm, 0.5))),
        f.elongation,
        f.flatness,
        f.sphericity,
        f.solidity,
        float(np.log(max(f.roughness, 1e-3))),
    )


def largest_piece(mask: NDArray) -> NDArray:
    """The largest 26-connected piece: crumbs of a contour are not the lesion's shape."""
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if count <= 1:
        return mask
    return labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))


def strided(mask: NDArray, spacing_mm: Vector3) -> tuple[NDArray, Vector3]:
    """The mask on the grid it is measured on."""
    stride = np.ones(3, dtype=int)
    while np.prod(np.ceil(np.asarray(mask.shape) / stride)) > MAX_BOX_VOXELS:
        stride[np.argmin(np.asarray(spacing_mm) * stride)] += 1
    a, b, c = stride.tolist()
    i, j, k = (float(s) for s in np.asarray(spacing_mm) * stride)
    return mask[::a, ::b, ::c], (i, j, k)


def on_border(mask: NDArray) -> bool:
    return any(bool(np.take(mask, end, axis).any()) for axis in range(3) for end in (0, -1))


def repeated(labels: NDArray) -> float:
    """Share of adjacent slices along the last axis that are equal: the trace of nearest-neighbour resampling."""
    filled = np.flatnonzero(labels.any(axis=(0, 1)))
    if len(filled) < 4:
        return 0.0
    return float(np.mean([np.array_equal(labels[..., k], labels[..., k + 1]) for k in filled[:-1]]))


def _row(
    mask: NDArray,
    spacing_mm: Vector3,
    *,
    family: str,
    source: str,
    name: str,
    patient: str,
    cut: bool,
    repeats: float = 0.0,
) -> Row:
    piece = largest_piece(mask)
    piece = piece[Box.of(piece).slices]
    voxels = int(np.count_nonzero(piece))
    thickness = spacing_mm[2] / (1 - min(repeats, 0.8)) if repeats > 0.15 else spacing_mm[2]
    piece, spacing_mm = strided(piece, spacing_mm)
    return Row(
        family=family,
        source=source,
        name=name,
        patient=patient,
        spacing_mm=spacing_mm,
        thickness_mm=thickness,
        voxels=voxels,
        touches_crop=cut,
        features=feature_vector(piece, spacing_mm),
    )


def _spacing(image: nib.Nifti1Image) -> Vector3:
    i, j, k = (float(z) for z in image.header.get_zooms()[:3])
    return (i, j, k)


def uls23(folder: Path) -> Iterator[Row]:
    """Single-lesion crops of ULS23 (de Grauw et al., Med Image Anal 2025)."""
    with (folder / "index.csv").open(encoding="utf-8") as stream:
        for entry in csv.DictReader(stream):
            if entry["set"] not in ULS_FAMILIES:
                continue
            image = nib.load(folder / entry["set"] / f"{entry['name']}.nii.gz")
            yield _row(
                np.asarray(image.dataobj) > 0,
                _spacing(image),
                family=ULS_FAMILIES[entry["set"]],
                source=entry["set"],
                name=entry["name"],
                patient=entry["set"] + entry["name"].split("_lesion")[0],
                cut=entry["touches_crop"] == "True",
            )


def kits23(folder: Path) -> Iterator[Row]:
    """Every piece of tumour and cyst in KiTS23 (Heller et al. 2023), at the 2 mm they are stored at."""
    for path in sorted((folder / "masks_2mm").glob("case_*.nii.gz")):
        image = nib.load(path)
        # Stored with the slices along the first axis; every mask here has them along the last.
        labels = np.moveaxis(np.asarray(image.dataobj), 0, -1)
        repeats = repeated(labels)
        case = path.name.removesuffix(".nii.gz")
        for value, family in KITS_FAMILIES.items():
            pieces, count = ndimage.label(labels == value, np.ones((3, 3, 3)))
            for index, box in enumerate(ndimage.find_objects(pieces), start=1):
                mask = pieces[box] == index
                if count and np.count_nonzero(mask) >= 8:
                    yield _row(
                        mask,
                        _spacing(image),
                        family=family,
                        source="kits23",
                        name=f"{case}_{value}_{index}",
                        patient=case,
                        cut=any(s.start == 0 or s.stop == n for s, n in zip(box, labels.shape, strict=True)),
                        repeats=repeats,
                    )


def lidc(folder: Path) -> Iterator[Row]:
    """LIDC-IDRI nodules (Armato et al., Med Phys 2011) as NODE21 cut them."""
    for path in sorted((folder / "label").glob("*.nii.gz")):
        image = nib.load(path)
        mask = np.asarray(image.dataobj) > 0
        yield _row(
            mask,
            _spacing(image),
            family="lung_nodule",
            source="lidc",
            name=path.name,
            patient="lidc" + path.name.split("_")[0],
            cut=on_border(mask),
            repeats=repeated(mask),
        )


def real_rows(data: Path) -> list[Row]:
    """All lesions, those cut by their crop and the specks included and marked."""
    return [*uls23(data / "uls23_masks"), *kits23(data / "kits23"), *lidc(data / "lidc_nodules")]


def usable(rows: list[Row], family: str) -> list[Row]:
    """Whole lesions of a family with enough voxels to have a shape."""
    return [row for row in rows if row.family == family and not row.touches_crop and row.voxels >= MIN_VOXELS]
