"""What is special about each lesion type: one function that draws a plan, listed here."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.draw import Wanted
from panlesion.synth.host import Site
from panlesion.synth.kinds.bone import draw_bone_metastasis
from panlesion.synth.kinds.cyst import draw_cyst
from panlesion.synth.kinds.hollow import draw_hollow_tumour
from panlesion.synth.kinds.kidney import draw_kidney_tumour
from panlesion.synth.kinds.liver import draw_liver_tumour
from panlesion.synth.kinds.lung import draw_lung_tumour
from panlesion.synth.kinds.pancreas import draw_pancreas_tumour
from panlesion.synth.kinds.stone import draw_gallstone, draw_kidney_stone
from panlesion.synth.plan import Plan

DrawPlan = Callable[[Site, Wanted, np.random.Generator], Plan]

KINDS: Mapping[LesionType, DrawPlan] = MappingProxyType(
    {
        LesionType.LUNG_TUMOR: draw_lung_tumour,
        LesionType.LIVER_TUMOR: draw_liver_tumour,
        LesionType.LIVER_CYST: draw_cyst,
        LesionType.GALLBLADDER_CANCER: draw_hollow_tumour,
        LesionType.GALLSTONE: draw_gallstone,
        LesionType.PANCREAS_TUMOR: draw_pancreas_tumour,
        LesionType.PANCREAS_CYST: draw_cyst,
        LesionType.ESOPHAGEAL_CANCER: draw_hollow_tumour,
        LesionType.GASTRIC_CANCER: draw_hollow_tumour,
        LesionType.COLORECTAL_CANCER: draw_hollow_tumour,
        LesionType.KIDNEY_TUMOR: draw_kidney_tumour,
        LesionType.KIDNEY_CYST: draw_cyst,
        LesionType.KIDNEY_STONE: draw_kidney_stone,
        LesionType.BLADDER_CANCER: draw_hollow_tumour,
        LesionType.BONE_METASTASIS: draw_bone_metastasis,
    }
)
