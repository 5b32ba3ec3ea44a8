"""Another scanner, another patient: what differs between CTs of one anatomy, applied in HU before the intensity map.

Training hosts are drawn bodies and a few real scans. A network that has only seen their HU, noise, slices and whole fields of
view relies on them; each change here takes one of those crutches away. Probabilities and ranges are ours.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Vector3
from panlesion.train.chance import Chance
from panlesion.train.separable import along_axis, box, gaussian
from panlesion.train.warp import AIR_HU

KNOTS_HU = (-1000.0, -850.0, -120.0, -50.0, 0.0, 50.0, 100.0, 150.0, 300.0, 1000.0, 3000.0)
"""Air, lung, fat, its edge, water, muscle, organs as they enhance, vessels, spongy and dense bone, metal."""

_BIAS_SD_HU = (0.0, 40.0, 12.0, 10.0, 8.0, 8.0, 10.0, 15.0, 35.0, 90.0, 0.0)
_WATER, _MUSCLE_HU = KNOTS_HU.index(0.0), 50.0
_TABLE_HU = np.arange(AIR_HU, 3072)
_BODY_HU = -500


@dataclass(frozen=True, kw_only=True)
class HostRange:
    """How hosts are varied. `voxels` are of the patch; parts are of its side."""

    # CT numbers of water may be off by some HU after calibration, and by more deep in a wide body (beam hardening).
    offset_hu: Chance = field(default_factory=lambda: Chance(p=0.3, low=-12.0, high=12.0))
    # 80 against 140 kV changes iodine and bone by tens of per cent, soft tissue by a few.
    scale: Chance = field(default_factory=lambda: Chance(p=0.3, low=0.92, high=1.1))
    # Contrast between organs depends on phase, dose of contrast agent and disease; about muscle, which hardly enhances.
    stretch: Chance = field(default_factory=lambda: Chance(p=0.3, low=0.75, high=1.4))
    # Fat, muscle and bone of one patient each sit some HU beside the textbook; the value multiplies typical deviations.
    bias: Chance = field(default_factory=lambda: Chance(p=0.3, low=0.3, high=1.5))
    # A scan averaged to the patch's spacing is softer than a body drawn at it, and kernels differ; standard deviation.
    soften_voxels: Chance = field(default_factory=lambda: Chance(p=0.4, low=0.25, high=0.7))
    # Slices of 5 … 10 mm are still common; hosts are mostly thinner.
    slice_voxels: Chance = field(default_factory=lambda: Chance(p=0.25, low=1.2, high=3.0))
    # Low-dose CT; at 3 mm an abdominal scan has 5 … 15 HU.
    noise_hu: Chance = field(default_factory=lambda: Chance(p=0.4, low=3.0, high=30.0))
    # Table, blanket or arm beside the body: bright without being patient.
    slab_voxels: Chance = field(default_factory=lambda: Chance(p=0.08, low=1.0, high=3.0))
    # The reconstructed circle cuts large patients; the value is the distance from the patch's centre to the arc.
    circle_part: Chance = field(default_factory=lambda: Chance(p=0.08, low=0.2, high=0.6))
    # Scans begin and end somewhere, and archives hold cropped ones; the value is the part of the patch that is cut off.
    cut_part: Chance = field(default_factory=lambda: Chance(p=0.12, low=0.05, high=0.35))


@dataclass(frozen=True, kw_only=True)
class NoiseField:
    """Gaussian noise of one reconstruction kernel: smoothed by `sigma_voxels` per axis, or, when `sharp`, without that part."""

    sd_hu: float
    sigma_voxels: Vector3
    sharp: bool
    seed: int


@dataclass(frozen=True, kw_only=True)
class Slab:
    """A bright plate beside the body, on its low or high side along j."""

    high_side: bool
    gap_voxels: int
    thickness_voxels: int
    hu: float


@dataclass(frozen=True, kw_only=True)
class Circle:
    """The round field of view, in parts of the patch's side: where its arc passes the patch's centre, and its radius."""

    edge_part: float
    radius_part: float
    angle_deg: float


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A part of the patch that was not scanned, at the low or high end of an axis."""

    axis: int
    high_side: bool
    part: float


@dataclass(frozen=True, kw_only=True)
class HostChange:
    """One drawn host: every change, or None where it is not made. `curve_hu` are the HU at `KNOTS_HU`."""

    curve_hu: tuple[float, ...] | None = None
    soften_voxels: float | None = None
    slice_axis: int = 2
    slice_voxels: float | None = None
    noise: NoiseField | None = None
    slab: Slab | None = None
    circle: Circle | None = None
    cut: Cut | None = None


def draw_host_change(ranges: HostRange, rng: np.random.Generator) -> HostChange:
    """Every random number of a host's change is drawn here, each from a stream of its own."""
    curve, soften, slices, noise, slab, circle, cut = rng.spawn(7)
    return HostChange(
        curve_hu=_draw_curve(ranges, curve),
        soften_voxels=ranges.soften_voxels.draw(soften),
        slice_axis=_draw_axis(slices),
        slice_voxels=ranges.slice_voxels.draw(slices),
        noise=_draw_noise(ranges.noise_hu, noise),
        slab=_draw_slab(ranges.slab_voxels, slab),
        circle=_draw_circle(ranges.circle_part, circle),
        cut=_draw_cut(ranges.cut_part, cut),
    )


def _draw_axis(rng: np.random.Generator) -> int:
    """Mostly the body's long axis, along which CTs are sliced; sometimes another, for reformatted scans."""
    return int(rng.choice(3, p=(0.15, 0.15, 0.7)))


def _draw_curve(ranges: HostRange, rng: np.random.Generator) -> tuple[float, ...] | None:
    """The HU of each knot after offset, scale, stretch and bias; never falling, and air stays air."""
    offset, scale, stretch = ranges.offset_hu.draw(rng), ranges.scale.draw(rng), ranges.stretch.draw_ratio(rng)
    bias = ranges.bias.draw(rng)
    deviations = rng.standard_normal(len(KNOTS_HU)) * _BIAS_SD_HU
    if (offset, scale, stretch, bias) == (None,) * 4:
        return None
    knots = np.array(KNOTS_HU)
    out = knots.copy()
    if stretch is not None:  # fades towards fat and bone, which do not enhance
        soft = (knots > -100) & (knots < 2000)
        out += (stretch - 1) * np.where(soft, np.clip(knots - _MUSCLE_HU, -60.0, 100.0), 0.0)
    if scale is not None:
        out[_WATER:] = out[_WATER:] * scale
    if bias is not None:
        out += bias * deviations
    out[1:] += offset or 0.0
    return tuple(np.maximum.accumulate(out.clip(AIR_HU, 3071)).tolist())


def _draw_noise(chance: Chance, rng: np.random.Generator) -> NoiseField | None:
    """White, soft-kernel, sharp-kernel, or streaks across the body as between shoulders and hips."""
    sd_hu = chance.draw_log(rng)
    kind = rng.choice(("white", "soft", "sharp", "streak"), p=(0.2, 0.4, 0.25, 0.15))
    a, b, c = rng.random(3).tolist()
    seed = int(rng.integers(2**31))
    if sd_hu is None:
        return None
    sigma: Vector3 = (0.0, 0.0, 0.0)
    if kind == "soft":
        sigma = (0.5 + 0.7 * a, 0.5 + 0.7 * a, 0.8 * b)
    elif kind == "sharp":
        sigma = (0.8 + 0.7 * a, 0.8 + 0.7 * a, 0.0)
    elif kind == "streak":
        long, thin = 3.0 + 9.0 * a, 0.4 + 0.4 * b
        sigma = (long, thin, 0.6 * c) if c < 0.8 else (thin, long, 0.0)
    return NoiseField(sd_hu=sd_hu, sigma_voxels=sigma, sharp=bool(kind == "sharp"), seed=seed)


def _draw_slab(chance: Chance, rng: np.random.Generator) -> Slab | None:
    thickness = chance.draw(rng)
    high_side, gap, hu = bool(rng.random() < 0.5), int(rng.integers(0, 4)), float(rng.uniform(-700.0, 300.0))
    if thickness is None:
        return None
    return Slab(high_side=high_side, gap_voxels=gap, thickness_voxels=round(thickness), hu=hu)


def _draw_circle(chance: Chance, rng: np.random.Generator) -> Circle | None:
    edge = chance.draw(rng)
    radius, angle = float(rng.uniform(0.7, 2.0)), float(rng.uniform(0.0, 360.0))
    return None if edge is None else Circle(edge_part=edge, radius_part=max(radius, edge), angle_deg=angle)


def _draw_cut(chance: Chance, rng: np.random.Generator) -> Cut | None:
    part = chance.draw(rng)
    axis, high_side = _draw_axis(rng), bool(rng.random() < 0.5)
    return None if part is None else Cut(axis=axis, high_side=high_side, part=part)


def render_host_change(
    change: HostChange, hu: NDArray, targets: NDArray[np.uint8]
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """HU (n, n, n), int16 or float, and targets (G, n, n, n) as the other scanner would have made them.

    What falls out of the field of view becomes air, and background in every target. `targets` is changed in place.
    """
    if change.curve_hu is not None:
        table = np.interp(_TABLE_HU, KNOTS_HU, change.curve_hu).astype(np.float32)
        hu = table.take(_whole(hu).astype(np.int32) - AIR_HU, mode="clip")
    if change.soften_voxels is not None:
        hu = hu.astype(np.float32, copy=False)
        for axis in range(3):
            hu = along_axis(hu, gaussian(hu.shape[axis], change.soften_voxels), axis)
    if change.slice_voxels is not None:
        axis = change.slice_axis
        hu = along_axis(hu.astype(np.float32, copy=False), box(hu.shape[axis], change.slice_voxels), axis)
    if change.noise is not None:
        hu = hu + render_noise(change.noise, hu.shape[0])
    hu = _whole(hu)
    if change.slab is not None:
        hu = _with_slab(change.slab, hu)
    outside = _outside(change, hu.shape[0])
    if outside is not None:
        hu = np.where(outside, np.int16(AIR_HU), hu)
        targets[:, outside] = 0
    return hu, targets


def _whole(hu: NDArray) -> NDArray[np.int16]:
    """Whole HU, as scanners store them."""
    return hu if hu.dtype == np.int16 else np.rint(hu).clip(-2000, 4095).astype(np.int16)


def render_noise(noise: NoiseField, n: int) -> NDArray[np.float32]:
    """The field (n, n, n) in HU, standard deviation `sd_hu` over the patch."""
    white = np.random.default_rng(noise.seed).standard_normal((n, n, n), dtype=np.float32)
    out = white
    for axis, sigma in enumerate(noise.sigma_voxels):
        if sigma > 0:
            matrix = gaussian(n, sigma)
            if not noise.sharp:  # as deep at the patch's faces, where a long kernel would count the last voxel many times
                matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
            out = along_axis(out, matrix, axis)
    if noise.sharp:
        out = white - out
    return out * np.float32(noise.sd_hu / out.std())


def _with_slab(slab: Slab, hu: NDArray[np.int16]) -> NDArray[np.int16]:
    """Behind or before all of the body in the patch; where the body reaches the patch's edge there is no room for one."""
    rows = np.flatnonzero((hu > _BODY_HU).any(axis=(0, 2)))
    if not rows.size:
        return hu
    step = 1 if slab.high_side else -1
    first = (rows[-1] if slab.high_side else rows[0]) + step * (1 + slab.gap_voxels)
    place = [row for row in first + step * np.arange(slab.thickness_voxels) if 0 <= row < hu.shape[1]]
    out = hu.copy()
    out[:, place] = np.maximum(out[:, place], np.int16(slab.hu))
    return out


def _outside(change: HostChange, n: int) -> NDArray[np.bool_] | None:
    """Bool (n, n, n): what the scan does not show; None when it shows all."""
    out = None
    if change.circle is not None:
        circle, angle = change.circle, np.deg2rad(change.circle.angle_deg)
        away = circle.radius_part - circle.edge_part
        along = (np.arange(n) - (n - 1) / 2) / n
        i, j = along[:, None] + away * np.cos(angle), along + away * np.sin(angle)
        out = np.repeat((i**2 + j**2 > circle.radius_part**2)[:, :, None], n, axis=2)
    if change.cut is not None:
        out = np.zeros((n, n, n), dtype=bool) if out is None else out
        lost = round(change.cut.part * n)
        np.moveaxis(out, change.cut.axis, 0)[slice(n - lost, n) if change.cut.high_side else slice(0, lost)] = True
    return out
