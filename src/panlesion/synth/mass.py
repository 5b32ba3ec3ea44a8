"""Soft-tissue masses beyond the 15 lesion types, for pretraining: sarcoma-like tumours of muscle and fat.

`draw_mass` draws a `MassPlan`, `render_mass` lays it into its host and draws nothing. There is no report: only image and mask.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.phase import Phase
from panlesion.ct.volume import Index3
from panlesion.errors import PlacementError
from panlesion.phantom.limb.render import Compartment
from panlesion.synth.blend import EDGE_SDS
from panlesion.synth.mass_body import Array, displaced, mass_box, mass_level, mass_matte, mass_matter, reach_mm
from panlesion.synth.mass_host import FOREIGN, MassHost
from panlesion.synth.mass_plan import Lobe, MassPlan, Stuff, Texture
from panlesion.synth.texture.noise import render_noise

# Longest extent, log-uniform in one of two ranges, the second drawn with LARGE_SHARE. Ours, about what series of extremity
# sarcomas report (median 8–10 cm; Brennan et al. 2014, Ann Surg 260:416), with more small and very large ones.
SMALL_MM, LARGE_MM, LARGE_SHARE = (20.0, 70.0), (60.0, 190.0), 0.8
DRAWS = 16
FEWEST_VOXELS = 12
# A mass that its surroundings cut to less than this share of its lobes' volume is drawn anew.
LEAST_SHARE = 0.4
HU_RANGE = (-1024, 3071)
_SHARES = {
    Texture.PLAIN: 0.46,
    Texture.NECROTIC: 0.16,
    Texture.MYXOID: 0.12,
    Texture.FATTY: 0.11,
    Texture.BLEEDING: 0.05,
    Texture.MIXED: 0.10,
}
# HU that living tumour gains; ours, below what muscle's vessels and above what muscle gains.
_ENHANCEMENT_HU = {
    Phase.NON_CONTRAST: (0.0, 0.0),
    Phase.ARTERIAL: (0.0, 30.0),
    Phase.PORTAL: (8.0, 50.0),
    Phase.DELAYED: (10.0, 55.0),
}


def draw_mass(host: MassHost, rng: np.random.Generator, *, diameter_mm: float | None = None) -> MassPlan:
    """Draw a mass with a place in the host; every random number is drawn here.

    Raises:
        ValueError: a diameter that is not positive.
        PlacementError: the host has no muscle or fat, or `DRAWS` draws found no room.
    """
    if diameter_mm is not None and diameter_mm <= 0:
        raise ValueError(f"diameter_mm is {diameter_mm}; it must be positive")
    drawn = float(np.exp(rng.uniform(*np.log(LARGE_MM if rng.random() < LARGE_SHARE else SMALL_MM))))
    wanted = drawn if diameter_mm is None else diameter_mm
    for attempt in range(DRAWS):
        # What two places had no room for is drawn somewhat smaller, unless the caller insists.
        less = 0.75 ** (attempt // 2) if diameter_mm is None else 1.0
        plan = _draw(host, rng, wanted * less)
        box = mass_box(plan, host, 0.0)
        if box.empty:
            continue
        level = mass_level(plan, host, box)
        voxels = np.count_nonzero(level < 0)
        full = sum(4.19 * float(np.prod(lobe.half_mm)) for lobe in plan.lobes[:1]) / (1000 * host.grid.voxel_ml)
        if voxels >= max(FEWEST_VOXELS, LEAST_SHARE * full):
            return plan
    raise PlacementError(f"no place for a mass of {wanted:.0f} mm in {DRAWS} draws; give a host with more muscle or fat")


def _draw(host: MassHost, rng: np.random.Generator, diameter_mm: float) -> MassPlan:
    stretch = float(np.exp(rng.uniform(0.0, np.log(1.9))))
    flat = float(rng.uniform(0.72, 1.0))
    half_mm = (diameter_mm / 2, diameter_mm / 2 / stretch, diameter_mm / 2 / stretch * flat)
    seat = _seat(host, rng, half_mm[1])
    # No mass is thicker than the limb it grows in; what it loses in thickness it does not gain in length.
    room = 0.5 * float(host.skin_mm.max()) + 0.4 * float(host.skin_mm[seat]) + 5.0
    half_mm = (half_mm[0], min(half_mm[1], room), min(half_mm[2], room))
    axis = np.array([rng.normal(0, 0.18), rng.normal(0, 0.18), 1.0])
    if rng.random() < 0.2 or stretch < 1.15:
        axis = rng.standard_normal(3)
    a, b, c = (axis / np.linalg.norm(axis)).tolist()
    x, y, z = host.grid.to_xyz(seat).tolist()
    main = Lobe(centre_xyz=(x, y, z), half_mm=half_mm, axis=(a, b, c))
    own = int(host.compartments[seat])
    infiltrating = rng.random() < 0.2
    bulging = not infiltrating and rng.random() < 0.5
    push = float(rng.uniform(0.0, 0.5) if infiltrating else rng.uniform(0.85, 0.98) if bulging else rng.uniform(0.6, 0.97))
    # What does not raise the skin leaves it and some fat; few masses have reached it.
    cover_mm = float(rng.uniform(2.0, 9.0)) if rng.random() < 0.9 else 0.0
    return MassPlan(
        diameter_mm=diameter_mm,
        lobes=(main, *_more_lobes(main, rng)),
        rough_mm=float(rng.uniform(0.02, 0.16)) * half_mm[2],
        rough_scale_mm=max(3.0, float(rng.uniform(0.22, 0.5)) * half_mm[2]),
        compartments=_allowed(host, seat, own, rng),
        confine_mm=float(rng.uniform(0.2, 1.1)) * half_mm[2] if rng.random() < 0.7 else 0.0,
        bone_gap_mm=float(rng.uniform(0.0, 2.5)),
        bulge_mm=float(rng.uniform(0.0, 0.16)) * half_mm[2] if bulging else -cover_mm,
        push=push,
        margin_mm=float(rng.uniform(1.5, 4.5)) * min(1.0, half_mm[2] / 15) if infiltrating or rng.random() < 0.15 else 0.3,
        halo_hu=float(rng.uniform(-18.0, -3.0)) if rng.random() < 0.25 else 0.0,
        halo_mm=float(rng.uniform(4.0, 14.0)),
        stuff=_draw_stuff(host.phase, half_mm[2], rng),
        seed=int(rng.integers(2**31)),
    )


def _seat(host: MassHost, rng: np.random.Generator, half_mm: float) -> Index3:
    """A voxel of muscle, rarely of fat, deep enough for the size where there is one."""
    kinds = host.compartments
    muscle = (kinds >= Compartment.MUSCLE) & (kinds != FOREIGN)
    pick = rng.random()
    fat = kinds == (Compartment.SUBCUTANEOUS_FAT if pick < 0.12 else Compartment.DEEP_FAT)
    wanted = fat if pick < 0.2 and fat.any() else muscle if muscle.any() else kinds == Compartment.DEEP_FAT
    candidates = np.flatnonzero(wanted)
    if not candidates.size:
        raise PlacementError("the host has no muscle or fat; give a host that shows some")
    # Most masses touch bone at most with their border; a fifth may sit anywhere and come to lie round it.
    beside_bone = 0.85 if rng.random() < 0.8 else 0.2
    deep = np.minimum(host.skin_mm.ravel()[candidates] / 0.5, host.hard_mm.ravel()[candidates] / beside_bone)
    enough = min(half_mm, float(np.quantile(deep, 0.85)))
    candidates = candidates[deep >= enough]
    spot = np.unravel_index(candidates[rng.integers(candidates.size, size=24)], kinds.shape)
    # The first of 24 that keeps off the box's faces, where a mass would be cut, is taken.
    margin = np.min([np.minimum(at, n - 1 - at) / n for at, n in zip(spot, kinds.shape, strict=True)], axis=0)
    best = int(np.argmax(margin > 0.15)) if (margin > 0.15).any() else int(np.argmax(margin))
    i, j, k = (int(at[best]) for at in spot)
    return (i, j, k)


def _more_lobes(main: Lobe, rng: np.random.Generator) -> tuple[Lobe, ...]:
    out = []
    for _ in range(int(rng.choice(4, p=(0.4, 0.3, 0.2, 0.1)))):
        direction = rng.standard_normal(3) + np.asarray(main.axis) * rng.choice((-1.2, 1.2))
        direction /= np.linalg.norm(direction)
        size = float(rng.uniform(0.4, 0.75))
        away = direction * main.half_mm[1] * float(rng.uniform(0.5, 0.95))
        x, y, z = (np.asarray(main.centre_xyz) + away).tolist()
        half = (main.half_mm[0] * size * 0.8, main.half_mm[1] * size, main.half_mm[2] * size)
        out.append(Lobe(centre_xyz=(x, y, z), half_mm=half, axis=main.axis))
    return tuple(out)


def _allowed(host: MassHost, seat: Index3, own: int, rng: np.random.Generator) -> tuple[int, ...]:
    """The seat's compartment, and sometimes one or two of its neighbours: masses cross fasciae late."""
    near = host.compartments[tuple(slice(max(0, at - 6), at + 7) for at in seat)]
    others = [int(v) for v in np.unique(near) if Compartment.MUSCLE <= v < FOREIGN and v != own]
    more = rng.permutation(others)[: int(rng.choice(3, p=(0.45, 0.35, 0.2)))].tolist() if others else []
    return (own, *(int(v) for v in more))


def _draw_stuff(phase: Phase, half_mm: float, rng: np.random.Generator) -> Stuff:
    texture = list(_SHARES)[int(rng.choice(len(_SHARES), p=list(_SHARES.values())))]
    gain = float(rng.uniform(*_ENHANCEMENT_HU[phase]))
    base = float(rng.uniform(22.0, 48.0)) + gain
    core, core_mm, island, share, septum = base, 1e3, base, 0.0, base
    if texture is Texture.NECROTIC:
        core, core_mm = float(rng.uniform(5.0, 20.0)), float(rng.uniform(0.15, 0.55)) * half_mm
    elif texture is Texture.MYXOID:
        base = float(rng.uniform(10.0, 25.0)) + 0.4 * gain
        core = base
        island, share, septum = (
            base + float(rng.uniform(-6, 12)),
            float(rng.uniform(0.0, 0.4)),
            base + float(rng.uniform(0, 14)),
        )
    elif texture is Texture.FATTY:
        lean = base
        base = float(rng.uniform(-105.0, -20.0))
        core, septum = base, float(rng.uniform(-40.0, 30.0))
        island, share = lean, float(rng.uniform(0.0, 0.75))
    elif texture is Texture.BLEEDING:
        island, share = float(rng.uniform(58.0, 82.0)), float(rng.uniform(0.15, 0.8))
    elif texture is Texture.MIXED:
        core, core_mm = float(rng.uniform(5.0, 25.0)), float(rng.uniform(0.2, 0.6)) * half_mm
        island, share = float(rng.uniform(-60.0, 65.0)), float(rng.uniform(0.05, 0.4))
    flecks = rng.random() < 0.13
    return Stuff(
        texture=texture,
        base_hu=base,
        core_hu=core,
        core_mm=core_mm,
        island_hu=island,
        island_share=share,
        septum_hu=septum,
        fleck_hu=float(rng.uniform(90.0, 700.0)) if flecks else base,
        fleck_share=float(rng.uniform(0.003, 0.05)) if flecks else 0.0,
        texture_sd_hu=float(rng.exponential(2.5)) if texture is not Texture.FATTY else float(rng.uniform(4.0, 16.0)),
        coarse_mm=max(4.0, float(rng.uniform(0.16, 0.4)) * half_mm),
        fine_mm=float(rng.uniform(2.4, 4.5)),
        seed=int(rng.integers(2**31)),
    )


def render_mass(plan: MassPlan, host: MassHost) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """The host's CT with the mass in it, HU int16, and the mask bool, both (I, J, K). Draws nothing."""
    hu, mask = host.hu.copy(), np.zeros(host.hu.shape, dtype=bool)
    box = mass_box(plan, host, reach_mm(plan, host))
    if box.empty:
        return hu, mask
    level = mass_level(plan, host, box)
    inside = level < 0
    if not inside.any():
        return hu, mask
    seen = host.hu[box.slices].astype(np.float32)
    psf = [s / v for s, v in zip(host.psf_mm, host.grid.spacing_mm, strict=True)]
    fresh: Array | None = None
    if host.grain is not None:
        seen -= host.grain[box.slices]
    elif host.noise is not None:
        fresh = render_noise(host.noise, box.shape, plan.seed)
    shown = displaced(plan, host, box, level, seen, fresh)
    sharp = mass_matte(level, plan.margin_mm, min(host.grid.spacing_mm))
    alpha = ndimage.gaussian_filter(sharp, psf, truncate=EDGE_SDS)
    sharp *= mass_matter(plan.stuff, level, host.grid.crop(box))
    out = shown * (1 - alpha) + ndimage.gaussian_filter(sharp, psf, truncate=EDGE_SDS)
    if host.grain is not None:
        out += host.grain[box.slices]
    elif fresh is not None:
        # Two independent noises mixed by weights lose variance; this weight keeps it constant across the margin.
        out += fresh * np.sqrt(np.maximum(1 - (1 - alpha) ** 2, 0))
    touched = (alpha > 1e-6) | (shown != seen)
    hu[box.slices][touched] = np.clip(np.rint(out[touched]), *HU_RANGE).astype(np.int16)
    mask[box.slices] = inside
    return hu, mask
