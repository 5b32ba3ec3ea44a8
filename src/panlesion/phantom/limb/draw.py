"""`draw_limb`: every random number of a limb. What it returns is JSON-able and is rendered by `render.render_limb`."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from panlesion.ct.phase import Phase
from panlesion.phantom.limb.region import ANATOMY, Belly, Cord, Region, Shaft
from panlesion.phantom.limb.streaks import Streaks, draw_streaks
from panlesion.phantom.paint import Paint, draw_paint
from panlesion.phantom.scanner import Kernel, Scanner, Table, draw_scanner


@dataclass(frozen=True, kw_only=True)
class Wave:
    """One harmonic of an outline: share of the radius, its order, phase, and turn along the axis."""

    order: int
    amplitude: float
    phase_rad: float
    turn_rad_per_mm: float


@dataclass(frozen=True, kw_only=True)
class Muscle:
    """A muscle as drawn: its belly, HU beside the mean muscle's, and share of fat in its streaks (0–1)."""

    belly: Belly
    offset_hu: float
    fatty: float


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One limb, or stretch of trunk, in the field of view; world mm from the middle of the grid, axes L, P, S.

    `side` is +1 where lateral is the patient's left; `station` the place at z = 0 along the region, 0 its upper and 1 its
    lower end; `radius_mm` and `fat_mm` are those of both ends.
    """

    region: Region
    side: int
    axis_mm: tuple[float, float]
    slope: tuple[float, float]
    roll_rad: float
    station: float
    length_mm: float
    radius_mm: tuple[float, float]
    breadth: float
    outline: tuple[Wave, ...]
    fat_mm: tuple[float, float]
    fat_outline: tuple[Wave, ...]
    skin_mm: float
    muscles: tuple[Muscle, ...]
    shafts: tuple[Shaft, ...]
    cords: tuple[Cord, ...]
    warp_mm: float
    warp_scale_mm: float
    septum_mm: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Limb:
    """Everything drawn for one limb phantom; the first segment is the one that the box is about."""

    segments: tuple[Segment, ...]
    paint: Paint
    scanner: Scanner
    streaks: Streaks


# How often each region is drawn. Ours: where soft-tissue sarcomas of the extremities sit (about half in the thigh: Brennan et
# al. 2014, Ann Surg 260:416), with more of the small regions than there are patients.
_SHARE = {
    Region.THIGH: 0.42,
    Region.KNEE: 0.12,
    Region.CALF: 0.10,
    Region.UPPER_ARM: 0.11,
    Region.FOREARM: 0.04,
    Region.BUTTOCK: 0.12,
    Region.BACK: 0.09,
}
# Subcutaneous fat in mm over the mean of the outline, median and spread (log SD): ours.
_FAT_MM = {
    Region.THIGH: (15.0, 0.55),
    Region.KNEE: (8.0, 0.45),
    Region.CALF: (7.0, 0.5),
    Region.UPPER_ARM: (9.0, 0.6),
    Region.FOREARM: (5.0, 0.5),
    Region.BUTTOCK: (28.0, 0.5),
    Region.BACK: (14.0, 0.5),
}
_ARMS = (Region.UPPER_ARM, Region.FOREARM)
# Noise of the finished image in HU, streaks and grain together, log-uniform, ours. A limb's rays are short, so the scanner's
# own setting is higher.
_NOISE_HU = (5.0, 30.0)
_LIMB_SHARE_OF_NOISE = 0.75


def draw_limb(
    rng: np.random.Generator,
    *,
    region: Region | None = None,
    phase: Phase | None = None,
    extent_mm: tuple[float, float, float] = (192.0, 192.0, 192.0),
) -> Limb:
    """Draw a limb for a box of that extent; what is given is kept. Two thirds of scans are plain."""
    names = list(_SHARE)
    drawn_region = names[int(rng.choice(len(names), p=list(_SHARE.values())))]
    drawn_phase = list(Phase)[int(rng.choice(4, p=(0.67, 0.05, 0.18, 0.10)))]
    region = drawn_region if region is None else region
    age = int(rng.integers(18, 88))
    paint = draw_paint(drawn_phase if phase is None else phase, rng, age=age)
    own = _draw_segment(region, rng, age)
    own = replace(own, axis_mm=_placed(own, extent_mm, rng))
    segments = (own, *_companions(own, extent_mm, rng, age))
    noise_hu = float(np.exp(rng.uniform(*np.log(_NOISE_HU))))
    streaks = draw_streaks(rng, noise_hu=noise_hu)
    rest_hu = float(np.sqrt(noise_hu**2 - streaks.sd_hu**2))
    return Limb(segments=segments, paint=paint, scanner=_draw_scanner(rng, rest_hu), streaks=streaks)


def _draw_scanner(rng: np.random.Generator, noise_hu: float) -> Scanner:
    scanner = draw_scanner(
        rng,
        kernel=Kernel.SOFT if rng.random() < 0.5 else None,
        slice_mm=float(rng.choice((1.25, 2.5, 3.0, 3.27, 3.75, 5.0))),
        noise_sd_hu=noise_hu / _LIMB_SHARE_OF_NOISE,
        patient_width_mm=460.0,
    )
    table: Table | None = None
    if scanner.table is not None and rng.random() < 0.8:
        gap = float(rng.uniform(1.0, 10.0) if rng.random() < 0.4 else rng.uniform(10.0, 60.0))
        table = replace(
            scanner.table,
            gap_mm=gap,
            shell_hu=float(rng.uniform(-200.0, 1300.0)),
            sag_mm=float(rng.uniform(2.0, 50.0)),
            shell_mm=float(rng.uniform(1.5, 3.2)),
        )
    return replace(scanner, streak=float(rng.uniform(0.0, 6.0)), field_of_view_mm=None, table=table)


def _placed(own: Segment, extent_mm: tuple[float, float, float], rng: np.random.Generator) -> tuple[float, float]:
    """The axis of the limb in the box: the wider the limb, the farther it may lie outside."""
    outer = float(np.mean(own.radius_mm) + np.mean(own.fat_mm))
    if own.region is Region.BACK:
        # The middle of the box lies in the muscles behind the ribs, on the near side.
        return (-own.side * float(rng.uniform(0.0, 0.65) * outer), -float(rng.uniform(0.35, 0.75) * outer))
    at = [float(np.clip(rng.normal(0.0, 0.35 * outer + 8.0), -0.75 * outer, 0.75 * outer)) for _ in range(2)]
    slack = [max(0.0, e / 2 - outer) for e in extent_mm[:2]]
    return (at[0] + float(rng.uniform(-slack[0], slack[0])) * 0.5, at[1] + float(rng.uniform(-slack[1], slack[1])) * 0.5)


def _companions(own: Segment, extent_mm: tuple[float, float, float], rng: np.random.Generator, age: int) -> list[Segment]:
    """The other limb or the trunk, where they reach the field of view."""
    width = float(np.mean(own.radius_mm)) * own.breadth + float(np.mean(own.fat_mm))
    if own.region is Region.BACK:
        return []
    if own.region in _ARMS:
        if rng.random() > 0.55:
            return []
        trunk = _draw_segment(Region.BACK, rng, age)
        away = width + float(np.mean(trunk.radius_mm) * trunk.breadth + np.mean(trunk.fat_mm)) + float(rng.uniform(-14.0, 25.0))
        at = (own.axis_mm[0] - own.side * away, own.axis_mm[1] + float(rng.uniform(-50.0, 30.0)))
        return [replace(trunk, axis_mm=at, side=own.side, slope=(0.0, 0.0))]
    if rng.random() > 0.8 and own.region is not Region.BUTTOCK:
        return []
    gap = float(rng.uniform(-6.0, 30.0)) if own.region is not Region.BUTTOCK else -float(rng.uniform(0.10, 0.35) * width)
    other = replace(
        own,
        side=-own.side,
        axis_mm=(own.axis_mm[0] - own.side * (2 * width + gap), own.axis_mm[1] + float(rng.normal(0.0, 8.0))),
        slope=(-own.slope[0], own.slope[1] + float(rng.normal(0.0, 0.04))),
        roll_rad=own.roll_rad + float(rng.normal(0.0, 0.15)),
        station=float(np.clip(own.station + rng.normal(0.0, 0.05), 0.0, 1.0)),
        seed=int(rng.integers(2**31)),
    )
    reaches = abs(other.axis_mm[0]) - width - np.mean(own.fat_mm) < extent_mm[0] / 2
    return [other] if reaches else []


def _draw_segment(region: Region, rng: np.random.Generator, age: int) -> Segment:
    anatomy = ANATOMY[region]
    radius = float(rng.uniform(*anatomy.radius_mm))
    taper = float(rng.uniform(*anatomy.taper))
    median, spread = _FAT_MM[region]
    fat = float(np.clip(median * np.exp(rng.normal(0.0, spread)), 2.5, 70.0))
    # Muscle turns fatty with age and disuse (Goodpaster et al. 2000, J Appl Physiol 89:104); the amount is ours.
    fatty = float(np.clip(rng.exponential(0.10 + 0.22 * age / 80), 0.02, 0.8))
    tilt = 0.16 if region not in _ARMS else 0.35
    return Segment(
        region=region,
        side=1 if rng.random() < 0.5 else -1,
        axis_mm=(0.0, 0.0),
        slope=(float(np.clip(rng.normal(0.0, tilt), -0.6, 0.6)), float(np.clip(rng.normal(0.0, tilt), -0.6, 0.6))),
        roll_rad=float(rng.normal(0.0, 0.28 if region not in _ARMS else 0.8)) if region is not Region.BACK else 0.0,
        station=float(rng.uniform(0.12, 0.88)),
        length_mm=anatomy.length_mm * float(rng.uniform(0.9, 1.12)),
        radius_mm=(radius, radius * taper),
        breadth=anatomy.breadth * float(rng.uniform(0.88, 1.14)),
        outline=_waves(rng, (0.035, 0.03, 0.015)),
        fat_mm=(fat, fat * float(rng.uniform(0.5, 1.0))),
        fat_outline=_waves(rng, (0.16, 0.08, 0.05), first=1),
        skin_mm=float(rng.uniform(1.2, 2.4)),
        muscles=_muscles(anatomy.bellies, rng, fatty),
        shafts=tuple(_jittered_shaft(shaft, rng) for shaft in anatomy.shafts),
        cords=tuple(_moved_cord(cord, rng) for cord in anatomy.cords),
        warp_mm=float(rng.uniform(2.0, 6.5)),
        warp_scale_mm=float(rng.uniform(11.0, 22.0)),
        septum_mm=float(rng.uniform(0.2, 1.9)) * (1 + fatty),
        seed=int(rng.integers(2**31)),
    )


def _waves(rng: np.random.Generator, sizes: tuple[float, ...], first: int = 2) -> tuple[Wave, ...]:
    return tuple(
        Wave(
            order=order,
            amplitude=float(np.clip(rng.normal(0.0, size), -2 * size, 2 * size)),
            phase_rad=float(rng.uniform(0, 2 * np.pi)),
            turn_rad_per_mm=float(rng.normal(0.0, 0.003)),
        )
        for order, size in enumerate(sizes, start=first)
    )


def _shifter(rng: np.random.Generator, sd: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
    dx, dy = rng.normal(0.0, sd, 2).tolist()
    return lambda at: (at[0] + dx, at[1] + dy)


def _muscles(bellies: tuple[Belly, ...], rng: np.random.Generator, fatty: float) -> tuple[Muscle, ...]:
    out = []
    for belly in bellies:
        shift, swell = _shifter(rng, 0.045), float(rng.normal(0.0, 0.03))
        moved = belly._replace(
            upper=shift(belly.upper),
            lower=shift(belly.lower),
            radius=(belly.radius[0] + swell, belly.radius[1] + swell),
            stretch=belly.stretch * float(rng.uniform(0.85, 1.18)),
        )
        own = float(np.clip(fatty * np.exp(rng.normal(0.0, 0.5)), 0.0, 0.9))
        out.append(Muscle(belly=moved, offset_hu=float(rng.normal(0.0, 2.5)), fatty=own))
    return tuple(out)


def _jittered_shaft(shaft: Shaft, rng: np.random.Generator) -> Shaft:
    shift, size, thick = _shifter(rng, 0.015), float(rng.uniform(0.88, 1.12)), float(rng.uniform(0.75, 1.25))
    marrow = float(rng.normal(0.0, 30.0))
    return shaft._replace(
        upper=shift(shaft.upper),
        lower=shift(shaft.lower),
        radius_mm=(shaft.radius_mm[0] * size, shaft.radius_mm[1] * size),
        cortex_mm=(shaft.cortex_mm[0] * thick, shaft.cortex_mm[1] * thick),
        turn_rad=shaft.turn_rad + float(rng.normal(0.0, 0.06)),
        inside_hu=(max(-95.0, shaft.inside_hu[0] + marrow), max(-95.0, shaft.inside_hu[1] + marrow)),
    )


def _moved_cord(cord: Cord, rng: np.random.Generator) -> Cord:
    shift = _shifter(rng, 0.03)
    return cord._replace(
        upper=shift(cord.upper),
        lower=shift(cord.lower),
        radius_mm=cord.radius_mm * float(rng.uniform(0.8, 1.25)),
        sheath_mm=cord.sheath_mm * float(rng.uniform(0.7, 1.3)),
    )
