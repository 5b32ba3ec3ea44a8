"""`MassHost`: what a soft-tissue mass needs to know of the CT it grows in, measured once and used for many masses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organs import BONE_LABELS, MUSCLE_LABELS
from panlesion.ct.phase import Phase
from panlesion.ct.volume import Grid, LabelMap, Vector3, Volume
from panlesion.measure.noise import FEWEST_VOXELS, Noise, measure_noise
from panlesion.phantom.limb.limb import LimbPhantom
from panlesion.phantom.limb.render import MUSCLES_OF_A_SEGMENT, Compartment

# Compartment of whatever is neither muscle, fat, skin nor bone: organs, and the other limb. A mass keeps out of it.
FOREIGN = 255
BODY_HU = -300
FAT_HU = (-150, -40)
MUSCLE_HU = (5, 110)
BONE_HU = 170
_CALM_SIGMA_VOXELS = 0.8
_FAR_MM = 60.0
_NOT_ENTERED = (Compartment.LUNG, Compartment.VISCERA, Compartment.NEIGHBOURS_FAT)


@dataclass(frozen=True, kw_only=True, eq=False)
class MassHost:
    """A CT and where things are in it, all arrays (I, J, K) on one grid.

    `compartments`: uint8 as `phantom.limb.render.Compartment`, or `FOREIGN`. `hard_mm`, `skin_mm`: float32 distance to what no
    mass enters (bone, organs, the other limb), and depth below the body's surface, negative outside. `grain`: the noise in
    `hu` where it is known, else None, and then `noise` has its SD and autocorrelation.
    """

    hu: NDArray[np.int16]
    grid: Grid
    phase: Phase
    psf_mm: Vector3
    compartments: NDArray[np.uint8]
    hard_mm: NDArray[np.float32]
    skin_mm: NDArray[np.float32]
    grain: NDArray[np.int16] | None
    noise: Noise | None

    @classmethod
    def of_limb(cls, limb: LimbPhantom) -> "MassHost":
        """The host that a drawn limb is."""
        kinds = limb.compartments.labels.copy()
        foreign = (kinds >= Compartment.MUSCLE + MUSCLES_OF_A_SEGMENT) | np.isin(kinds, _NOT_ENTERED)
        kinds[foreign] = FOREIGN
        return cls(
            hu=limb.ct.hu,
            grid=limb.ct.grid,
            phase=Phase(limb.record["phase"]),
            psf_mm=limb.psf_mm,
            compartments=kinds,
            grain=limb.grain,
            noise=None,
            **_distances(kinds, limb.ct.grid.spacing_mm),
        )

    @classmethod
    def of(cls, ct: Volume, organs: LabelMap, *, phase: Phase, psf_mm: Vector3) -> "MassHost":
        """Any CT with its organ map: muscle and fat are told by label, and by HU where there is none.

        Raises:
            ValueError: there is too little muscle to measure the noise in.
        """
        labels = organs.labels
        calm = ndimage.gaussian_filter(ct.hu.astype(np.float32), _CALM_SIGMA_VOXELS, truncate=2.5)
        body = _body(calm > BODY_HU)
        kinds = np.where(body, FOREIGN, Compartment.AIR).astype(np.uint8)
        free = body & (labels == 0)
        kinds[free & (calm >= FAT_HU[0]) & (calm <= FAT_HU[1])] = Compartment.DEEP_FAT
        kinds[free & (calm > FAT_HU[1]) & (calm < MUSCLE_HU[0])] = Compartment.DEEP_FAT
        muscle = free & (calm >= MUSCLE_HU[0]) & (calm <= MUSCLE_HU[1])
        kinds[muscle] = Compartment.MUSCLE
        for number, label in enumerate(sorted(MUSCLE_LABELS), start=1):
            kinds[labels == label] = Compartment.MUSCLE + number
        kinds[organs.mask(BONE_LABELS) | (free & (calm > BONE_HU))] = Compartment.CORTEX
        inner = ndimage.binary_erosion((kinds >= Compartment.MUSCLE) & (kinds != FOREIGN), iterations=2)
        if np.count_nonzero(inner) < FEWEST_VOXELS:
            raise ValueError(f"the CT has {np.count_nonzero(inner)} voxels inside muscle; a mass needs {FEWEST_VOXELS}")
        return cls(
            hu=ct.hu,
            grid=ct.grid,
            phase=phase,
            psf_mm=psf_mm,
            compartments=kinds,
            grain=None,
            noise=measure_noise(ct.hu, inner, ct.grid.spacing_mm),
            **_distances(kinds, ct.grid.spacing_mm),
        )


def _body(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest solid piece after a break at thin bridges (tables, sheets), with what it encloses in each axial slice."""
    pieces, count = ndimage.label(ndimage.binary_erosion(solid))
    if not count:
        return solid
    largest = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    body = ndimage.binary_dilation(largest, iterations=2) & solid
    for k in range(body.shape[2]):
        body[:, :, k] = ndimage.binary_fill_holes(body[:, :, k])
    return np.asarray(body)


def _distances(kinds: NDArray[np.uint8], spacing_mm: Vector3) -> dict[str, NDArray[np.float32]]:
    body = kinds != Compartment.AIR
    hard = (kinds == FOREIGN) | (kinds == Compartment.CORTEX) | (kinds == Compartment.MARROW)
    half = np.float32(min(spacing_mm) / 2)
    out: dict[str, NDArray[np.float32]] = {"hard_mm": np.full(kinds.shape, np.float32(_FAR_MM))}
    if hard.any():
        out["hard_mm"] = np.minimum(ndimage.distance_transform_edt(~hard, spacing_mm), _FAR_MM).astype(np.float32) - half
    # Depth below the skin only says how thick the cover is: every second voxel does.
    thin = body[::2, ::2, ::2]
    skin = np.full(thin.shape, np.float32(_FAR_MM))
    if not thin.all():
        twice = [2 * v for v in spacing_mm]
        inside, outside = (ndimage.distance_transform_edt(part, twice) for part in (thin, ~thin))
        skin = np.where(thin, inside - half, half - outside).astype(np.float32)
    for axis, n in enumerate(body.shape):
        skin = _doubled(skin, axis, n)
    out["skin_mm"] = skin
    return out


def _doubled(values: NDArray[np.float32], axis: int, n: int) -> NDArray[np.float32]:
    """`n` samples along an axis from every second one of them, by halves."""
    at = np.arange(n)
    low, high = at // 2, np.minimum((at + 1) // 2, values.shape[axis] - 1)
    return (values.take(low, axis) + values.take(high, axis)) * np.float32(0.5)
