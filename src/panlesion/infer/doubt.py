"""Reasons to doubt a result: what in this CT is unlike what the network was taught on. It is predicted all the same.

Every rule is a plain number of the CT or of the network's anatomy, with its limit and reason beside it. The limits are ours.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.modality import Modality
from panlesion.ct.volume import STANDARD_AXES, Vector3, Volume
from panlesion.infer.findings import Prediction
from panlesion.infer.record import Doubt

THICK_MM = 5.0
"""Above this a small lesion may lie within one slice; RECIST 1.1 asks for slices of 5 mm or less (Eisenhauer 2009)."""
LEAST_EXTENT_MM = 100.0
"""Less of the body than this along any axis leaves the network's window of 120 mm partly empty."""
TISSUE_HU = -500
CUT_SHARE = 0.10
"""Share of the body's surface in the lateral faces of the image from which on it counts as cut off."""
METAL_HU, METAL_ML = 2500, 0.5
"""Cortical bone stays below 2500 HU, enamel and metal do not; a 12-bit scale ends at 3071."""
CHILD_WIDTH_MM = 240.0
"""Ours: the adult bodies drawn here are wider (tests look at a few); no survey was made."""
NOISY_HU = 60.0
"""Standard deviation from voxel to voxel in soft tissue; sharp kernels and low dose exceed it."""
FAT_HU = (-140.0, -50.0)
"""Where the peak of fat lies in a calibrated CT at any tube voltage (-120 to -70 HU) with some room."""
LEAST_TRUNK_ML = 300.0
"""Less recognised lung, liver, spleen, kidney, bladder and bowel than this: no trunk."""

_TRUNK = ("lung", "liver", "spleen", "kidney", "bladder", "bowel", "colon", "stomach", "heart")


def doubts_of(ct: Volume, standard: Volume, prediction: Prediction, modality: Modality = Modality.CT) -> tuple[Doubt, ...]:
    """Everything unusual, in the order of the rules below; of an MR, only what its geometry tells.

    Args:
        ct: As it was read, on its own grid.
        standard: The same on the model's grid (L,P,S).
        prediction: What the network says of `standard`.
        modality: What kind of scan it is.
    """
    body = _body(standard)
    rules = _RULES if modality is Modality.CT else _GEOMETRY
    found = [rule(ct, standard, body, prediction) for rule in rules]
    return tuple(doubt for some in found for doubt in some)


def _body(standard: Volume) -> NDArray[np.bool_]:
    """The largest part of everything denser than air and lung; the table is left out where it lies free."""
    parts, count = ndimage.label(standard.hu > TISSUE_HU)
    if count < 2:
        return parts > 0
    voxels = np.bincount(parts.ravel())
    voxels[0] = 0
    return parts == int(voxels.argmax())


_Rule = Callable[[Volume, Volume, NDArray[np.bool_], Prediction], Iterator[Doubt]]


def _no_body(_ct: Volume, _standard: Volume, body: NDArray[np.bool_], _prediction: Prediction) -> Iterator[Doubt]:
    if not body.any():
        yield Doubt(code="no_body", words=f"No voxel is denser than {TISSUE_HU} HU: there is nothing to look at.")


def _thick_slices(ct: Volume, _standard: Volume, _body: NDArray[np.bool_], _prediction: Prediction) -> Iterator[Doubt]:
    thickest = max(ct.grid.spacing_mm)
    if thickest > THICK_MM:
        yield Doubt(
            code="thick_slices", words=f"Slices are {thickest:.1f} mm apart (limit {THICK_MM:g}): small lesions may be missed."
        )


def _small_view(_ct: Volume, standard: Volume, _body: NDArray[np.bool_], _prediction: Prediction) -> Iterator[Doubt]:
    extent = _extent_mm(standard)
    if min(extent) < LEAST_EXTENT_MM:
        told = " x ".join(f"{mm:.0f}" for mm in extent)
        yield Doubt(
            code="small_view",
            words=f"The image shows {told} mm; below {LEAST_EXTENT_MM:g} mm the network misses the surroundings it judges by.",
        )


def _cut_off(_ct: Volume, _standard: Volume, body: NDArray[np.bool_], _prediction: Prediction) -> Iterator[Doubt]:
    faces = [body[0], body[-1], body[:, 0], body[:, -1]]
    touching = sum(int(face.sum()) for face in faces)
    surface = int(body.sum()) - int(ndimage.binary_erosion(body, border_value=0).sum())
    if surface and touching / surface > CUT_SHARE:
        yield Doubt(
            code="cut_off",
            words=f"The body is cut off at the sides of the image ({touching / surface:.0%} of its surface): "
            "lesions at the edge are judged without their surroundings.",
        )


def _metal(_ct: Volume, standard: Volume, _body: NDArray[np.bool_], _prediction: Prediction) -> Iterator[Doubt]:
    ml = float((standard.hu > METAL_HU).sum()) * standard.grid.voxel_ml
    if ml > METAL_ML:
        yield Doubt(
            code="metal", words=f"{ml:.1f} ml are denser than {METAL_HU} HU: metal, whose streaks the network has never seen."
        )


def _uncalibrated(_ct: Volume, standard: Volume, body: NDArray[np.bool_], _prediction: Prediction) -> Iterator[Doubt]:
    soft = standard.hu[body & (standard.hu > -200) & (standard.hu < -20)]
    if soft.size < 1000:
        return
    counts = ndimage.gaussian_filter1d(np.bincount(soft + 200, minlength=180).astype(float), 4.0)
    peak = int(counts.argmax()) - 200
    # without a clear peak there is little fat, which says nothing about calibration
    if not FAT_HU[0] <= peak <= FAT_HU[1] and counts.max() > 3 * np.median(counts):
        yield Doubt(
            code="uncalibrated", words=f"Fat lies at {peak} HU, not between {FAT_HU[0]:g} and {FAT_HU[1]:g}: HU may be off."
        )


def _noisy(ct: Volume, _standard: Volume, _body: NDArray[np.bool_], _prediction: Prediction) -> Iterator[Doubt]:
    sd = voxel_noise_hu(ct)
    if sd is not None and sd > NOISY_HU:
        yield Doubt(
            code="noisy",
            words=f"Soft tissue varies by {sd:.0f} HU from voxel to voxel (limit {NOISY_HU:g}): a sharp kernel or a low dose.",
        )


def _no_trunk(_ct: Volume, standard: Volume, body: NDArray[np.bool_], prediction: Prediction) -> Iterator[Doubt]:
    wanted = [n for n, name in enumerate(prediction.anatomy_names) if name in _TRUNK]
    if not wanted or not body.any():
        return
    ml = float(np.isin(prediction.anatomy, wanted).sum()) * standard.grid.voxel_ml
    if ml < LEAST_TRUNK_ML:
        yield Doubt(
            code="no_trunk",
            words=f"Only {ml:.0f} ml of trunk organs were recognised: a head, a limb, or an image unlike any it knows.",
        )


def _child(_ct: Volume, standard: Volume, body: NDArray[np.bool_], _prediction: Prediction) -> Iterator[Doubt]:
    across = np.flatnonzero(body.any(axis=(1, 2)))
    if not across.size:
        return
    touches = body[0].any() or body[-1].any()
    width_mm = float(across[-1] - across[0] + 1) * standard.grid.spacing_mm[0]
    if width_mm < CHILD_WIDTH_MM and not touches:
        yield Doubt(
            code="small_body",
            words=f"The body is {width_mm:.0f} mm wide (adult trunks from {CHILD_WIDTH_MM:g} mm on): a child, a head, a limb.",
        )


_RULES: tuple[_Rule, ...] = (
    _no_body, _thick_slices, _small_view, _cut_off, _metal, _uncalibrated, _noisy, _no_trunk, _child,
)  # fmt: skip


_GEOMETRY: tuple[_Rule, ...] = (_thick_slices, _small_view)


def voxel_noise_hu(ct: Volume) -> float | None:
    """SD from voxel to voxel in soft tissue within axial planes: neighbours' differences, robustly; None without soft tissue.

    Half the difference of neighbours in quadrature is white noise alone; edges are few and the median absolute deviation
    passes over them.
    """
    axis = next(n for n, letter in enumerate(ct.grid.axes) if letter not in STANDARD_AXES[2] + "I")
    hu = ct.hu[tuple(slice(None, None, max(1, n // 160)) if a != axis else slice(None) for a, n in enumerate(ct.hu.shape))]
    lower, upper = np.swapaxes(hu, 0, axis)[:-1], np.swapaxes(hu, 0, axis)[1:]
    middle = (lower.astype(np.float32) + upper) / 2
    step = (upper.astype(np.float32) - lower)[(middle > 0) & (middle < 100)]
    if step.size < 1000:
        return None
    return float(1.4826 * np.median(np.abs(step - np.median(step))) / np.sqrt(2))


def _extent_mm(volume: Volume) -> Vector3:
    x, y, z = (n * mm for n, mm in zip(volume.hu.shape, volume.grid.spacing_mm, strict=True))
    return (x, y, z)
