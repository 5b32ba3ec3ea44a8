"""Vessels no map holds: inside liver and lungs, to the kidneys and through the mesentery; and the organ below the bladder."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from panlesion.ct.volume import Index3
from panlesion.phantom.from_map.filling import Filling
from panlesion.phantom.from_map.outline import Outline
from panlesion.phantom.from_map.scene import Mask, Scene
from panlesion.phantom.from_map.trees import Tree, grow_tree, render_tree, tips_in
from panlesion.phantom.tissue import Tissue

_LIVER, _CAVA, _PORTAL, _AORTA, _BOWEL, _BLADDER = 5, 8, 9, 7, 55, 104
_LUNGS = ((13, 14), (15, 16, 17))
_LUNG_ML_PER_TIP = 4.0
Point = NDArray[np.float64]


def paint_vessels(scene: Scene, outline: Outline, filling: Filling) -> None:
    """Grow and paint all trees the map has room for."""
    rng = np.random.default_rng(filling.seed + 100)
    _paint_liver(scene, rng)
    for labels in _LUNGS:
        _paint_lung(scene, frozenset(labels), rng)
    _paint_renal(scene)
    _paint_mesentery(scene, outline, rng)
    if _BLADDER in scene.boxes:
        _paint_below_bladder(scene, filling)


def _points(scene: Scene, label: int) -> Point:
    """Coarse points of a label in mm from the first voxel, (n, 3)."""
    f = scene.factor
    box = scene.boxes[label]
    found = np.argwhere(scene.labels[box.slices][::f, ::f, ::f] == label) * f + box.start
    return found.astype(np.float64) * scene.spacing_mm


def _nearest_pair(a: Point, b: Point) -> tuple[Point, Point, float]:
    found = cKDTree(b).query(a)
    distance, at = np.asarray(found[0]), np.asarray(found[1])
    n = int(distance.argmin())
    return a[n], b[at[n]], float(distance[n])


def _paint_tree(scene: Scene, tree: Tree, where: Mask, tissue: Tissue, start: Index3, shape: Index3) -> None:
    part = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    scene.tissues[part][render_tree(tree, shape, scene.spacing_mm) & where] = tissue


def _paint_liver(scene: Scene, rng: np.random.Generator) -> None:
    if _LIVER not in scene.boxes:
        return
    box = scene.boxes[_LIVER]
    mask = scene.labels[box.slices] == _LIVER
    corner = np.asarray(box.start) * scene.spacing_mm
    liver = _points(scene, _LIVER)
    count = int(np.clip(mask.sum() * scene.grid.voxel_ml / 9.0, 8, 150))
    for label, tissue, share, root_mm in (
        (_CAVA, Tissue.SYSTEMIC_VENOUS_BLOOD, 0.5, 5.0),
        (_PORTAL, Tissue.PORTAL_BLOOD, 1.0, 6.5),
    ):
        if label not in scene.boxes:
            continue
        vessel = _points(scene, label)
        if label == _CAVA:  # the hepatic veins join the cava at its top
            vessel = vessel[vessel[:, 2] >= vessel[:, 2].max() - 12.0]
        root, _, gap_mm = _nearest_pair(liver, vessel)
        if gap_mm > 30.0:
            continue
        tips = tips_in(mask, max(6, int(count * share)), scene.spacing_mm, rng)
        tree = grow_tree(tips, root - corner, step_mm=5.0, tip_radius_mm=1.1, root_radius_mm=root_mm)
        _paint_tree(scene, tree, mask, tissue, box.start, box.shape)


def _paint_lung(scene: Scene, labels: frozenset[int], rng: np.random.Generator) -> None:
    present = labels & frozenset(scene.boxes)
    if not present:
        return
    box = scene.box(present, 0.0)
    table = np.zeros(256, dtype=bool)
    table[list(present)] = True
    mask = table[scene.labels[box.slices]]
    points = np.argwhere(mask[:: scene.factor, :: scene.factor, :: scene.factor]) * scene.step_mm
    middle = scene.labels.shape[0] * scene.spacing_mm / 2 - box.start[0] * scene.spacing_mm
    # The hilum: the innermost point at the lung's mean depth, a little above its mean height.
    target = np.array([middle, points[:, 1].mean(), np.quantile(points[:, 2], 0.6)])
    root = points[np.linalg.norm((points - target) * [1.0, 1.5, 1.5], axis=1).argmin()]
    count = int(np.clip(mask.sum() * scene.grid.voxel_ml / _LUNG_ML_PER_TIP, 10, 450))
    tips = tips_in(mask, count, scene.spacing_mm, rng)
    whole = min(1.0, mask.sum() * scene.grid.voxel_ml / 1200.0)
    tree = grow_tree(tips, root, step_mm=5.0, tip_radius_mm=0.5, root_radius_mm=2.0 + 5.0 * whole)
    _paint_tree(scene, tree, mask, Tissue.PULMONARY_BLOOD, box.start, box.shape)


def _tube(scene: Scene, path: Point, radius_mm: float, tissue: Tissue) -> None:
    """A curved vessel along control points (a quadratic through three), free voxels only."""
    a, b, c = path
    t = np.linspace(0, 1, 16)[:, None]
    nodes = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    low = np.maximum(np.floor((nodes.min(axis=0) - radius_mm) / scene.spacing_mm).astype(int), 0)
    high = np.minimum(np.ceil((nodes.max(axis=0) + radius_mm) / scene.spacing_mm).astype(int) + 1, scene.labels.shape)
    shape = tuple(int(n) for n in high - low)
    tree = Tree(nodes=nodes - low * scene.spacing_mm, parents=np.arange(-1, 15), radii_mm=np.full(16, radius_mm))
    part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    where = render_tree(tree, shape, scene.spacing_mm) & scene.free[part]
    view = scene.tissues[part]
    view[where & (view == Tissue.FAT)] = tissue


def _paint_renal(scene: Scene) -> None:
    for kidney in (2, 3):
        for label, radius_mm, tissue in ((_CAVA, 4.0, Tissue.SYSTEMIC_VENOUS_BLOOD), (_AORTA, 2.5, Tissue.ARTERIAL_BLOOD)):
            if kidney not in scene.boxes or label not in scene.boxes:
                continue
            organ, vessel = _points(scene, kidney), _points(scene, label)
            hilum = organ.mean(axis=0)
            if not organ[:, 2].min() + 20 < hilum[2] or vessel[:, 2].max() < hilum[2] - 20:
                continue
            ends = vessel[np.abs(vessel[:, 2] - hilum[2]) < 25.0]
            if not len(ends):
                continue
            centre = ends.mean(axis=0)
            # The left renal vein passes in front of the aorta, the right renal artery behind the cava.
            bow = np.array([0.0, {_CAVA: -22.0 if kidney == 3 else -4.0, _AORTA: 10.0 if kidney == 2 else -2.0}[label], 4.0])
            _tube(scene, np.stack([hilum, (hilum + centre) / 2 + bow, centre]), radius_mm, tissue)


def _paint_mesentery(scene: Scene, outline: Outline, rng: np.random.Generator) -> None:
    """Pairs of an artery and a vein from in front of the aorta to the loops of small bowel, through free fat."""
    if _BOWEL not in scene.boxes or _AORTA not in scene.boxes:
        return
    bowel, aorta = _points(scene, _BOWEL), _points(scene, _AORTA)
    near = (scene.distance_mm({_BOWEL, 57}) < 14.0) & (scene.coarse == 0) & (outline.cavity_mm > 6.0)
    if near.sum() < 50:
        return
    tips = tips_in(near, 260, scene.step_mm, rng) + rng.uniform(0, scene.step_mm, 3)
    level = np.clip(np.quantile(bowel[:, 2], 0.85), aorta[:, 2].min(), aorta[:, 2].max())
    stem = aorta[np.abs(aorta[:, 2] - level) <= 8.0].mean(axis=0)
    everywhere = scene.free & (scene.tissues == Tissue.FAT)
    for root_shift, radius_mm, tip_mm, tissue in (
        ((-7.0, -26.0, -6.0), 5.0, 1.2, Tissue.PORTAL_BLOOD),
        ((2.0, -24.0, -6.0), 3.5, 0.8, Tissue.ARTERIAL_BLOOD),
    ):
        shift = np.array(root_shift)
        offset = rng.normal(0, 2.0, tips.shape)
        tree = grow_tree(tips + offset, stem + shift, step_mm=6.0, tip_radius_mm=tip_mm, root_radius_mm=radius_mm)
        _paint_tree(scene, tree, everywhere, tissue, (0, 0, 0), scene.labels.shape)


def _paint_below_bladder(scene: Scene, filling: Filling) -> None:
    """Prostate and seminal vesicles, or uterus: ellipsoids beside the bladder, free voxels only."""
    bladder = _points(scene, _BLADDER)
    centre = bladder.mean(axis=0)
    bottom = bladder[bladder[:, 2] <= np.quantile(bladder[:, 2], 0.08)].mean(axis=0)
    back = bladder[bladder[:, 1] >= np.quantile(bladder[:, 1], 0.97)].mean(axis=0)
    if filling.male:
        parts = [(bottom + np.array([0, 6, -14]), (23, 16, 17)), ((bottom + back) / 2 + np.array([0, 12, 6]), (30, 7, 9))]
    else:
        parts = [
            (np.array([centre[0], back[1] + 14, centre[2] + 18]), (24, 17, 28)),
            (bottom + np.array([0, 20, 0]), (14, 9, 20)),
        ]
    for middle, radii_mm in parts:
        low = np.maximum(np.floor((np.asarray(middle) - radii_mm) / scene.spacing_mm).astype(int), 0)
        high = np.minimum(np.ceil((np.asarray(middle) + radii_mm) / scene.spacing_mm).astype(int) + 1, scene.labels.shape)
        if (high <= low).any():
            continue
        part = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        i, j, k = (np.arange(a, b) * scene.spacing_mm for a, b in zip(low, high, strict=True))
        offset = [x - m for x, m in zip((i[:, None, None], j[None, :, None], k[None, None, :]), middle, strict=True)]
        inside = sum((x / r) ** 2 for x, r in zip(offset, radii_mm, strict=True)) < 1
        view = scene.tissues[part]
        view[inside & scene.free[part] & (view != Tissue.AIR) & (view != Tissue.SKIN)] = Tissue.PROSTATE_UTERUS
