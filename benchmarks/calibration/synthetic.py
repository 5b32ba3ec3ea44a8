"""Synthetic lesion masks as the generator draws them, rasterised at a real lesion's spacing, slices and size.

Real masks are drawn slice by slice, and a reader's contours do not quite agree from one slice to the next. To compare like with
like a reader is simulated here: in every slice the surface is moved by a random amount that varies slowly around it.
The reader belongs to the comparison, not to the generator.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from real import FEATURES, MIN_VOXELS, feature_vector, largest_piece

from panlesion.ct.volume import Box, Grid, Vector3
from panlesion.lesion.priors.size import Size
from panlesion.synth.field import Field
from panlesion.synth.shape.outline import Outline, draw_outline, render_outline

# Largest displacement of the surface a box has to hold, in units of the longest radius.
REACH = 2.2
SCOUT_VOXELS = 32
DIRECTIONS = np.random.default_rng(0).standard_normal((120, 3))
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One synthetic lesion: the size it was drawn with and the features it came out with."""

    size: Size
    spacing_mm: Vector3
    reader: float
    features: tuple[float, ...]


def _reader(level: NDArray, amplitude_mm: float, rng: np.random.Generator) -> NDArray:
    """The level as a reader would draw it: harmonics 0 to 3 around the middle of each slice, new in every slice."""
    x, y = (np.arange(n) - n / 2 for n in level.shape[:2])
    angle = np.arctan2(y[None, :], x[:, None])
    waves = np.stack([np.ones_like(angle), *(f(m * angle) for m in (1, 2, 3) for f in (np.cos, np.sin))], axis=-1)
    weights = rng.standard_normal((7, level.shape[2])) * np.array([1, 0.7, 0.7, 0.5, 0.5, 0.35, 0.35])[:, None]
    return level + np.float32(amplitude_mm / np.sqrt(1 + 0.49 + 0.25 + 0.1225)) * (waves @ weights).astype(np.float32)


def _grid(low_mm: NDArray, high_mm: NDArray, spacing_mm: Vector3, offset: NDArray) -> Grid:
    """A grid over a world box, shifted by a share of a voxel."""
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = low_mm + offset * spacing_mm
    i, j, k = (int(np.ceil(n)) + 1 for n in (high_mm - low_mm) / spacing_mm)
    return Grid(shape=(i, j, k), affine=affine)


def _scaled(outline: Outline, factor: float) -> Outline:
    field = outline.field
    vectors = tuple((a / factor, b / factor, c / factor) for a, b, c in field.wave_vectors)
    a, b, c = (r * factor for r in outline.radii_mm)
    return replace(
        outline,
        radii_mm=(a, b, c),
        field=Field(wave_vectors=vectors, phases_rad=field.phases_rad, amplitudes=field.amplitudes),
    )


def _mask(outline: Outline, grid: Grid, reader_mm: float = 0.0, rng: np.random.Generator | None = None) -> NDArray:
    level = render_outline(outline, (0.0, 0.0, 0.0), grid)
    if reader_mm > 0 and rng is not None:
        level = _reader(level, reader_mm, rng)
    return largest_piece(level < 0)


def _extent(mask: NDArray, grid: Grid) -> tuple[float, NDArray, NDArray]:
    """Diameter in mm, and low and high corner, of a mask on a coarse grid."""
    edge = mask & ~(np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 2) & np.roll(mask, -1, 2))
    points = grid.to_xyz(np.argwhere(edge if edge.any() else mask))
    return float(np.ptp(points @ DIRECTIONS.T, axis=0).max()), points.min(axis=0), points.max(axis=0)


def synthesise(size: Size, spacing_mm: Vector3, rng: np.random.Generator, reader: float = 0.0) -> NDArray | None:
    """A mask of the wanted diameter; None where nothing is left. `reader` is in units of the mean radius."""
    half = size.diameter_mm / 2
    a, b, c = (half * r for r in size.ratios)
    outline = draw_outline(
        rng,
        radii_mm=(a, b, c),
        roughness=size.roughness,
        wavelength_radii=size.wavelength_radii,
        slope=size.slope,
        bend=size.bend,
    )
    step = 2 * REACH * half / SCOUT_VOXELS
    reach = np.full(3, REACH * half)
    scout = _grid(-reach, reach, (step, step, step), np.zeros(3))
    mask = _mask(outline, scout)
    if np.count_nonzero(mask) < 8:
        return None
    diameter, low, high = _extent(mask, scout)
    factor = size.diameter_mm / diameter
    outline = _scaled(outline, factor)
    reader_mm = reader * outline.mean_radius_mm
    margin = 2 * reader_mm + step * factor + np.asarray(spacing_mm)
    grid = _grid(low * factor - margin, high * factor + margin, spacing_mm, rng.uniform(-0.5, 0.5, 3))
    found = _mask(outline, grid, reader_mm, rng)
    return found[Box.of(found).slices] if found.any() else None


def sample(
    size: Size, spacing_mm: Vector3, rng: np.random.Generator, *, thickness_mm: float | None = None, reader: float = 0.0
) -> Sample | None:
    """One synthetic lesion, measured; None where it came out with too few voxels to have a shape.

    With `thickness_mm` above the spacing it is drawn on slices that thick and resampled to the spacing, as the real one was.
    """
    thickness = max(spacing_mm[2], thickness_mm or 0.0)
    mask = synthesise(size, (spacing_mm[0], spacing_mm[1], thickness), rng, reader)
    if mask is not None and thickness > spacing_mm[2] * 1.1:
        count = max(1, int(mask.shape[2] * thickness / spacing_mm[2]))
        index = ((np.arange(count) + rng.uniform(0, 1)) * spacing_mm[2] / thickness).astype(int)
        mask = mask[:, :, np.minimum(index, mask.shape[2] - 1)]
    if mask is None or np.count_nonzero(mask) < MIN_VOXELS:
        return None
    features = feature_vector(mask, spacing_mm)
    assert len(features) == len(FEATURES)
    return Sample(size=size, spacing_mm=spacing_mm, reader=reader, features=features)
