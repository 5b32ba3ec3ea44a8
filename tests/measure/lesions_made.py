"""Lesions with known truth: ellipsoids in a block of one organ, blurred, noisy, at any spacing."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.measure.noise import Noise, reach_voxels

SPACINGS = [(0.8, 0.8, 0.8), (1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (3.0, 3.0, 3.0)]
ORGAN_HU = 100.0


def grid_of(shape, spacing_mm) -> Grid:
    return Grid(shape=tuple(shape), affine=np.diag([-spacing_mm[0], -spacing_mm[1], spacing_mm[2], 1.0]))


def noise_field(shape, sd_hu, sigma_voxels, rng) -> NDArray:
    """Gaussian noise, smoothed by a Gaussian; 0 leaves it white."""
    field = rng.standard_normal(shape).astype(np.float32)
    if np.any(np.asarray(sigma_voxels)):
        field = ndimage.gaussian_filter(field, sigma_voxels, mode="wrap")
    return field / field.std() * np.float32(sd_hu)


def acf_of(sigma_voxels, reach) -> NDArray[np.float32]:
    """Autocorrelation of `noise_field`, measured on a large wrapped field of white noise: exact for its kernel."""
    point = np.zeros((32, 32, 32))
    point[0, 0, 0] = 1.0
    kernel = ndimage.gaussian_filter(point, sigma_voxels, mode="wrap") if np.any(np.asarray(sigma_voxels)) else point
    acf = np.fft.ifftn(np.abs(np.fft.fftn(kernel)) ** 2).real
    lags = np.arange(-reach, reach + 1)
    return (acf / acf[0, 0, 0])[np.ix_(lags, lags, lags)].astype(np.float32)


class OneSeat:
    """An atlas of organs without parts; remembers the points it was asked for."""

    def __init__(self):
        self.asked = []

    def seat(self, organ_label, xyz):
        self.asked.append(xyz)
        return f"seat of {organ_label}"


@dataclass
class Facts:
    """What `measure_lesion` asks of a host."""

    psf_mm: tuple
    sd_hu: float
    sigma_voxels: float
    spacing_mm: tuple
    reference: float = ORGAN_HU
    atlas: OneSeat = field(default_factory=OneSeat)

    def reference_hu(self, _type, _organ_label):
        return self.reference

    def noise(self, _organ_label):
        return Noise(sd_hu=self.sd_hu, acf=acf_of(self.sigma_voxels, reach_voxels(self.spacing_mm)))


@dataclass
class Made:
    ct: Volume
    lesion: NDArray
    organs: LabelMap
    facts: Facts


def signed_distance(shape, spacing_mm, centre_mm, radii_mm) -> NDArray:
    """First-order signed distance in mm to an ellipsoid; exact for balls."""
    axes = [np.arange(n) * s - c for n, s, c in zip(shape, spacing_mm, centre_mm, strict=True)]
    x, y, z = axes[0][:, None, None], axes[1][:, None], axes[2]
    a, b, c = radii_mm
    q = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    if a == b == c:
        return (q - 1.0) * a
    gradient = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (z / c**2) ** 2)
    return q * (q - 1.0) / np.maximum(gradient, 1e-9)


def make(
    rng,
    spacing_mm=(1.0, 1.0, 1.0),
    radii_mm=(10.0, 10.0, 10.0),
    *,
    step_hu=-50.0,
    margin_mm=0.0,
    psf_mm=None,
    sd_hu=10.0,
    sigma_voxels=0.5,
    texture_hu=0.0,
    pad_mm=16.0,
    label=5,
) -> Made:
    """An ellipsoid of known size, step, margin width and texture in a block of organ `label`."""
    psf = psf_mm if psf_mm is not None else max(0.7, 0.45 * float(np.mean(spacing_mm)))
    shape = [int(2 * (r + pad_mm) / s) for r, s in zip(radii_mm, spacing_mm, strict=True)]
    centre = [(n / 2 + rng.uniform(-0.5, 0.5)) * s for n, s in zip(shape, spacing_mm, strict=True)]
    distance = signed_distance(shape, spacing_mm, centre, radii_mm)
    share = 0.5 * special.erfc(distance / (np.sqrt(2.0) * np.hypot(psf, margin_mm)))
    texture = noise_field(shape, texture_hu, [4.0 / s for s in spacing_mm], rng) if texture_hu else 0.0
    hu = ORGAN_HU + share * (step_hu + texture) + noise_field(shape, sd_hu, sigma_voxels, rng)
    grid = grid_of(shape, spacing_mm)
    return Made(
        ct=Volume(hu=np.round(hu).astype(np.int16), grid=grid),
        lesion=distance < 0,
        organs=LabelMap(labels=np.full(shape, label, dtype=np.uint8), grid=grid),
        facts=Facts(psf_mm=(psf,) * 3, sd_hu=sd_hu, sigma_voxels=sigma_voxels, spacing_mm=spacing_mm),
    )
