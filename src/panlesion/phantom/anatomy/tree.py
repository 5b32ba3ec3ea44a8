"""`grow`: a branching tree of vessels or airways that reaches a set of points inside an organ."""

import numpy as np
from numpy.typing import NDArray

from panlesion.phantom.anatomy.lattice import Array, Points
from panlesion.phantom.anatomy.solids import Coordinates


def scatter(field: Array, xyz: Coordinates, count: int, depth_mm: float, seed: int) -> Points:
    """Body points (≤ count, 3) inside a field, at least `depth_mm` under its surface."""
    rng = np.random.default_rng(seed)
    inside = np.flatnonzero(field < -depth_mm)
    if not inside.size:
        return np.zeros((0, 3))
    chosen = inside[(rng.random(count) * inside.size).astype(np.intp)]
    points: Points = np.stack([c.ravel()[chosen] for c in xyz], axis=1).astype(np.float64)
    return points


def grow(
    trunk: Points, targets: Points, root_radius_mm: float, tip_radius_mm: float, *, straight: float = 0.55
) -> tuple[Points, Points]:
    """Capsule ends (N, 2, 3) and radii (N, 2) of a tree that starts as the polyline `trunk` and reaches every target.

    Targets join the tree nearest first, at the node that costs least in new length plus `straight` times the way back to the
    root, which gives the fanning look of arteries and bronchi; halfway nodes bend each branch away from its parent's
    direction. Radii follow the flow: r³ adds up over a fork (Murray 1926), scaled to `root_radius_mm` at the root.
    """
    nodes = [np.asarray(p, dtype=np.float64) for p in trunk]
    parents = [n - 1 for n in range(len(nodes))]
    path = np.r_[0, np.cumsum(np.linalg.norm(np.diff(trunk, axis=0), axis=1))].tolist()
    order = np.argsort(np.linalg.norm(targets - trunk[-1], axis=1))
    for target in targets[order]:
        here = np.asarray(nodes)
        away = np.linalg.norm(here - target, axis=1)
        best = int(np.argmin(away + straight * np.asarray(path)))
        if away[best] < 2.0:
            continue
        start = nodes[best]
        onward = start - nodes[parents[best]] if parents[best] >= 0 else target - start
        onward = onward / max(float(np.linalg.norm(onward)), 1e-6)
        bend = (start + target) / 2 + 0.16 * away[best] * onward
        for point in (bend, target):
            path.append(path[best] + float(np.linalg.norm(point - nodes[best])))
            nodes.append(point)
            parents.append(best)
            best = len(nodes) - 1
    return _capsules(np.asarray(nodes), parents, root_radius_mm, tip_radius_mm)


def _capsules(nodes: Points, parents: list[int], root_radius_mm: float, tip_radius_mm: float) -> tuple[Points, Points]:
    flow = np.zeros(len(nodes))
    children: NDArray[np.intp] = np.bincount([p for p in parents if p >= 0], minlength=len(nodes))
    for n in range(len(nodes) - 1, -1, -1):
        if children[n] == 0:
            flow[n] += 1
        if parents[n] >= 0:
            flow[parents[n]] += flow[n]
    share = flow / max(flow[0], 1.0)
    power = np.log(tip_radius_mm / root_radius_mm) / np.log(max(1 / max(flow[0], 2.0), 1e-6))
    radius = root_radius_mm * share**power
    ends = np.array([[nodes[parents[n]], nodes[n]] for n in range(1, len(nodes))])
    radii = np.array([[min(radius[parents[n]], 1.35 * radius[n]), radius[n]] for n in range(1, len(nodes))])
    return ends.reshape(-1, 2, 3), radii.reshape(-1, 2)
