"""Hollow organs: wall, and a content that lies as it does in a patient on his back: gas in front, fluid and stool behind."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from panlesion.ct.volume import Box
from panlesion.phantom.field import smooth_field
from panlesion.phantom.from_map.filling import Filling
from panlesion.phantom.from_map.scene import Mask, Scene, layers, upsampled
from panlesion.phantom.tissue import Tissue

GALLBLADDER, STOMACH, OESOPHAGUS, TRACHEA, SMALL_BOWEL, DUODENUM, COLON, BLADDER = 4, 6, 42, 43, 55, 56, 57, 104


@dataclass(frozen=True, kw_only=True)
class _Wall:
    """Wall of one organ: tissue, thickness in mm, content behind it.

    Thickness: gallbladder below 3 mm, distended bladder 3 mm, stomach 3–5 mm, bowel 1–3 mm and colon 1–2 mm when distended
    (Fernandes et al. 2014, Insights Imaging 5:195: small bowel up to 3, colon 1 to 5 mm).
    """

    tissue: Tissue
    thickness_mm: float
    content: Tissue


_WALLS = {
    GALLBLADDER: _Wall(tissue=Tissue.GALLBLADDER_WALL, thickness_mm=1.5, content=Tissue.BILE),
    BLADDER: _Wall(tissue=Tissue.BLADDER_WALL, thickness_mm=3.0, content=Tissue.URINE),
    STOMACH: _Wall(tissue=Tissue.GUT_WALL, thickness_mm=4.0, content=Tissue.GUT_FLUID),
    DUODENUM: _Wall(tissue=Tissue.GUT_WALL, thickness_mm=2.5, content=Tissue.GUT_FLUID),
    COLON: _Wall(tissue=Tissue.GUT_WALL, thickness_mm=2.0, content=Tissue.STOOL),
    OESOPHAGUS: _Wall(tissue=Tissue.GUT_WALL, thickness_mm=4.0, content=Tissue.GAS),
    TRACHEA: _Wall(tissue=Tissue.AIRWAY_WALL, thickness_mm=1.0, content=Tissue.GAS),
}


def paint_hollow(scene: Scene, filling: Filling) -> None:
    """Paint walls and contents of all hollow organs of the map."""
    for label, wall in _WALLS.items():
        if label not in scene.boxes:
            continue
        box = scene.box({label}, 1.0)
        mask = scene.labels[box.slices] == label
        shell = layers(mask, wall.thickness_mm, scene.spacing_mm)
        lumen = mask & ~shell
        view = scene.tissues[box.slices]
        view[shell] = wall.tissue
        view[lumen] = wall.content
        _fill(scene, label, box, lumen, filling)
    if SMALL_BOWEL in scene.boxes:
        _paint_small_bowel(scene, filling)


def _fill(scene: Scene, label: int, box: Box, lumen: Mask, filling: Filling) -> None:
    view = scene.tissues[box.slices]
    if label == STOMACH:
        view[lumen & _above_level(lumen, filling.stomach_gas)] = Tissue.GAS
    elif label == DUODENUM:
        view[lumen & _above_level(lumen, filling.bowel_gas)] = Tissue.GAS
    elif label == COLON:
        _fill_colon(scene, box, lumen, filling)


def _above_level(lumen: Mask, share: float) -> Mask:
    """The front part of a lumen, above one horizontal level, that holds that share of it; (1, J, 1)."""
    per_j = np.cumsum(np.count_nonzero(lumen, axis=(0, 2)))
    level = int(np.searchsorted(per_j, share * per_j[-1])) if per_j[-1] else 0
    return (np.arange(lumen.shape[1]) < level)[None, :, None]


def _fill_colon(scene: Scene, box: Box, lumen: Mask, filling: Filling) -> None:
    """Gas in front of a level that changes slowly from loop to loop; behind it stool, in places fluid."""
    spacing_mm = scene.spacing_mm
    grid = scene.grid.crop(box)
    view = scene.tissues[box.slices]
    f = scene.factor
    small = lumen[::f, ::f, ::f].astype(np.float32)
    j = np.arange(small.shape[1], dtype=np.float32)[None, :, None] * scene.step_mm
    sigma = 10.0 / scene.step_mm
    mass = ndimage.gaussian_filter(small, sigma)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.where(mass > 1e-4, ndimage.gaussian_filter(small * j, sigma) / mass, j).astype(np.float32)
    where = np.nonzero(lumen)
    height_mm = where[1] * np.float32(spacing_mm) - upsampled(middle, f, lumen.shape)[where]
    region = smooth_field(grid, 22.0, filling.seed + 57)[where]
    lumps = smooth_field(grid, 3.0, filling.seed + 58)[where]
    level_mm = np.quantile(height_mm, filling.colon_gas) + 7.0 * region
    level_mm = level_mm + 1.2 * np.where(region > 0.3, 0.0, lumps)  # fluid lies flat, stool does not
    values = np.full(height_mm.shape, Tissue.STOOL, dtype=np.uint8)
    values[region > np.quantile(region, filling.colon_stool)] = Tissue.GUT_FLUID
    values[height_mm < level_mm] = Tissue.GAS
    view[where] = values


def _paint_small_bowel(scene: Scene, filling: Filling) -> None:
    """Loops inside the one mask that segmenters give for all of them: walls are the sheets where a field crosses zero."""
    box = scene.box({SMALL_BOWEL}, 1.0)
    mask = scene.labels[box.slices] == SMALL_BOWEL
    grid = scene.grid.crop(box)
    loops = smooth_field(grid, filling.loop_mm, filling.seed + 55)
    folds = smooth_field(grid, 2.2, filling.seed + 56)
    wall = layers(mask, 2.0, scene.spacing_mm) | (np.abs(loops) < 0.42 + 0.2 * folds)
    view = scene.tissues[box.slices]
    view[mask] = Tissue.GUT_FLUID
    view[mask & wall] = Tissue.GUT_WALL
    # Between some loops a little mesenteric fat.
    view[mask & (np.abs(loops) < 0.045) & (folds > 0.2)] = Tissue.FAT
    gas = mask & ~wall & (np.abs(loops) > 0.7)
    if filling.bowel_gas > 0:
        pockets = smooth_field(grid, 16.0, filling.seed + 59)
        front = np.linspace(1.0, -1.0, mask.shape[1], dtype=np.float32)[None, :, None]
        view[gas & (pockets + 0.8 * front > 2.6 - 12.0 * filling.bowel_gas)] = Tissue.GAS
