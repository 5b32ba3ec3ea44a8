"""Rotation, scale, mirror and crop in one resampling: linear for the image, nearest for the targets.

Outside the stored cube lies air, and its targets are background: so does a scan's own edge look, in training as in the
sliding window that pads a scan with air. Voxels marked 255 ("ignore") stay 255.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Index3, Vector3
from panlesion.train.chance import Chance

AIR_HU = -1000


@dataclass(frozen=True, kw_only=True)
class WarpRange:
    """PASTA's published spatial augmentation, which is nnU-Net's default (Isensee et al. 2021) without elastic warps."""

    rotation_deg: Chance = field(default_factory=lambda: Chance(p=0.2, low=-30.0, high=30.0))  # each of the three angles
    scale: Chance = field(default_factory=lambda: Chance(p=0.2, low=0.7, high=1.4))
    mirror_p: float = 0.5  # of each axis by itself, as in nnU-Net


@dataclass(frozen=True, kw_only=True)
class Warp:
    """One drawn resampling; `scale` is stored voxels per voxel of the patch, so above one everything looks smaller."""

    rotation_deg: Vector3 = (0.0, 0.0, 0.0)
    scale: float = 1.0
    mirror: tuple[bool, bool, bool] = (False, False, False)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3): offset from the patch's centre → offset from its place in the stored cube, both in voxels."""
        out = np.diag([-self.scale if flip else self.scale for flip in self.mirror])
        for axis, angle in enumerate(np.deg2rad(self.rotation_deg)):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            turn = np.eye(3)
            turn[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
            out = turn @ out
        return out


def draw_warp(ranges: WarpRange, rng: np.random.Generator) -> Warp:
    """All three angles are drawn when rotation is: nnU-Net's rule for isotropic patches."""
    done = Chance(p=ranges.rotation_deg.p).draw(rng) is not None
    every = Chance(p=float(done), low=ranges.rotation_deg.low, high=ranges.rotation_deg.high)
    a, b, c = (every.draw(rng) or 0.0 for _ in range(3))
    scale = ranges.scale.draw_ratio(rng)
    i, j, k = (bool(hit < ranges.mirror_p) for hit in rng.random(3))
    return Warp(rotation_deg=(a, b, c), scale=1.0 if scale is None else scale, mirror=(i, j, k))


def render_warp(
    warp: Warp, hu: NDArray[np.int16], targets: NDArray[np.uint8], size: int, centre_ijk: Index3
) -> tuple[NDArray, NDArray[np.uint8]]:
    """HU (size, …), int16 when voxels are only copied, else float32, and targets (G, size, …).

    The untouched patch is `hu[c - size // 2 : c - size // 2 + size]` along each axis; everything else turns about its middle.
    """
    start = [c - size // 2 for c in centre_ijk]
    if any(warp.rotation_deg):
        return _turned(warp, hu, targets, size, start)
    if warp.scale != 1.0:
        return _scaled(warp, hu, targets, size, start)
    window = tuple(slice(max(0, a), max(0, min(a + size, n))) for a, n in zip(start, hu.shape, strict=True))
    place = tuple(slice(part.start - a, part.stop - a) for part, a in zip(window, start, strict=True))
    flips = tuple(slice(None, None, -1 if flip else 1) for flip in warp.mirror)
    image = np.full((size,) * 3, AIR_HU, dtype=np.int16)
    cut = np.zeros((len(targets), *image.shape), dtype=np.uint8)
    if all(part.start < part.stop for part in window):
        image[place] = hu[window]
        cut[(slice(None), *place)] = targets[(slice(None), *window)]
    return np.ascontiguousarray(image[flips]), np.ascontiguousarray(cut[(slice(None), *flips)])


def _scaled(
    warp: Warp, hu: NDArray[np.int16], targets: NDArray[np.uint8], size: int, start: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Without rotation the resampling is separable: three small matrices instead of eight taps per voxel."""
    windows, weights, nearest = [], [], []
    for a, n, step in zip(start, hu.shape, np.diag(warp.matrix), strict=True):
        position = a + (size - 1) / 2 + step * (np.arange(size) - (size - 1) / 2)
        inside = (position > -0.5) & (position < n - 0.5)
        position = position.clip(0, n - 1)
        low = int(position.min())
        high = min(int(position.max()) + 2, n)
        weight = np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(low, high))) * inside[:, None]
        windows.append(slice(low, high))
        weights.append(weight.astype(np.float32))
        nearest.append(np.where(inside, np.rint(position).astype(np.intp), -1))
    i, j, k = weights
    # Counted from air, so that weights of zero, outside the cube, give air.
    cube = hu[tuple(windows)].astype(np.float32) - AIR_HU
    cube = np.matmul(j, np.matmul(cube, k.T))
    image = (i @ cube.reshape(len(cube), -1)).reshape((size,) * 3) + np.float32(AIR_HU)
    cut = targets[:, nearest[0]][:, :, nearest[1]][:, :, :, nearest[2]]
    for axis, index in enumerate(nearest, 1):
        np.moveaxis(cut, axis, 0)[index < 0] = 0
    return image, cut


def _turned(
    warp: Warp, hu: NDArray[np.int16], targets: NDArray[np.uint8], size: int, start: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Eight taps by flat index. A sampling grid is a sum of three lines, so it costs little; faster than SciPy and torch."""
    offset = (np.arange(size) - (size - 1) / 2).astype(np.float32)
    matrix = warp.matrix.astype(np.float32)
    inside = np.ones((size,) * 3, dtype=bool)
    low, part, nearest = [], [], np.zeros((size,) * 3, dtype=np.intp)
    strides = (hu.shape[1] * hu.shape[2], hu.shape[2], 1)
    for axis, n in enumerate(hu.shape):
        i, j, k = (matrix[axis, a] * offset for a in range(3))
        position = (i[:, None, None] + np.float32(start[axis] + (size - 1) / 2)) + (j[:, None] + k)
        inside &= (position > -0.5) & (position < n - 0.5)
        np.clip(position, 0, n - 1, out=position)
        floor = np.minimum(position.astype(np.int32), max(0, n - 2))
        part.append(position - floor)
        low.append(floor)
        nearest += (position + np.float32(0.5)).astype(np.intp).clip(max=n - 1) * strides[axis]
    corner = sum(floor.astype(np.intp) * stride for floor, stride in zip(low, strides, strict=True))
    image = np.where(inside, _mixed(np.ascontiguousarray(hu).reshape(-1), corner, part, strides, hu.shape), AIR_HU)
    cut = targets.reshape(len(targets), -1).take(nearest.reshape(-1), axis=1).reshape(len(targets), *image.shape)
    cut *= inside
    return image.astype(np.float32, copy=False), cut


def _mixed(
    flat: NDArray[np.int16], corner: NDArray[np.intp], part: list[NDArray[np.float32]], strides: Index3, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Linear interpolation between the eight voxels around each point, the last axis first."""
    di, dj, dk = (stride if n > 1 else 0 for stride, n in zip(strides, shape, strict=True))
    planes = []
    for a in (0, di):
        lines = []
        for b in (0, dj):
            first = flat.take(corner + (a + b)).astype(np.float32)
            second = flat.take(corner + (a + b + dk)).astype(np.float32)
            lines.append(first + (second - first) * part[2])
        planes.append(lines[0] + (lines[1] - lines[0]) * part[1])
    return planes[0] + (planes[1] - planes[0]) * part[0]
