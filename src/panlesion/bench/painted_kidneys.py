"""A CT painted around real masks of kidney, tumour and cyst, so that a network has something to look at.

The kidneys' outlines are a patient's; everything else, and above all every HU, is drawn at random and knows nothing of the
patient. Such an image carries the masks' shape and no biology.
"""

import numpy as np
from scipy import ndimage

from panlesion.ct.organs import V1_LABELS
from panlesion.ct.phase import Phase
from panlesion.ct.volume import Box, LabelMap, Volume
from panlesion.data.sources.kits_masks import CYST, KIDNEY, TUMOUR
from panlesion.lesion.priors.appearance import APPEARANCE
from panlesion.lesion.taxonomy import LesionType
from panlesion.phantom.from_map import render_tissues
from panlesion.phantom.from_map.filling import draw_filling
from panlesion.phantom.paint import draw_paint, render_paint
from panlesion.phantom.scanner import draw_scanner, render_scan
from panlesion.phantom.tissue import Tissue

AROUND_MM = 30.0
"""Body drawn around the masks, which are cropped at the kidneys; more than the skin and fat that are inferred."""
_SEED = 0x7061696E


def organ_map(masks: LabelMap) -> LabelMap:
    """The kidneys in v1 numbering with tumours and cysts as part of them, on a grid that leaves room for a body."""
    bodies, _ = ndimage.label(masks.labels > 0, structure=np.ones((3, 3, 3)))
    centre = (masks.grid.shape[0] - 1) / 2
    middles = ndimage.center_of_mass(np.ones_like(bodies), bodies, range(1, int(bodies.max()) + 1))
    # i grows to the patient's left
    side = [0, *(V1_LABELS["kidney_left"] if middle[0] > centre else V1_LABELS["kidney_right"] for middle in middles)]
    labels = LabelMap(labels=np.array(side, dtype=np.uint8)[bodies], grid=masks.grid)
    around = round(AROUND_MM / masks.grid.spacing_mm[0])
    return labels.crop(Box(start=(0, 0, 0), stop=masks.grid.shape).grown(around))


def paint_kidneys(masks: LabelMap, *, seed: int, phase: Phase = Phase.PORTAL) -> tuple[Volume, LabelMap]:
    """A CT and the tumours' mask on its grid; every random number comes from `seed` alone.

    Args:
        masks: 1 kidney, 2 tumour, 3 cyst on an isotropic L,P,S grid.
        seed: Of body, paint and scanner.
        phase: Of contrast, one for all: its choice must not tell patients apart.
    """
    organs = organ_map(masks)
    rng = np.random.default_rng([seed, _SEED])
    age, male = int(np.clip(rng.normal(58, 14), 20, 90)), bool(rng.random() < 0.5)
    filling, paint, scanner = draw_filling(rng, age=age, male=male), draw_paint(phase, rng, age=age), draw_scanner(rng)
    ideal_hu = render_paint(paint, render_tissues(organs, filling), organs.grid)
    inside = masks.crop(Box(start=(0, 0, 0), stop=masks.grid.shape).grown(round(AROUND_MM / masks.grid.spacing_mm[0])))
    for label, type in ((TUMOUR, LesionType.KIDNEY_TUMOR), (CYST, LesionType.KIDNEY_CYST)):
        regression = APPEARANCE[type].density[phase]
        mean = regression.mean_hu(paint.hu[Tissue.KIDNEY_CORTEX])
        ideal_hu[inside.labels == label] = mean + regression.sd_hu * float(rng.normal())
    # a gap that masks leave within the kidney is as it was painted: sinus
    assert KIDNEY in inside.labels
    hu = render_scan(ideal_hu, scanner, organs.grid)
    return Volume(hu=hu, grid=organs.grid), LabelMap(labels=(inside.labels == TUMOUR).astype(np.uint8), grid=organs.grid)
