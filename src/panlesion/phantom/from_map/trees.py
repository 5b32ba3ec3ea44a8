"""Branching vessels grown into an organ's mask: portal and hepatic veins, lung vessels, the mesentery's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from panlesion.phantom.from_map.scene import Mask

Points = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tree:
    """Segments in mm from the first voxel: node (n, 3), its parent's index (n,), its radius (n,)."""

    nodes: Points
    parents: NDArray[np.intp]
    radii_mm: NDArray[np.float64]


def grow_tree(tips: Points, root: Points, *, step_mm: float, tip_radius_mm: float, root_radius_mm: float) -> Tree:
    """Grow a tree from `root` to every tip, nearest tips first, each joining where the tree is near and flows its way.

    A tip joins the node that makes the sum of its distance and a part of the way already gone smallest (Nekrasov's
    and Tamura's cost, as in constrained constructive growth); a branch curves into its parent. Radii follow Murray's law
    (r³ adds up at a fork: Murray 1926, PNAS 12:207), scaled to the root's radius.
    """
    order = np.argsort(np.linalg.norm(tips - root, axis=1))
    nodes = [root]
    parents = [-1]
    paths = [0.0]
    for tip in tips[order]:
        have = np.asarray(nodes)
        away = np.linalg.norm(have - tip, axis=1)
        joint = int(np.argmin(away + 0.35 * np.asarray(paths)))
        count = int(away[joint] // step_mm)
        start = have[joint]
        along = have[joint] - have[parents[joint]] if parents[joint] >= 0 else tip - start
        length = np.linalg.norm(along)
        bend = start + along / max(length, 1e-6) * away[joint] * 0.35
        last = joint
        for s in np.linspace(0, 1, count + 2)[1:]:
            point = (1 - s) ** 2 * start + 2 * s * (1 - s) * bend + s**2 * tip
            nodes.append(point)
            parents.append(last)
            paths.append(paths[last] + float(np.linalg.norm(point - nodes[last])))
            last = len(nodes) - 1
    parent = np.asarray(parents)
    flow = np.zeros(len(nodes))
    leaf = np.ones(len(nodes), dtype=bool)
    leaf[parent[1:]] = False
    flow[leaf] = tip_radius_mm**3
    for n in range(len(nodes) - 1, 0, -1):
        flow[parent[n]] += flow[n]
    radii = np.cbrt(flow)
    if radii[0] > tip_radius_mm:
        radii = tip_radius_mm + (radii - tip_radius_mm) * (root_radius_mm - tip_radius_mm) / (radii[0] - tip_radius_mm)
    return Tree(nodes=np.asarray(nodes), parents=parent, radii_mm=radii)


def tips_in(mask: Mask, count: int, spacing_mm: float, rng: np.random.Generator) -> Points:
    """Points spread over a mask, in mm from its first voxel: of many drawn, those that keep apart."""
    inside = np.flatnonzero(mask)
    drawn = np.sort(rng.choice(inside, size=min(len(inside), count * 8), replace=False))
    rng.shuffle(drawn)
    points: Points = np.stack(np.unravel_index(drawn, mask.shape), axis=1).astype(np.float64) * spacing_mm
    apart = 0.7 * float(np.cbrt(len(inside) * spacing_mm**3 / count))
    tree = cKDTree(points)
    kept = np.ones(len(points), dtype=bool)
    neighbours: list[list[int]] = list(tree.query_ball_point(points, apart))  # type: ignore[arg-type]
    for n, near in enumerate(neighbours):
        if kept[n]:
            kept[[m for m in near if m > n]] = False
    return points[kept][:count]


def render_tree(tree: Tree, shape: tuple[int, ...], spacing_mm: float) -> Mask:
    """Bool array of that shape: where the vessels are; a vessel thinner than a voxel still marks the voxels it meets."""
    out = np.zeros(shape, dtype=bool)
    for child in range(1, len(tree.nodes)):
        a, b = tree.nodes[tree.parents[child]], tree.nodes[child]
        radius = max(float(tree.radii_mm[child]), 0.45 * spacing_mm)
        low = np.maximum(np.floor((np.minimum(a, b) - radius) / spacing_mm).astype(int), 0)
        high = np.minimum(np.ceil((np.maximum(a, b) + radius) / spacing_mm).astype(int) + 1, shape)
        if (high <= low).any():
            continue
        i, j, k = (np.arange(lo, hi) * spacing_mm for lo, hi in zip(low, high, strict=True))
        d = b - a
        square = max(float(d @ d), 1e-9)
        x, y, z = i[:, None, None] - a[0], j[None, :, None] - a[1], k[None, None, :] - a[2]
        t = np.clip((x * d[0] + y * d[1] + z * d[2]) / square, 0, 1)
        near = (x - t * d[0]) ** 2 + (y - t * d[1]) ** 2 + (z - t * d[2]) ** 2 <= radius**2
        out[low[0] : high[0], low[1] : high[1], low[2] : high[2]] |= near
    return out
