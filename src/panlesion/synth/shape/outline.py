"""`Outline`: a rough, perhaps bent ellipsoid, the body of most lesions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Grid, Vector3
from panlesion.synth.field import Field, draw_field, render_field

# Wavelengths of the surface's roughness, in units of the mean radius: from lobes down to what a CT still resolves.
WAVELENGTH_RADII = (0.45, 2.5)
ROUGHNESS_SLOPE = 1.0


@dataclass(frozen=True, kw_only=True)
class Outline:
    """One drawn ellipsoid with a rough surface.

    `rotation` has the principal axes in RAS+ world space as its columns, row-major; `roughness` is the SD of the surface's
    displacement as a share of the mean radius; `bend` how far the ends of the first axis are carried along the third, as a
    share of the first radius (0 straight, 1 a crescent).
    """

    radii_mm: Vector3
    rotation: tuple[float, ...]
    roughness: float
    field: Field
    bend: float = 0.0

    @property
    def mean_radius_mm(self) -> float:
        a, b, c = self.radii_mm
        return float((a * b * c) ** (1 / 3))


def draw_rotation(rng: np.random.Generator) -> tuple[float, ...]:
    """A uniformly random rotation matrix, row-major (Haar measure through QR)."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0:
        q[:, 0] *= -1
    return tuple(q.ravel().round(6).tolist())


def draw_outline(
    rng: np.random.Generator,
    *,
    radii_mm: Vector3,
    roughness: float,
    wavelength_radii: tuple[float, float] = WAVELENGTH_RADII,
    slope: float = ROUGHNESS_SLOPE,
    rotation: tuple[float, ...] | None = None,
    bend: float = 0.0,
) -> Outline:
    """Every random number of a lesion's body is drawn here."""
    mean = float(np.prod(radii_mm) ** (1 / 3))
    low, high = wavelength_radii
    return Outline(
        radii_mm=radii_mm,
        rotation=draw_rotation(rng) if rotation is None else rotation,
        roughness=roughness,
        bend=bend,
        field=draw_field(rng, wavelength_mm=(low * mean, high * mean), slope=slope),
    )


def render_outline(outline: Outline, centre_xyz: Vector3, grid: Grid) -> NDArray[np.float32]:
    """Float32 (I, J, K): distance to the surface in mm to first order, negative inside."""
    to_unit = np.asarray(outline.rotation).reshape(3, 3).T / np.asarray(outline.radii_mm)[:, None]
    level = ellipsoid_level(to_unit, centre_xyz, grid, min(outline.radii_mm), bend=outline.bend)
    if outline.roughness > 0:
        level -= np.float32(outline.roughness * outline.mean_radius_mm) * render_field(outline.field, centre_xyz, grid)
    return level


def ellipsoid_level(
    to_unit: NDArray, centre_xyz: Vector3, grid: Grid, inner_mm: float, *, bend: float = 0.0
) -> NDArray[np.float32]:
    """Distance to the ellipsoid |to_unit (x − centre)| = 1, to first order in the distance: (q − 1) q / |∇(q²/2)|.

    `to_unit` (3, 3) has orthogonal rows. A bend shifts the third coordinate by a parabola in the first, whose mean over the
    ellipsoid is zero.
    """
    u, v, w = unit_offsets(to_unit, centre_xyz, grid)
    scale2 = (to_unit**2).sum(axis=1).astype(np.float32)
    slope = u
    if bend:
        curve = np.float32(bend * np.sqrt(scale2[2] / scale2[0]))
        w = w - curve * (u * u - np.float32(0.2))
        slope = u - 2 * curve * u * w
    q2 = u * u + v * v + w * w
    gradient2 = scale2[0] * slope * slope + scale2[1] * v * v + scale2[2] * w * w
    q = np.sqrt(q2)
    level = (q - 1) * q / np.sqrt(np.maximum(gradient2, 1e-12))
    return np.where(q < 1e-3, np.float32(-inner_mm), level).astype(np.float32)


def unit_offsets(to_unit: NDArray, centre_xyz: Vector3, grid: Grid) -> list[NDArray[np.float32]]:
    """The three components of to_unit (x − centre), each float32 (I, J, K)."""
    origin = to_unit @ (grid.affine[:3, 3] - np.asarray(centre_xyz))
    step = to_unit @ grid.affine[:3, :3]
    i, j, k = (np.arange(n, dtype=np.float32) for n in grid.shape)
    return [
        (
            (np.float32(origin[a]) + np.float32(step[a, 0]) * i)[:, None, None]
            + (np.float32(step[a, 1]) * j)[None, :, None]
            + (np.float32(step[a, 2]) * k)[None, None, :]
        )
        for a in range(3)
    ]
