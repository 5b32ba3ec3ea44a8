"""Signed-distance primitives and what joins them; all on coordinate arrays in mm, negative inside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import PchipInterpolator, make_interp_spline

from panlesion.phantom.anatomy.lattice import OUTSIDE_MM, Array, Points

Coordinates = tuple[Array, Array, Array]


def smooth_min(a: Array, b: Array, width_mm: float) -> Array:
    """Union with a fillet of about `width_mm` (polynomial smooth minimum, Quilez 2013)."""
    h = np.maximum(np.float32(width_mm) - np.abs(a - b), 0.0)
    return np.minimum(a, b) - h * h * np.float32(0.25 / width_mm)


def smooth_max(a: Array, b: Array, width_mm: float) -> Array:
    """Intersection with a rounded edge of about `width_mm`."""
    h = np.maximum(np.float32(width_mm) - np.abs(a - b), 0.0)
    return np.maximum(a, b) + h * h * np.float32(0.25 / width_mm)


def rotation(degrees_xyz: Sequence[float]) -> NDArray[np.float64]:
    """Rotation matrix about x, then y, then z."""
    cx, cy, cz = np.cos(np.radians(degrees_xyz))
    sx, sy, sz = np.sin(np.radians(degrees_xyz))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_z @ about_y @ about_x
    return turned


def local(xyz: Coordinates, centre: Sequence[float], degrees_xyz: Sequence[float] = (0.0, 0.0, 0.0)) -> Coordinates:
    """Coordinates in the frame of a solid placed at `centre` and turned."""
    x, y, z = (c - np.float32(o) for c, o in zip(xyz, centre, strict=True))
    if not any(degrees_xyz):
        return x, y, z
    r = rotation(degrees_xyz).astype(np.float32)
    return (
        r[0, 0] * x + r[1, 0] * y + r[2, 0] * z,
        r[0, 1] * x + r[1, 1] * y + r[2, 1] * z,
        r[0, 2] * x + r[1, 2] * y + r[2, 2] * z,
    )


def ellipsoid(
    xyz: Coordinates, centre: Sequence[float], radii: Sequence[float], degrees_xyz: Sequence[float] = (0.0, 0.0, 0.0)
) -> Array:
    """Ellipsoid; first-order distance (Quilez 2008), exact on the surface."""
    x, y, z = local(xyz, centre, degrees_xyz)
    a, b, c = (np.float32(1.0 / r) for r in radii)
    x, y, z = x * a, y * b, z * c
    k0 = np.sqrt(x * x + y * y + z * z)
    x, y, z = x * a, y * b, z * c
    k1 = np.sqrt(x * x + y * y + z * z)
    return np.where(k1 > 1e-6, k0 * (k0 - 1) / np.maximum(k1, 1e-6), -min(radii)).astype(np.float32)


def brick(
    xyz: Coordinates,
    centre: Sequence[float],
    half: Sequence[float],
    round_mm: float,
    degrees_xyz: Sequence[float] = (0.0, 0.0, 0.0),
) -> Array:
    """Box with rounded edges; `half` includes the rounding."""
    q = [np.abs(c) - np.float32(h - round_mm) for c, h in zip(local(xyz, centre, degrees_xyz), half, strict=True)]
    outside = np.sqrt(sum(np.maximum(c, 0) ** 2 for c in q))
    return (outside + np.minimum(np.maximum(np.maximum(q[0], q[1]), q[2]), 0) - np.float32(round_mm)).astype(np.float32)


def capsule(xyz: Coordinates, a: Sequence[float], b: Sequence[float], radii: tuple[float, float]) -> Array:
    """Tapered capsule between two points."""
    distance, t = to_segment(xyz, a, b)
    return distance - (np.float32(radii[0]) + t * np.float32(radii[1] - radii[0]))


def to_segment(xyz: Coordinates, a: Sequence[float], b: Sequence[float]) -> tuple[Array, Array]:
    """Distance to a segment and the position 0..1 of the nearest point on it."""
    d = np.asarray(b, dtype=np.float32) - np.asarray(a, dtype=np.float32)
    x, y, z = (c - np.float32(o) for c, o in zip(xyz, a, strict=True))
    t = np.clip((x * d[0] + y * d[1] + z * d[2]) / np.float32(max(float(d @ d), 1e-6)), 0, 1)
    return np.sqrt((x - t * d[0]) ** 2 + (y - t * d[1]) ** 2 + (z - t * d[2]) ** 2), t


def triangle(xyz: Coordinates, corners: NDArray, thickness_mm: Sequence[float]) -> Array:
    """Plate spanned by a triangle (3, 3), with a half thickness at each corner."""
    a, b, c = corners.astype(np.float64)
    ab, ac = b - a, c - a
    normal = np.cross(ab, ac)
    normal /= max(float(np.linalg.norm(normal)), 1e-9)
    gram = np.linalg.inv(np.array([[ab @ ab, ab @ ac], [ab @ ac, ac @ ac]]))
    u_of, v_of = gram @ np.stack([ab, ac])
    p = [q - np.float32(o) for q, o in zip(xyz, a, strict=True)]
    u, v, n = (sum(np.float32(w) * q for w, q in zip(axis, p, strict=True)) for axis in (u_of, v_of, normal))
    inside = (u >= 0) & (v >= 0) & (u + v <= 1)
    edges = np.minimum(
        np.minimum(to_segment(xyz, a.tolist(), b.tolist())[0], to_segment(xyz, b.tolist(), c.tolist())[0]),
        to_segment(xyz, a.tolist(), c.tolist())[0],
    )
    u, v = np.clip(u, 0, 1), np.clip(v, 0, 1)
    t = thickness_mm
    half = np.float32(t[0]) + u * np.float32(t[1] - t[0]) + v * np.float32(t[2] - t[0])
    return (np.where(inside, np.abs(n), edges) - half).astype(np.float32)


def waves(axes_lps_mm: Sequence[Points], seed: int, wavelength_mm: float, terms: int = 9) -> Array:
    """Smooth noise of SD about 1: a sum of plane waves of wavelengths near `wavelength_mm`, evaluated axis by axis."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(terms, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    k = directions * (2 * np.pi / (wavelength_mm * rng.uniform(0.7, 1.5, terms)))[:, None]
    phases = rng.uniform(0, 2 * np.pi, terms)
    total: Array | None = None
    for n in range(terms):
        ex, ey, ez = (np.exp(1j * k[n, a] * axes_lps_mm[a]).astype(np.complex64) for a in range(3))
        part = ((ex * np.complex64(np.exp(1j * phases[n])))[:, None] * ey)[:, :, None]
        wave = part.real * ez.real - part.imag * ez.imag
        total = wave if total is None else total + wave
    assert total is not None
    return (total * np.float32(np.sqrt(2.0 / terms))).astype(np.float32)


def keep_largest(field: Array, neck_mm: float = 0.0) -> Array:
    """The field with all but its largest connected inside pushed outside.

    Parts that hang together only by a neck thinner than twice `neck_mm` count as apart.
    """
    labels, count = ndimage.label(field < -neck_mm)
    if count <= 1:
        return field
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept = labels == sizes.argmax()
    if neck_mm > 0:
        kept = ndimage.binary_dilation(kept, iterations=2) & (field < 0)
    stray = (field < 0) & ~kept
    return np.where(ndimage.binary_dilation(stray) & ~kept, np.maximum(np.abs(field), 1.0), field).astype(np.float32)


def volume_ml(field: Array, step_mm: float) -> float:
    """Volume inside a field, surface voxels by their share."""
    return float(np.clip(0.5 - field / step_mm, 0, 1).sum(dtype=np.float64)) * step_mm**3 / 1000.0


def fit_volume(
    make: Callable[[float], Array], target_ml: float, step_mm: float, low: float, high: float, rounds: int = 8
) -> Array:
    """`make(t)` for the t in [low, high] whose volume is nearest the target; volume must grow with t."""
    for _ in range(rounds):
        middle = (low + high) / 2
        if volume_ml(make(middle), step_mm) < target_ml:
            low = middle
        else:
            high = middle
    return make((low + high) / 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A smooth curve sampled at even steps: points (N, 3), radius at each, arc length at each."""

    points: Points
    radii_mm: Points
    along_mm: Points


def curve(knots: NDArray, radii_mm: Sequence[float] | Points, spacing_mm: float = 6.0) -> Curve:
    """Cubic through the knots (chord-length parameter), radii by shape-preserving interpolation."""
    knots = np.asarray(knots, dtype=np.float64)
    chord = np.r_[0, np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))]
    degree = min(3, len(knots) - 1)
    spline = make_interp_spline(chord, knots, k=degree)
    t = np.linspace(0, chord[-1], max(int(chord[-1] / spacing_mm) * 2, 8))
    fine = spline(t)
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))]
    even = np.linspace(0, along[-1], max(int(along[-1] / spacing_mm) + 1, 2))
    points = np.stack([np.interp(even, along, fine[:, a]) for a in range(3)], axis=1)
    radii = PchipInterpolator(chord, np.asarray(radii_mm, dtype=np.float64))(np.interp(even, along, t))
    return Curve(points=points, radii_mm=radii, along_mm=even)


def outside_like(xyz: Coordinates) -> Array:
    """A field that is far outside everywhere."""
    return np.full(np.broadcast_shapes(*(c.shape for c in xyz)), OUTSIDE_MM, dtype=np.float32)
