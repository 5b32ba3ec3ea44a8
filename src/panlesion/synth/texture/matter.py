"""`render_matter`: the noise-free HU of a lesion from its layers."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from panlesion.ct.volume import Vector3
from panlesion.synth.field import Field, render_field
from panlesion.synth.plan import Layer, LayerKind, Matter
from panlesion.synth.terrain import Terrain

Array = NDArray[np.float32]


def render_matter(matter: Matter, level: Array, centre_xyz: Vector3, terrain: Terrain) -> tuple[Array, Array]:
    """Float32 HU (I, J, K), and the weight (I, J, K) in 0…1 that `base_hu` has in it.

    HU is linear in `base_hu` with that weight, which is how a plan is given an exact mean.
    """
    plain, wave, weight = render_parts(matter, level, centre_xyz, terrain)
    return plain + wave, weight


def render_parts(matter: Matter, level: Array, centre_xyz: Vector3, terrain: Terrain) -> tuple[Array, Array, Array]:
    """HU without its textures, what the textures add, and the base's weight; all float32 (I, J, K)."""
    plain = np.full(level.shape, matter.base_hu, dtype=np.float32)
    wave, weight = np.zeros(level.shape, dtype=np.float32), np.ones(level.shape, dtype=np.float32)
    for layer in matter.layers:
        field = None if layer.field is None else render_field(layer.field, centre_xyz, terrain.grid)
        if layer.kind is LayerKind.TEXTURE:
            assert field is not None
            wave += np.float32(layer.hu) * field
            continue
        share = _share(layer, level, field, terrain)
        plain += share * (np.float32(layer.hu) - plain)
        wave *= 1 - share
        weight *= 1 - share
    return plain, wave, weight


def _share(layer: Layer, level: Array, field: Array | None, terrain: Terrain) -> Array:
    """How much of each voxel a layer takes, 0…1."""
    if layer.kind is LayerKind.BLOBS:
        assert field is not None
        threshold = np.float32(ndtri(1 - min(max(layer.share, 1e-3), 0.999)))
        return _step((field - threshold) * np.float32(2 * layer.soft_mm))
    if layer.kind is LayerKind.SHEETS:
        assert field is not None and layer.field is not None
        distance = np.abs(field) / np.float32(_gradient_sd(layer.field))
        return _step((np.float32(layer.start_mm) - distance) / np.float32(layer.soft_mm))
    if layer.kind is LayerKind.OUTSIDE:
        return _step(-terrain.depth_mm / np.float32(layer.soft_mm))
    depth = -level if field is None else -level + np.float32(layer.ragged_mm) * field
    if layer.kind is LayerKind.CORE:
        return _step((depth - np.float32(layer.start_mm)) / np.float32(layer.soft_mm))
    inner = _step((np.float32(layer.stop_mm) - depth) / np.float32(layer.soft_mm))
    return inner * _step((depth - np.float32(layer.start_mm)) / np.float32(layer.soft_mm)) if layer.start_mm > 0 else inner


def _step(x: NDArray[np.floating]) -> Array:
    """Smooth step from 0 to 1, half-way at 0, nearly done at ±1."""
    return np.asarray(0.5 * (1 + np.tanh(2 * x)), dtype=np.float32)


def _gradient_sd(field: Field) -> float:
    """SD of one directional derivative of a field, in 1/mm: what turns its value into a distance to its zero set."""
    k2 = np.sum(np.asarray(field.wave_vectors) ** 2, axis=1)
    return float(np.sqrt(np.sum(np.asarray(field.amplitudes) ** 2 * k2) / 2 / 3) * np.sqrt(2))
