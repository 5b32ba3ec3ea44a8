"""The scanner: what turns ideal HU into a CT: table, blur, slice thickness, noise of the kernel's colour, field of view."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, sparse, special

from panlesion.ct.volume import Grid
from panlesion.phantom.attenuation import ATTENUATION
from panlesion.phantom.tissue import Tissue


class Kernel(StrEnum):
    """Reconstruction kernels by what they are used for: soft tissue, general, lung and bone."""

    SOFT = "soft"
    STANDARD = "standard"
    SHARP = "sharp"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A curved couch top under the patient, in mm."""

    gap_mm: float
    half_width_mm: float
    sag_mm: float
    thickness_mm: float
    shell_mm: float
    shell_hu: float
    core_hu: float


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """One reconstruction; JSON-able.

    `psf_sigma_mm`: in-plane, with pixel size and resampling to the isotropic grid in it. `noise_sd_hu`: at the centre of
    `REFERENCE_PATHS_MM` of water; a larger body has more. `streak`: extra noise power in the direction of horizontal
    streaks. `field_of_view_mm`: diameter of the reconstructed circle, None when it lies outside the grid.
    """

    kernel: Kernel
    psf_sigma_mm: float
    slice_mm: float
    noise_sd_hu: float
    noise_seed: int
    streak: float
    field_of_view_mm: float | None
    table: Table | None


# In-plane sigma in mm. A Gaussian MTF falls to one half at f = 0.187 / sigma: 0.30–0.35, 0.36–0.42 and 0.45–0.60 /mm, the
# usual 50 % points of body, general and lung kernels after resampling to 1 mm (ours; how such an MTF is measured: Richard et
# al. 2012, Med Phys 39:4115).
_PSF_SIGMA_MM = {Kernel.SOFT: (0.62, 0.80), Kernel.STANDARD: (0.50, 0.62), Kernel.SHARP: (0.40, 0.50)}
_KERNELS = (Kernel.SOFT, Kernel.STANDARD, Kernel.SHARP)
_KERNEL_SHARE = (0.55, 0.35, 0.10)
_SLICES_MM = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0)
_SLICE_SHARE = (0.2, 0.15, 0.15, 0.15, 0.12, 0.13, 0.10)
# SD at 5 mm with a soft kernel; ours, after common clinical values; medians of scanner models differ by 15–35 %:
# Christianson et al. 2015, AJR (automated noise in 2358 abdominopelvic CTs).
_NOISE_5MM_HU = (5.0, 9.0)
_NOISE_OF_KERNEL = {Kernel.SOFT: 1.0, Kernel.STANDARD: 1.25, Kernel.SHARP: 1.7}
_NOISE_RANGE_HU = (6.0, 30.0)
_FWHM_PER_SIGMA = 2.3548
# A grid cannot hold an edge sharper than its own voxel's partial volume.
_SMALLEST_SIGMA_VOXELS = 0.45
# Noise grows with what the rays cross; less than exp(0.019 mm⁻¹ · path), since bow-tie filter and tube current modulation
# make up for most of it. Ours: centre to rim of an average abdomen then is about 1.4.
_EFFECTIVE_ATTENUATION_PER_MM = 0.007
REFERENCE_PATHS_MM = (300.0, 220.0)
OUTSIDE_HU, HIGHEST_HU = -1024, 3071
_NOISE_BATCH = 16  # planes of k are far apart in memory: several are written at once


def draw_scanner(
    rng: np.random.Generator,
    *,
    kernel: Kernel | None = None,
    slice_mm: float | None = None,
    noise_sd_hu: float | None = None,
    patient_width_mm: float = 380.0,
) -> Scanner:
    """Draw a scanner and its settings; what is given is kept.

    Raises:
        ValueError: a slice thickness or a noise that no scanner has.
    """
    if slice_mm is not None and not 0.25 <= slice_mm <= 10.0:
        raise ValueError(f"slice_mm is {slice_mm}; it must be between 0.25 and 10")
    if noise_sd_hu is not None and not 0.0 <= noise_sd_hu <= 200.0:
        raise ValueError(f"noise_sd_hu is {noise_sd_hu}; it must be between 0 and 200")
    drawn_kernel = _KERNELS[int(rng.choice(len(_KERNELS), p=_KERNEL_SHARE))]
    drawn_slice = float(rng.choice(_SLICES_MM, p=_SLICE_SHARE))
    kernel = drawn_kernel if kernel is None else kernel
    slice_mm = drawn_slice if slice_mm is None else slice_mm
    # Fewer photons in a thinner slice (noise ∝ 1/√T), partly made up for by more dose or by iterative reconstruction.
    drawn_noise = rng.uniform(*_NOISE_5MM_HU) * _NOISE_OF_KERNEL[kernel] * (5.0 / slice_mm) ** 0.4
    return Scanner(
        kernel=kernel,
        psf_sigma_mm=float(rng.uniform(*_PSF_SIGMA_MM[kernel])),
        slice_mm=slice_mm,
        noise_sd_hu=float(np.clip(drawn_noise, *_NOISE_RANGE_HU)) if noise_sd_hu is None else noise_sd_hu,
        noise_seed=int(rng.integers(2**31)),
        streak=float(rng.uniform(0.0, 1.5)),
        field_of_view_mm=min(500.0, patient_width_mm * float(rng.uniform(1.06, 1.4))) if rng.random() < 0.5 else None,
        table=_draw_table(rng),
    )


def _draw_table(rng: np.random.Generator) -> Table:
    """A carbon-fibre sandwich: sizes from common couches, ours."""
    return Table(
        gap_mm=float(rng.uniform(1.0, 7.0)),
        half_width_mm=float(rng.uniform(200.0, 230.0)),
        sag_mm=float(rng.uniform(15.0, 50.0)),
        thickness_mm=float(rng.uniform(25.0, 60.0)),
        shell_mm=float(rng.uniform(1.5, 2.5)),
        shell_hu=float(rng.normal(ATTENUATION[Tissue.TABLE_SHELL].plain, ATTENUATION[Tissue.TABLE_SHELL].sd)),
        core_hu=float(rng.normal(ATTENUATION[Tissue.TABLE_CORE].plain, ATTENUATION[Tissue.TABLE_CORE].sd)),
    )


def rendered_sigma_mm(scanner: Scanner, spacing_mm: float) -> tuple[float, float]:
    """In-plane and axial sigma of the blur as rendered on a grid of that spacing."""
    smallest = _SMALLEST_SIGMA_VOXELS * spacing_mm
    return max(smallest, scanner.psf_sigma_mm), max(smallest, scanner.slice_mm / _FWHM_PER_SIGMA)


def _discrete_gaussian(sigma_voxels: float) -> NDArray[np.float64]:
    """Gaussian taps whose variance is exact even below one voxel (Lindeberg 1990, IEEE PAMI 12:234)."""
    radius = max(1, int(np.ceil(4.0 * sigma_voxels)))
    taps = special.ive(np.abs(np.arange(-radius, radius + 1)), sigma_voxels**2)
    return taps / taps.sum()


def render_scan(ideal_hu: NDArray[np.float32], scanner: Scanner, grid: Grid) -> NDArray[np.int16]:
    """The CT of ideal HU on an isotropic L,P,S grid: int16 (I, J, K), clipped to −1024…3071."""
    spacing_mm = grid.spacing_mm[0]
    plane_mm, axial_mm = rendered_sigma_mm(scanner, spacing_mm)
    hu = ideal_hu if scanner.table is None else _with_table(ideal_hu, scanner.table, spacing_mm)
    hu = _blurred(hu, plane_mm / spacing_mm, axial_mm / spacing_mm)
    across_i, across_j = _noise_power(ideal_hu, spacing_mm)
    outside = _outside_view(ideal_hu, scanner.field_of_view_mm, spacing_mm)
    out = np.empty(grid.shape, dtype=np.int16)
    for start, noise in _noise_slices(grid, scanner, plane_mm / spacing_mm, axial_mm / spacing_mm):
        part = slice(start, start + noise.shape[2])
        sd = np.sqrt(across_i[None, :, part] + across_j[:, None, part]) * np.float32(scanner.noise_sd_hu)
        noise *= sd
        noise += hu[:, :, part]
        np.rint(noise, out=noise)
        out[:, :, part] = np.clip(noise, OUTSIDE_HU, HIGHEST_HU)
    if outside is not None:
        out[outside] = OUTSIDE_HU
    return out


def _blurred(hu: NDArray[np.float32], plane_voxels: float, axial_voxels: float) -> NDArray[np.float32]:
    """Slabs blurred along i, then each along j and k; borders repeat."""
    across_i, across_j = (_blur_matrix(n, plane_voxels) for n in hu.shape[:2])
    across_k = _blur_matrix(hu.shape[2], axial_voxels)
    out = (across_i @ hu.reshape(hu.shape[0], -1)).reshape(hu.shape)
    for i in range(hu.shape[0]):
        out[i] = (across_k @ np.ascontiguousarray((across_j @ out[i]).T)).T
    return out


def _blur_matrix(n: int, sigma_voxels: float) -> sparse.csr_array:
    """Sparse (n, n): its product with an array blurs the first axis, several times faster than a filter along it."""
    taps = _discrete_gaussian(sigma_voxels).astype(np.float32)
    reach = len(taps) // 2
    rows = np.repeat(np.arange(n), len(taps))
    columns = np.clip(rows + np.tile(np.arange(-reach, reach + 1), n), 0, n - 1)
    return sparse.csr_array((np.tile(taps, n), (rows, columns)), shape=(n, n))


def _with_table(ideal_hu: NDArray[np.float32], table: Table, spacing_mm: float) -> NDArray[np.float32]:
    """The couch in the air below the back; none where the grid ends with the back."""
    ni, nj, _ = ideal_hu.shape
    body = ideal_hu > -300
    back = np.flatnonzero(body.any(axis=(0, 2)))
    sides = np.flatnonzero(body.any(axis=(1, 2)))
    if not back.size or (nj - 1 - back[-1]) * spacing_mm < table.gap_mm + table.shell_mm + 3 * spacing_mm:
        return ideal_hu
    x_mm = (np.arange(ni) - (sides[0] + sides[-1]) / 2) * spacing_mm
    y_mm = (np.arange(nj) - back[-1]) * spacing_mm
    across = (x_mm / table.half_width_mm)[:, None]
    depth_mm = y_mm[None, :] - table.gap_mm + table.sag_mm * across**2
    # The lower side is flatter than the upper one, as on couches whose edges taper.
    below_mm = table.thickness_mm + table.gap_mm - y_mm[None, :] - 0.4 * table.sag_mm * across**2
    inside_mm = np.where(np.abs(across) > 1, -spacing_mm, np.minimum(depth_mm, below_mm))
    core = np.clip((inside_mm - table.shell_mm) / spacing_mm + 0.5, 0, 1)
    shell = np.clip(inside_mm / spacing_mm + 0.5, 0, 1) - core
    shadow = ndimage.binary_dilation(np.asarray(body.any(axis=2)))
    profile = (shell * (table.shell_hu + 1000) + core * (table.core_hu + 1000)).astype(np.float32)
    profile[shadow] = 0.0
    return ideal_hu + profile[:, :, None]


def _noise_power(ideal_hu: NDArray[np.float32], spacing_mm: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Relative noise variance by the rays along i (J, K) and along j (I, K); they add up to 1 at the reference centre."""
    density = np.clip(ideal_hu[::2, ::2] * np.float32(0.001) + np.float32(1.0), 0.0, 2.0)
    reference = sum(np.exp(_EFFECTIVE_ATTENUATION_PER_MM * path) for path in REFERENCE_PATHS_MM)
    power = []
    for axis, n in ((0, ideal_hu.shape[1]), (1, ideal_hu.shape[0])):
        path_mm = density.sum(axis=axis) * np.float32(2 * spacing_mm)
        path_mm = ndimage.gaussian_filter(path_mm, (6.0 / spacing_mm, 4.0 / spacing_mm), mode="nearest")
        full = np.repeat(path_mm, 2, axis=0)[:n]
        power.append((np.exp(_EFFECTIVE_ATTENUATION_PER_MM * full) / reference).astype(np.float32))
    return power[0], power[1]


def _noise_filter(shape: tuple[int, int], sigma_voxels: float, streak: float) -> NDArray[np.float32]:
    """Square root of the noise power spectrum on the rfft2 grid, of unit variance.

    Power ∝ f · MTF(f)²: ramp filter times kernel (Riederer, Pelc & Chesler 1978, Phys Med Biol 23:446); it does not reach
    zero at f = 0, since sampling folds some power back (Kijewski & Judy 1987, Phys Med Biol 32:565).
    """
    fi = fft.fftfreq(shape[0])[:, None]
    fj = fft.fftfreq(shape[1])[None, :]
    f = np.hypot(fi, fj)
    power = np.hypot(f, 0.02) * np.exp(-4.0 * (np.pi * sigma_voxels * f) ** 2)
    power *= 1.0 + streak * (np.abs(fj) / np.maximum(f, 1e-9)) ** 6
    power[0, 0] = 0.0
    return np.sqrt(power / power.mean())[:, : shape[1] // 2 + 1].astype(np.float32)


def _noise_slices(
    grid: Grid, scanner: Scanner, plane_voxels: float, axial_voxels: float
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Unit-variance noise, (I, J, ≤ 16) from each k on; neighbours share noise as the slice profile makes them."""
    ni, nj, nk = grid.shape
    padded = (fft.next_fast_len(ni, real=True), fft.next_fast_len(nj, real=True))
    shape = _noise_filter(padded, plane_voxels, scanner.streak)
    taps = _discrete_gaussian(axial_voxels)
    taps = (taps / np.sqrt((taps**2).sum())).astype(np.float32)
    rng = np.random.default_rng(scanner.noise_seed)
    planes = np.empty((_NOISE_BATCH + len(taps) - 1, ni, nj), dtype=np.float32)
    shared = len(taps) - 1  # planes that a batch has from the one before it
    along_k = sparse.diags_array(taps, offsets=range(len(taps)), shape=(_NOISE_BATCH, len(planes)), format="csr")
    for start in range(-_NOISE_BATCH, nk, _NOISE_BATCH):  # the first round only fills what the second one shares
        planes[:shared] = planes[-shared:].copy()
        for plane in planes[_NOISE_BATCH if start < 0 else shared :]:
            white = rng.standard_normal(padded, dtype=np.float32)
            plane[...] = fft.irfft2(fft.rfft2(white) * shape, s=padded)[:ni, :nj]
        if start >= 0:
            slices = (along_k[: nk - start] @ planes.reshape(len(planes), -1)).reshape(-1, ni, nj)
            yield start, np.ascontiguousarray(slices.transpose(1, 2, 0))


def _outside_view(hu: NDArray[np.float32], field_of_view_mm: float | None, spacing_mm: float) -> NDArray[np.bool_] | None:
    if field_of_view_mm is None:
        return None
    body = np.asarray((hu > -300).any(axis=2))
    centre = [np.flatnonzero(body.any(axis=1 - axis)) for axis in (0, 1)]
    ci, cj = ((hit[0] + hit[-1]) / 2 if hit.size else (n - 1) / 2 for hit, n in zip(centre, body.shape, strict=True))
    i, j = np.ogrid[: body.shape[0], : body.shape[1]]
    return np.hypot(i - ci, j - cj) * spacing_mm > field_of_view_mm / 2
