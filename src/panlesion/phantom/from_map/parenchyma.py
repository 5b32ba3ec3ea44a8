"""Organs of one tissue, blood by vessel, and the kidneys' cortex, medulla and sinus."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from scipy import ndimage

from panlesion.ct.organs import LUNG_LABELS, MUSCLE_LABELS
from panlesion.phantom.field import smooth_field
from panlesion.phantom.from_map.filling import Filling
from panlesion.phantom.from_map.scene import Mask, Scene, layers
from panlesion.phantom.tissue import Tissue

_TISSUE_OF: Mapping[int, Tissue] = MappingProxyType(
    {
        1: Tissue.SPLEEN,
        5: Tissue.LIVER,
        7: Tissue.ARTERIAL_BLOOD,
        8: Tissue.SYSTEMIC_VENOUS_BLOOD,
        9: Tissue.PORTAL_BLOOD,
        10: Tissue.PANCREAS,
        11: Tissue.ADRENAL,
        12: Tissue.ADRENAL,
        **dict.fromkeys(LUNG_LABELS, Tissue.LUNG),
        44: Tissue.MYOCARDIUM,
        45: Tissue.ARTERIAL_BLOOD,
        46: Tissue.ARTERIAL_BLOOD,
        47: Tissue.HEART_BLOOD,
        48: Tissue.HEART_BLOOD,
        49: Tissue.PULMONARY_BLOOD,
        50: Tissue.SPINAL_CANAL,
        51: Tissue.ARTERIAL_BLOOD,
        52: Tissue.ARTERIAL_BLOOD,
        53: Tissue.SYSTEMIC_VENOUS_BLOOD,
        54: Tissue.SYSTEMIC_VENOUS_BLOOD,
        93: Tissue.CONNECTIVE,
        **dict.fromkeys(MUSCLE_LABELS, Tissue.MUSCLE),
    }
)
_KIDNEY_LABELS = (2, 3)
_CORTEX_MM = 6.5  # renal cortical width on CT 6.6 ± 1.9 mm: Glodny et al. 2009, BMC Urol 9:19
_SINUS_MM = 13.0
_PYRAMID_MM = 6.0


def paint_parenchyma(scene: Scene, filling: Filling) -> None:
    """Paint every organ that needs no more than one tissue, then the kidneys and the calcified aorta."""
    table = np.zeros(256, dtype=np.uint8)
    for label, tissue in _TISSUE_OF.items():
        table[label] = tissue
    painted = table[scene.labels]
    np.copyto(scene.tissues, painted, where=painted > 0)
    for label in _KIDNEY_LABELS:
        if label in scene.boxes:
            _paint_kidney(scene, label, filling.seed + label)
    if 7 in scene.boxes and filling.calcified_aorta > 0.05:
        _paint_plaques(scene, filling)


def _closed(mask: Mask, radius_mm: float, spacing_mm: float) -> Mask:
    """Closing by a ball, through distances."""
    pad = int(np.ceil(radius_mm / spacing_mm)) + 1
    padded = np.pad(mask, pad)
    grown = ndimage.distance_transform_edt(~padded, sampling=spacing_mm) <= radius_mm
    inner = ndimage.distance_transform_edt(grown, sampling=spacing_mm) > radius_mm
    return inner[pad:-pad, pad:-pad, pad:-pad] | mask


def _paint_kidney(scene: Scene, label: int, seed: int) -> None:
    box = scene.box({label}, 4.0)
    kidney = scene.labels[box.slices] == label
    whole = _closed(kidney, _SINUS_MM, scene.spacing_mm)
    depth = ndimage.distance_transform_edt(np.pad(whole, 1, mode="edge"), sampling=scene.spacing_mm)[1:-1, 1:-1, 1:-1]
    view = scene.tissues[box.slices]
    view[kidney] = Tissue.KIDNEY_CORTEX
    cells = smooth_field(scene.grid.crop(box), _PYRAMID_MM, seed)
    view[kidney & (depth > _CORTEX_MM) & (cells > -0.35)] = Tissue.KIDNEY_MEDULLA
    sinus = whole & ~kidney
    scene.paint_free(sinus, Tissue.FAT, box)
    if not sinus.any():
        return
    inner = ndimage.distance_transform_edt(sinus, sampling=scene.spacing_mm)
    # The pelvis is the deep middle of the sinus, a few millimetres wide when it is not dilated.
    scene.paint_free(sinus & (inner > 3.0) & (cells < 0.6), Tissue.RENAL_PELVIS, box)
    vessels = smooth_field(scene.grid.crop(box), 4.0, seed + 1)
    scene.paint_free(sinus & (inner <= 3.0) & (vessels > 1.0), Tissue.SYSTEMIC_VENOUS_BLOOD, box)


def _paint_plaques(scene: Scene, filling: Filling) -> None:
    """Calcified plaques on the aorta's wall, more of them with age."""
    box = scene.box({7}, 2.0)
    wall = layers(scene.labels[box.slices] == 7, 1.2, scene.spacing_mm)
    patches = smooth_field(scene.grid.crop(box), 3.5, filling.seed + 7)
    scene.tissues[box.slices][wall & (patches > 2.4 - 1.2 * filling.calcified_aorta)] = Tissue.CORTICAL_BONE
