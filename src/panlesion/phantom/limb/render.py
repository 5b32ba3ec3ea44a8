"""`render_limb`: the drawn limb on a grid, as ideal HU, compartments and organ labels. Draws nothing.

Everything is a distance in mm with partial volume at its surface, so walls and septa thinner than a voxel keep their share.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import V1_LABELS
from panlesion.ct.volume import Grid, Index3
from panlesion.phantom.field import smooth_field
from panlesion.phantom.limb.draw import Limb, Segment, Wave
from panlesion.phantom.limb.region import ANATOMY, MEDIASTINUM, Cord, Shaft
from panlesion.phantom.paint import Paint
from panlesion.phantom.tissue import Tissue

Array = NDArray[np.float32]


class Compartment(IntEnum):
    """Class of each voxel.

    Muscles are `MUSCLE` + 40 · segment + their index in it; skin and fat of all but the first segment are `NEIGHBOURS_FAT`.
    """

    AIR = 0
    SKIN = 1
    SUBCUTANEOUS_FAT = 2
    DEEP_FAT = 3
    CORD = 4
    CORTEX = 5
    MARROW = 6
    LUNG = 7
    VISCERA = 8
    NEIGHBOURS_FAT = 9
    MUSCLE = 10


MUSCLES_OF_A_SEGMENT = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """Ideal HU float32, compartments uint8 (see `Compartment`) and v1 organ labels uint8, all (I, J, K)."""

    ideal_hu: Array
    compartments: NDArray[np.uint8]
    organs: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    """Where each voxel of a segment lies: station along it, depths below skin and fascia in mm, share of the radius."""

    station: Array
    below_skin_mm: Array
    below_fascia_mm: Array
    lateral: Array
    posterior: Array
    radius_mm: Array


def render_limb(limb: Limb, grid: Grid) -> Drawn:
    """The limb on an isotropic L,P,S grid whose middle is the limb's origin."""
    hu = np.full(grid.shape, limb.paint.hu[Tissue.AIR], dtype=np.float32)
    compartments = np.zeros(grid.shape, dtype=np.uint8)
    organs = np.zeros(grid.shape, dtype=np.uint8)
    deepest = np.zeros(grid.shape, dtype=np.float32)
    streaky = _along_axis(grid, limb.segments[0].seed)
    vox = np.float32(grid.spacing_mm[0])
    for number, segment in enumerate(limb.segments):
        frame = _frame(segment, grid)
        # Two limbs that touch share the space by depth, each keeping its skin.
        depth = frame.below_skin_mm + vox / 2
        mine = np.flatnonzero((depth > deepest).ravel())
        if not mine.size:
            continue
        deepest = np.maximum(deepest, depth)
        part = _Frame(**{name: getattr(frame, name).ravel()[mine] for name in frame.__dataclass_fields__})
        shown, kind, organ = _tissues(segment, part, limb.paint, streaky.ravel()[mine], vox, number)
        if number > 0:
            kind[kind <= Compartment.DEEP_FAT] = Compartment.NEIGHBOURS_FAT
        cover = np.clip(part.below_skin_mm / vox + np.float32(0.5), 0, 1)
        before = hu.ravel()[mine]
        hu.ravel()[mine] = before + cover * (shown - before)
        inside = cover >= 0.5
        compartments.ravel()[mine[inside]] = kind[inside]
        organs.ravel()[mine[inside]] = organ[inside]
    return Drawn(ideal_hu=hu, compartments=compartments, organs=organs)


def _along_axis(grid: Grid, seed: int) -> Array:
    """A field drawn out threefold along k, as the fat between fibres is; (I, J, K)."""
    ni, nj, nk = grid.shape
    short: Index3 = (ni, nj, nk // 3 + 2)
    field = smooth_field(Grid(shape=short, affine=grid.affine), 3.2, seed)
    at = np.arange(nk) / 3.0
    low = at.astype(np.intp)
    share = (at - low).astype(np.float32)
    return field[:, :, low] * (1 - share) + field[:, :, low + 1] * share


def _ends(values: tuple[float, float], station: Array) -> Array:
    return np.float32(values[0]) + np.float32(values[1] - values[0]) * station


def _swell(waves: tuple[Wave, ...], angle: Array, z: Array) -> Array:
    total = np.ones(angle.shape, dtype=np.float32)
    for wave in waves:
        phase = np.float32(wave.phase_rad) + np.float32(wave.turn_rad_per_mm) * z
        total += np.float32(wave.amplitude) * np.cos(np.float32(wave.order) * angle + phase)
    return total


def _frame(segment: Segment, grid: Grid) -> _Frame:
    spacing = grid.spacing_mm[0]
    ax, ay, az = ((np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(spacing) for n in grid.shape)
    z = az[None, None, :].astype(np.float32)
    x = ax[:, None, None] - np.float32(segment.axis_mm[0]) - np.float32(segment.slope[0]) * z
    y = ay[None, :, None] - np.float32(segment.axis_mm[1]) - np.float32(segment.slope[1]) * z
    x = x * np.float32(segment.side)
    c, s = np.float32(np.cos(segment.roll_rad)), np.float32(np.sin(segment.roll_rad))
    u, v = x * c + y * s, y * c - x * s
    station = np.clip(np.float32(segment.station) - z / np.float32(segment.length_mm), -0.25, 1.25)
    r = np.sqrt(u * u + v * v) + np.float32(1e-3)
    angle = np.arctan2(v, u)
    b = np.float32(np.sqrt(segment.breadth))
    round_mm = _ends(segment.radius_mm, station) * r / np.sqrt((u / b) ** 2 + (v * b) ** 2)
    radius = round_mm * _swell(segment.outline, angle, z)
    fat = np.maximum(_ends(segment.fat_mm, station) * _swell(segment.fat_outline, angle, z), 1.5)
    return _Frame(
        station=np.broadcast_to(station, grid.shape),
        below_skin_mm=(radius + fat + np.float32(segment.skin_mm) - r).astype(np.float32, copy=False),
        below_fascia_mm=(radius - r).astype(np.float32, copy=False),
        lateral=(u / radius).astype(np.float32, copy=False),
        posterior=(v / radius).astype(np.float32, copy=False),
        radius_mm=radius.astype(np.float32, copy=False),
    )


def _tissues(
    segment: Segment, frame: _Frame, paint: Paint, streaky: Array, vox: np.float32, number: int
) -> tuple[Array, NDArray[np.uint8], NDArray[np.uint8]]:
    """HU, compartment and organ of a segment's voxels, all (N,)."""
    fat_hu, skin_hu = np.float32(paint.hu[Tissue.FAT]), np.float32(paint.hu[Tissue.SKIN])
    # Thin septa of fat lobules: the field's zero set.
    strands = np.maximum(0.0, 1.0 - np.abs(streaky) * np.float32(4.5))
    hu = fat_hu + np.float32(22.0) * strands
    kind = np.where(frame.below_fascia_mm > 0, Compartment.DEEP_FAT, Compartment.SUBCUTANEOUS_FAT).astype(np.uint8)
    organ = np.zeros(hu.shape, dtype=np.uint8)
    skin = np.clip((np.float32(segment.skin_mm) - frame.below_skin_mm) / vox + np.float32(0.5), 0, 1)
    hu += skin * (skin_hu - hu)
    # Thinner than a voxel, the skin still is its outermost one.
    kind[frame.below_skin_mm < max(np.float32(segment.skin_mm), vox)] = Compartment.SKIN
    deep = np.flatnonzero(frame.below_fascia_mm > -vox)
    _lay_muscles(segment, frame, deep, paint, streaky, vox, number, hu, kind, organ)
    for lung in ANATOMY[segment.region].lungs:
        _lay_lung(lung, frame, paint, hu, kind)
    for cord in segment.cords:
        _lay_cord(cord, frame, paint, vox, hu, kind)
    for shaft in segment.shafts:
        _lay_shaft(shaft, segment, frame, paint, vox, hu, kind, organ)
    return hu, kind, organ


def _lay_muscles(
    segment: Segment,
    frame: _Frame,
    deep: NDArray[np.intp],
    paint: Paint,
    streaky: Array,
    vox: np.float32,
    number: int,
    hu: Array,
    kind: NDArray[np.uint8],
    organ: NDArray[np.uint8],
) -> None:
    """Muscles share the space below the fascia by distance less radius (additively weighted Voronoi cells), fat between."""
    station, radius = frame.station[deep], frame.radius_mm[deep]
    wave_u, wave_v = _warp(segment, frame, deep)
    u, v = frame.lateral[deep] + wave_u / radius, frame.posterior[deep] + wave_v / radius
    first = np.full(deep.shape, np.float32(9.0))
    second, which = first.copy(), np.zeros(deep.shape, dtype=np.intp)
    for index, muscle in enumerate(segment.muscles):
        belly = muscle.belly
        away_u = u - _ends((belly.upper[0], belly.lower[0]), station)
        away_v = v - _ends((belly.upper[1], belly.lower[1]), station)
        # Stretched along the circumference: across the direction from the axis to the belly's middle.
        angle = np.arctan2(belly.upper[1] + belly.lower[1], belly.upper[0] + belly.lower[0])
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        root = np.float32(np.sqrt(belly.stretch))
        out, along = (away_u * c + away_v * s) * root, (away_v * c - away_u * s) / root
        distance = np.sqrt(out * out + along * along) - _ends(belly.radius, station)
        nearer = distance < first
        second = np.where(nearer, first, np.minimum(second, distance))
        which[nearer] = index
        first = np.minimum(first, distance)
    # A septum's thickness wanders along it.
    half = np.float32(segment.septum_mm / 2) * (1 + np.float32(0.15) * (wave_u + wave_v))
    between = (second - first) * radius / 2 - np.maximum(half, 0.1)
    rim = np.minimum((np.float32(ANATOMY[segment.region].fill) - first) * radius, frame.below_fascia_mm[deep] - np.float32(0.3))
    cover = np.clip(np.minimum(between, rim) / vox + np.float32(0.5), 0, 1)
    offset = np.array([m.offset_hu for m in segment.muscles], dtype=np.float32)[which]
    fatty = np.array([m.fatty for m in segment.muscles], dtype=np.float32)[which]
    marbled = np.clip(streaky[deep] - np.float32(0.6), 0, 1.5)
    fat_share = np.clip(fatty * (np.float32(0.75) * marbled + np.float32(0.10)), 0, 0.85)
    lean = np.float32(paint.hu[Tissue.MUSCLE]) + offset + np.float32(2.0) * streaky[deep]
    shown = lean + fat_share * (np.float32(paint.hu[Tissue.FAT]) - lean)
    hu[deep] += cover * (shown - hu[deep])
    # Where muscles meet without a voxel of fat between them, the border belongs to the nearer one.
    solid = (cover >= 0.5) | ((between > -vox) & (rim > 0))
    kind[deep[solid]] = Compartment.MUSCLE + MUSCLES_OF_A_SEGMENT * number + which[solid]
    viscera = np.array([m.belly.name == MEDIASTINUM for m in segment.muscles])
    kind[deep[solid & viscera[which]]] = Compartment.VISCERA
    labels = np.array([_label(m.belly.organ, segment) for m in segment.muscles], dtype=np.uint8)
    organ[deep[solid]] = labels[which[solid]]


def _warp(segment: Segment, frame: _Frame, deep: NDArray[np.intp]) -> tuple[Array, Array]:
    """Two smooth displacements in mm (N,), of plane waves in the segment's own coordinates."""
    rng = np.random.default_rng(segment.seed)
    scale = segment.warp_scale_mm
    across, behind = frame.lateral[deep] * frame.radius_mm[deep], frame.posterior[deep] * frame.radius_mm[deep]
    along = frame.station[deep] * np.float32(segment.length_mm / 3.0)
    out = []
    for _ in range(2):
        total = np.zeros(deep.shape, dtype=np.float32)
        for _wave in range(5):
            a, b, c = (rng.standard_normal(3) / scale).astype(np.float32)
            total += np.cos(a * across + b * behind + c * along + np.float32(rng.uniform(0, 2 * np.pi)))
        out.append(total * np.float32(segment.warp_mm * np.sqrt(2.0 / 5.0)))
    return out[0], out[1]


def _lay_lung(lung: tuple[float, float, float, float], frame: _Frame, paint: Paint, hu: Array, kind: NDArray[np.uint8]) -> None:
    u, v, across, behind = lung
    inside = ((frame.lateral - u) / across) ** 2 + ((frame.posterior - v) / behind) ** 2 < 1
    hu[inside] = paint.hu[Tissue.LUNG]
    kind[inside] = Compartment.LUNG


def _lay_cord(cord: Cord, frame: _Frame, paint: Paint, vox: np.float32, hu: Array, kind: NDArray[np.uint8]) -> None:
    content = {
        "artery": paint.hu[Tissue.ARTERIAL_BLOOD],
        "vein": paint.hu[Tissue.SYSTEMIC_VENOUS_BLOOD],
        "nerve": paint.hu[Tissue.CONNECTIVE] - 22.0,
    }
    u = (frame.lateral - _ends((cord.upper[0], cord.lower[0]), frame.station)) * frame.radius_mm
    v = (frame.posterior - _ends((cord.upper[1], cord.lower[1]), frame.station)) * frame.radius_mm
    near = np.flatnonzero(u * u + v * v < (max(cord.radius_mm, cord.sheath_mm) + 2 * vox) ** 2)
    near = near[frame.below_skin_mm[near] > vox]
    r = np.hypot(u[near], v[near])
    for radius_mm, to in ((cord.sheath_mm, paint.hu[Tissue.FAT]), (cord.radius_mm, content[cord.content])):
        if radius_mm <= 0:
            continue
        cover = np.clip((np.float32(radius_mm) - r) / vox + np.float32(0.5), 0, 1)
        hu[near] += cover * (np.float32(to) - hu[near])
        kind[near[cover > 0.5]] = Compartment.CORD if radius_mm == cord.radius_mm else Compartment.DEEP_FAT


def _lay_shaft(
    shaft: Shaft,
    segment: Segment,
    frame: _Frame,
    paint: Paint,
    vox: np.float32,
    hu: Array,
    kind: NDArray[np.uint8],
    organ: NDArray[np.uint8],
) -> None:
    u = (frame.lateral - _ends((shaft.upper[0], shaft.lower[0]), frame.station)) * frame.radius_mm
    v = (frame.posterior - _ends((shaft.upper[1], shaft.lower[1]), frame.station)) * frame.radius_mm
    widest = (max(shaft.radius_mm) * np.sqrt(max(shaft.stretch, 1 / shaft.stretch)) * 1.5 + 2 * vox) ** 2
    near = np.flatnonzero(u * u + v * v < widest)
    if not near.size:
        return
    c, s = np.float32(np.cos(shaft.turn_rad)), np.float32(np.sin(shaft.turn_rad))
    across, behind = u[near] * c + v[near] * s, v[near] * c - u[near] * s
    root = np.float32(np.sqrt(shaft.stretch))
    r = np.hypot(across / root, behind * root)
    station = frame.station[near]
    angle = np.arctan2(behind, across)
    inside_ends = np.clip(station, shaft.reach[0], shaft.reach[1])
    low, high = max(shaft.reach[0], 0.0), min(shaft.reach[1], 1.0)
    along = np.clip((inside_ends - low) / (high - low), 0, 1)
    # Flares towards an end as a bell, not as a cone.
    flare = along**3 if shaft.radius_mm[1] > shaft.radius_mm[0] else 1 - (1 - along) ** 3
    radius = _ends(shaft.radius_mm, flare) * (1 + np.float32(shaft.triangle) * np.cos(3 * angle + np.float32(np.pi / 2)))
    beyond = np.abs(station - inside_ends) * np.float32(segment.length_mm)
    # The end is rounded: beyond it the section shrinks as a flat cap's does.
    depth = radius - np.hypot(r, np.float32(2.0) * beyond)
    if shaft.reach[1] < 2 or shaft.reach[0] > -2:
        to_end = np.minimum(station - shaft.reach[0], shaft.reach[1] - station) * np.float32(segment.length_mm)
        depth = np.minimum(depth, np.maximum(to_end + np.float32(2.0), np.float32(-9.0)))
    # Bone keeps under the skin: what a taper or a wave of the outline would bare is pressed in.
    depth = np.minimum(depth, frame.below_skin_mm[near] - np.float32(segment.skin_mm + 1.5))
    cover = np.clip(depth / vox + np.float32(0.5), 0, 1)
    core = np.clip((depth - _ends(shaft.cortex_mm, along)) / vox + np.float32(0.5), 0, 1)
    bone = hu[near] + cover * (np.float32(paint.hu[Tissue.CORTICAL_BONE]) - hu[near])
    hu[near] = bone + core * (_ends(shaft.inside_hu, along) - bone)
    solid = cover >= 0.5
    # Thinner than a voxel, the cortex still is the bone's outermost one.
    within = depth > np.maximum(_ends(shaft.cortex_mm, along), vox)
    kind[near[solid]] = np.where(within[solid], Compartment.MARROW, Compartment.CORTEX)
    organ[near[solid]] = _label(shaft.organ, segment)


def _label(organ: str, segment: Segment) -> int:
    """The v1 label of a structure named without its side; 0 for one that v1 does not know. "rib_3" is "rib_left_3"."""
    if not organ:
        return 0
    if organ in V1_LABELS:
        return V1_LABELS[organ]
    side = "left" if segment.side > 0 else "right"
    if organ.startswith("rib_"):
        return V1_LABELS[organ.replace("rib_", f"rib_{side}_")]
    return V1_LABELS[f"{organ}_{side}"]
