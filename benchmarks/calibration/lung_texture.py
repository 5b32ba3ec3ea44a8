"""Density, inner SD and edge width of real lung nodules by the readers' texture score (LIDC-IDRI)."""

import csv
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import curve_fit
from scipy.special import erfc

# LIDC's scale: 1 ground glass, 3 part-solid, 5 solid; the median of up to four readers.
CLASSES = {"solid": (4.0, 5.0), "part-solid": (2.01, 3.99), "ground glass": (1.0, 2.0)}
LUNG_HU = (-960, -700)
EROSION_MM = (3.0, 2.0, 1.0)
MIN_CORE = 40


@dataclass(frozen=True, kw_only=True)
class Texture:
    """One nodule.

    `core_hu` is the core's median and `core_sd_hu` its noise-corrected robust SD (interquartile range / 1.349);
    `edge_sigma_mm` the SD of an error function fitted to the margin, NaN where the nodule's surroundings are not lung.
    """

    name: str
    score: float
    mean_hu: float
    core_hu: float
    core_sd_hu: float
    core_p10_hu: float
    core_p90_hu: float
    noise_hu: float
    edge_sigma_mm: float


def textures(folder: Path) -> list[Texture]:
    """All nodules with a texture score and a core."""
    with (folder / "index.csv").open(encoding="utf-8") as stream:
        entries = [entry for entry in csv.DictReader(stream) if entry["texture"]]
    found = [_texture(folder, entry["file"], float(entry["texture"])) for entry in entries]
    return [texture for texture in found if texture is not None]


def class_of(score: float) -> str:
    return next(name for name, (low, high) in CLASSES.items() if low <= score <= high)


def _texture(folder: Path, name: str, score: float) -> Texture | None:
    hu = np.asarray(nib.load(folder / "image" / name).dataobj).astype(np.float32)
    mask = np.asarray(nib.load(folder / "label" / name).dataobj) > 0
    inside = ndimage.distance_transform_edt(mask)
    core = next((inside > e for e in EROSION_MM if np.count_nonzero(inside > e) >= MIN_CORE), None)
    if core is None:
        return None
    noise = _noise(hu, mask)
    values = hu[core]
    spread = float(np.subtract(*np.percentile(values, [75, 25]))) / 1.349
    return Texture(
        name=name,
        score=score,
        mean_hu=float(hu[mask].mean()),
        core_hu=float(np.median(values)),
        core_sd_hu=float(np.sqrt(max(0.0, spread**2 - noise**2))),
        core_p10_hu=float(np.percentile(values, 10)),
        core_p90_hu=float(np.percentile(values, 90)),
        noise_hu=noise,
        edge_sigma_mm=_edge(hu, mask, inside),
    )


def _noise(hu: NDArray, mask: NDArray) -> float:
    """Mode of the local SD (5³) over lung away from the nodule, after Christianson et al., AJR 2015."""
    lung = (hu > LUNG_HU[0]) & (hu < LUNG_HU[1]) & ~ndimage.binary_dilation(mask, iterations=3)
    mean, square = ndimage.uniform_filter(hu, 5), ndimage.uniform_filter(hu**2, 5)
    local = np.sqrt(np.maximum(square - mean**2, 0))[ndimage.uniform_filter(lung.astype(np.float32), 5) > 0.99]
    if local.size < 200:
        return 0.0
    counts, edges = np.histogram(local, bins=np.arange(0, 200, 4))
    at = int(np.argmax(np.convolve(counts, [1, 2, 1], mode="same")))
    return float((edges[at] + edges[at + 1]) / 2)


def _edge(hu: NDArray, mask: NDArray, inside: NDArray) -> float:
    """SD in mm of the error function through the median HU at each signed distance from the mask's surface."""
    distance = ndimage.distance_transform_edt(~mask) - inside
    distance += np.where(mask, 0.5, -0.5)
    near = (distance > -5) & (distance < 6)
    shells = np.round(distance[near]).astype(int)
    at = np.unique(shells)
    profile = np.array([np.median(hu[near][shells == s]) for s in at])
    far = profile[at >= 4]
    if far.size == 0 or far.mean() > -600:
        return float("nan")

    def model(x: NDArray, low: float, high: float, middle: float, sigma: float) -> NDArray:
        return np.asarray(low + (high - low) * 0.5 * erfc((x - middle) / (np.sqrt(2) * sigma)))

    try:
        (low, high, _, sigma), _ = curve_fit(
            model, at, profile, (-850, profile.max(), 0, 1.5), bounds=((-1000, -900, -3, 0.3), (-500, 1500, 3, 6))
        )
    except RuntimeError:
        return float("nan")
    return float(sigma) if high - low > 100 else float("nan")
