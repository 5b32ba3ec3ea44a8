"""How many HU each tissue has in each phase: mean, and how much patients differ.

Columns are non-contrast, arterial (about 35 s after injection), portal (70 s), delayed (3–5 min). Sources, by row group:

- plain soft tissue: textbook ranges, narrowed by us; that they differ by several HU between scanners: Lamba et al. 2014,
  AJR 203:1013 (nine sites, two makers). Liver 58 (SD 9), with severe steatosis 32: post-mortem series with histology, Int J
  Legal Med 2019, doi 10.1007/s00414-019-02016-1
- aorta, portal vein, cava, liver, and what makes them differ (dose of iodine, body weight, timing): Bae 2010,
  Radiology 256:32 (review); the HU are ours, liver +50 in the portal phase
- pancreas: Stuber et al. 2012, World J Radiol 4:324 (74–111 HU arterial, growing with the delay; 67–84 portal); Korean series
  of 526 patients, synapse.koreamed.org/articles/1004370: 112–128 HU in the pancreatic phase
- kidney: ours, after textbook values (corticomedullary phase: cortex 150–200, medulla 50–80 HU; nephrographic: both 150–190;
  excretory: pelvis several hundred)
- spleen: mottled in the arterial phase: Miles, McPherson & Hayball 1995, Radiology 194:91; its HU are ours
- adrenal: ours. Lung: ours; denser in dependent parts: Verschakelen et al. 1993, AJR 161:713
- marrow: Jang et al. 2019, Radiology 291:360 (L1: 226 HU below 30 years, −2.5 HU a year; contrast matters little above 40
  years; ours adds 10 HU)
- cortical bone (thin: what the shell of a vertebra or rib fills of a voxel), cartilage, disc, skin, walls, content of the
  gut, table: textbook ranges (Kalender, Computed Tomography, 3rd ed. 2011, table of CT numbers), narrowed by us.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from panlesion.phantom.tissue import Tissue


class Attenuation(NamedTuple):
    """Mean HU in the four phases, and the SD of the plain value between patients."""

    plain: float
    arterial: float
    portal: float
    delayed: float
    sd: float


ATTENUATION: Mapping[Tissue, Attenuation] = MappingProxyType(
    {
        Tissue.AIR: Attenuation(-1000, -1000, -1000, -1000, 1),
        Tissue.SKIN: Attenuation(20, 24, 30, 32, 8),
        Tissue.FAT: Attenuation(-104, -103, -102, -102, 5),
        Tissue.MUSCLE: Attenuation(54, 58, 64, 65, 6),
        Tissue.CORTICAL_BONE: Attenuation(1150, 1150, 1150, 1150, 120),
        Tissue.THIN_CORTEX: Attenuation(560, 560, 565, 565, 80),
        Tissue.MARROW: Attenuation(176, 182, 186, 186, 30),
        Tissue.CARTILAGE: Attenuation(95, 97, 99, 100, 12),
        Tissue.LUNG: Attenuation(-855, -850, -848, -850, 22),
        Tissue.AIRWAY_WALL: Attenuation(20, 35, 45, 40, 10),
        Tissue.GAS: Attenuation(-990, -990, -990, -990, 5),
        Tissue.ARTERIAL_BLOOD: Attenuation(42, 310, 160, 112, 5),
        Tissue.SYSTEMIC_VENOUS_BLOOD: Attenuation(42, 85, 140, 110, 5),
        Tissue.PORTAL_BLOOD: Attenuation(42, 115, 172, 114, 5),
        Tissue.PULMONARY_BLOOD: Attenuation(42, 240, 158, 112, 5),
        Tissue.HEART_BLOOD: Attenuation(42, 200, 155, 112, 5),
        Tissue.MYOCARDIUM: Attenuation(46, 108, 112, 98, 6),
        Tissue.LIVER: Attenuation(59, 72, 111, 92, 6),
        Tissue.BILE: Attenuation(9, 9, 10, 10, 4),
        Tissue.SPLEEN: Attenuation(49, 122, 122, 94, 5),
        Tissue.PANCREAS: Attenuation(41, 106, 94, 74, 6),
        Tissue.ADRENAL: Attenuation(26, 64, 74, 52, 7),
        Tissue.KIDNEY_CORTEX: Attenuation(33, 182, 188, 148, 5),
        Tissue.KIDNEY_MEDULLA: Attenuation(32, 72, 162, 150, 5),
        Tissue.RENAL_PELVIS: Attenuation(6, 8, 14, 650, 4),
        Tissue.GUT_WALL: Attenuation(38, 82, 98, 82, 6),
        Tissue.GUT_FLUID: Attenuation(17, 17, 18, 18, 8),
        Tissue.STOOL: Attenuation(34, 34, 34, 34, 14),
        Tissue.BLADDER_WALL: Attenuation(36, 50, 66, 68, 6),
        Tissue.URINE: Attenuation(5, 5, 7, 150, 4),
        Tissue.GALLBLADDER_WALL: Attenuation(36, 55, 76, 70, 6),
        Tissue.SPINAL_CANAL: Attenuation(27, 30, 34, 34, 5),
        Tissue.DISC: Attenuation(82, 84, 88, 90, 10),
        Tissue.PROSTATE_UTERUS: Attenuation(42, 68, 94, 88, 6),
        Tissue.CONNECTIVE: Attenuation(38, 46, 56, 58, 8),
        Tissue.TABLE_SHELL: Attenuation(40, 40, 40, 40, 60),
        Tissue.TABLE_CORE: Attenuation(-930, -930, -930, -930, 25),
    }
)
