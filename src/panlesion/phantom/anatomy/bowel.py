"""Small bowel (55): loops that fill what is left of the peritoneal cavity, and the mesenteric vessels between them."""

from dataclasses import dataclass

import numpy as np

from panlesion.phantom.anatomy.lattice import OUTSIDE_MM, Array, Field, Lattice, Points
from panlesion.phantom.anatomy.solids import Coordinates, curve
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.anatomy.tree import grow
from panlesion.phantom.tissue import Tissue


@dataclass(frozen=True, kw_only=True)
class Bowel:
    """Calibre of the loops, fat between them, filling, and the seed of their course."""

    radius_mm: float
    gap_mm: float
    filling: float
    gas: float
    seed: int


def draw_bowel(rng: np.random.Generator, visceral: float) -> Bowel:
    """Loops 20 to 27 mm across (normal below 30), more fat between them in larger bellies (ours)."""
    return Bowel(
        radius_mm=float(rng.uniform(10.5, 13.5)),
        gap_mm=float(np.clip(rng.uniform(1.2, 2.6) + 7.0 * (visceral - 1), 1.0, 4.5)),
        filling=float(rng.uniform(0.3, 1.0)),
        gas=float(rng.beta(1.0, 7)),
        seed=int(rng.integers(2**31)),
    )


def build_bowel(stage: Stage, bowel: Bowel) -> None:
    """Small bowel loops with wall, fluid and a little gas; claims "bowel"."""
    corners = stage.body_points([(-126, -30, -240), (126, 112, 60)])
    lattice, xyz = stage.lattice(corners, 4.0)
    retro = np.minimum(
        np.minimum(stage.on("psoas_left", lattice), stage.on("psoas_right", lattice)),
        np.minimum(stage.on("kidney_left", lattice), stage.on("kidney_right", lattice)),
    )
    free = np.maximum(stage.on("abdomen", lattice) + 4.0, 1.6 - stage.taken(lattice))
    free = np.maximum(free, 4.0 - retro)
    y0 = np.float32(stage.body_points([(0, 20, -70)])[0][1])
    flank = np.abs(xyz[0]) * np.float32(0.3)
    free = np.maximum(free, y0 - flank - xyz[1] - np.clip((np.float32(-140.0) - xyz[2]) * 0.5, 0, 22))
    free = np.maximum(free, xyz[2] - np.float32(stage.body_points([(0, 0, 36)])[0][2])).astype(np.float32)
    chains = _course(free, xyz, bowel)
    values, along = _loops(stage, lattice, xyz, chains, bowel)
    values = np.maximum(values, free).astype(np.float32)
    field = stage.claim(Field(lattice=lattice, values=values), "bowel")
    canvas = stage.canvas
    canvas.paint(field, [(0.0, Tissue.GUT_WALL)], 55, over=(Tissue.FAT,))
    rng = np.random.default_rng(bowel.seed + 1)
    stations = rng.random(400)
    lumen = np.interp(along, np.arange(400) * 60.0, np.where(stations < bowel.filling, 2.6, 5.5)).astype(np.float32)
    canvas.paint(
        Field(lattice=lattice, values=values + lumen), [(0.0, Tissue.GUT_FLUID)], over=(Tissue.GUT_WALL,), within=[(field, 0.0)]
    )
    gassy = np.interp(along, np.arange(400) * 60.0, np.where(rng.random(400) < bowel.gas, 5.0, -5.0)).astype(np.float32)
    shallow = Field(lattice=lattice, values=np.maximum(values + 4.0, -gassy).astype(np.float32))
    canvas.paint(shallow, [(0.0, Tissue.GAS)], over=(Tissue.GUT_FLUID,))
    _mesentery(stage, chains)


def _course(free: Array, xyz: Coordinates, bowel: Bowel) -> list[Points]:
    """Chains of loop stations: an even scatter in the free space, walked from neighbour to neighbour."""
    rng = np.random.default_rng(bowel.seed)
    pitch = 2 * bowel.radius_mm + bowel.gap_mm
    inside = np.flatnonzero(free < -0.35 * bowel.radius_mm)
    if inside.size < 50:
        return []
    pick = rng.choice(inside, min(6000, inside.size), replace=False)
    cloud = np.stack([c.ravel()[pick] for c in xyz], axis=1).astype(np.float64)
    stations: list[Points] = []
    left = cloud
    here = cloud[np.argmax(cloud[:, 2] - cloud[:, 0] * 0.5)]
    while len(left):
        stations.append(here)
        left = left[np.linalg.norm(left - here, axis=1) > 0.86 * pitch]
        if len(left):
            away = np.linalg.norm(left - here, axis=1)
            here = left[int(np.argmin(away))]
    points = np.asarray(stations)
    return _walk(points, pitch, rng)


def _walk(points: Points, pitch: float, rng: np.random.Generator) -> list[Points]:
    chains: list[list[Points]] = []
    unused = np.ones(len(points), dtype=bool)
    while unused.any():
        n = int(np.flatnonzero(unused)[0])
        chain = [points[n]]
        unused[n] = False
        heading = rng.normal(size=3)
        while True:
            step = points - chain[-1]
            away = np.linalg.norm(step, axis=1)
            near = np.flatnonzero(unused & (away < 1.55 * pitch))
            if not near.size:
                break
            turn = step[near] @ heading / (away[near] * np.linalg.norm(heading) + 1e-6)
            n = int(near[np.argmin(away[near] / pitch - 0.35 * turn + 0.25 * rng.random(near.size))])
            heading = step[n]
            chain.append(points[n])
            unused[n] = False
        if len(chain) >= 3:
            chains.append(chain)
    return [np.asarray(c) for c in chains]


def _loops(stage: Stage, lattice: Lattice, xyz: Coordinates, chains: list[Points], bowel: Bowel) -> tuple[Array, Array]:
    """Tubes around the chains, flattened where they meet: distance to the nearest loop against that to the next one."""
    first = np.full(lattice.shape, OUTSIDE_MM, dtype=np.float32)
    second = first.copy()
    along = np.full(lattice.shape, -1e6, dtype=np.float32)
    apart = 3.2 * bowel.radius_mm
    reach = bowel.radius_mm + 8.0
    start = 0.0
    for chain in chains:
        tube = curve(chain, np.full(len(chain), bowel.radius_mm), 6.0)
        world = stage.frame.to_world(tube.points)
        for point, at, s in zip(world, tube.points, tube.along_mm + start, strict=True):
            window = lattice.window(point, reach)
            near, far, where = first[window], second[window], along[window]
            if not near.size:
                continue
            d = np.sqrt(sum((c[window] - np.float32(o)) ** 2 for c, o in zip(xyz, at, strict=True)))
            distinct = np.float32(s) - where > apart
            nearer = d < near
            np.copyto(far, np.where(nearer, near, np.minimum(far, d)), where=distinct)
            np.copyto(where, np.float32(s), where=nearer)
            np.minimum(near, d, out=near)
        start += float(tube.along_mm[-1]) + 200.0
    values = np.maximum(first - np.float32(bowel.radius_mm), (first - second + np.float32(bowel.gap_mm)) * np.float32(0.5))
    return values, np.maximum(along, 0)


def _mesentery(stage: Stage, chains: list[Points]) -> None:
    """Fine mesenteric arteries and veins from the root to the loops."""
    if not chains:
        return
    targets = np.concatenate(chains)[::3]
    root = stage.body_points([(8, 68, -64), (8, 72, -88)])
    for shift, tissue, r in (
        (np.array([3.0, 0, 0]), Tissue.PORTAL_BLOOD, 3.6),
        (np.array([-4.0, 0, 0]), Tissue.ARTERIAL_BLOOD, 2.4),
    ):
        ends, radii = grow(root + shift, targets + shift, r, 0.8, straight=0.3)
        stage.canvas.paint_capsules(stage.frame.to_world(ends), radii, tissue, over=(Tissue.FAT,))
