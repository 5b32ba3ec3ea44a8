"""What lesions of each type look like: how often which attribute, and how dense against their host in which phase.

Density is a regression on the host organ's own mean, `lesion = intercept + slope · organ ± sd` in HU, so that a plain host
gets a plain lesion. Sources of the numbers stand beside them; where a paper gives ranges, mean ± SD spans them. Shares
without a source are ours: chosen to show the network every reading often enough, not to copy a prevalence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from panlesion.ct.phase import Phase
from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Shape


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Lesion mean HU on reference mean HU (see `taxonomy.Reference`; for lung and hollow organs: muscle)."""

    intercept_hu: float
    slope: float
    sd_hu: float

    def mean_hu(self, reference_hu: float) -> float:
        return self.intercept_hu + self.slope * reference_hu


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """Shares (0…1) of readings, and the density regression per phase."""

    shapes: Mapping[Shape, float]
    heterogeneous: float
    ill_defined: float
    close: float
    multiple: tuple[float, ...]
    density: Mapping[Phase, Regression]


def _same(intercept_hu: float, slope: float, sd_hu: float) -> Mapping[Phase, Regression]:
    return MappingProxyType(dict.fromkeys(Phase, Regression(intercept_hu=intercept_hu, slope=slope, sd_hu=sd_hu)))


def _phases(*rows: tuple[float, float, float]) -> Mapping[Phase, Regression]:
    """Rows (intercept, slope, SD) in the order plain, arterial, portal, delayed."""
    made = (Regression(intercept_hu=a, slope=b, sd_hu=c) for a, b, c in rows)
    return MappingProxyType(dict(zip(Phase, made, strict=True)))


_ROUND_OR_NOT = MappingProxyType({Shape.ROUND: 0.5, Shape.IRREGULAR: 0.5})
_MOSTLY_ROUND = MappingProxyType({Shape.ROUND: 0.85, Shape.IRREGULAR: 0.15})
_WALL_OR_MASS = MappingProxyType({Shape.WALL: 0.6, Shape.IRREGULAR: 0.25, Shape.ROUND: 0.15})
_STONE = MappingProxyType({Shape.PUNCTATE: 0.7, Shape.ROUND: 0.3})

# Simple fluid: -9 to 20 HU in every phase (Bosniak version 2019: Silverman 2019, Radiology 292:475).
_FLUID = _same(9.0, 0.0, 4.5)
# Tumours of the gut, bladder and gallbladder wall: 30-50 HU plain, 60-110 HU enhanced, most in the portal phase (ours, after
# textbook values). Bladder tumours differ: they gain 37, 25 and 17 HU in the corticomedullary, nephrographic and excretory
# phase (Helenius 2013, Acta Radiol, doi 10.1177/0284185113513762). Muscle, 50-60 HU plain, 60-70 enhanced, is the regressor.
_WALL = _phases((-15.0, 1.0, 6.0), (12.0, 1.0, 10.0), (18.0, 1.0, 11.0), (14.0, 1.0, 10.0))

APPEARANCE: Mapping[LesionType, Appearance] = MappingProxyType(
    {
        # Solid nodules: LIDC core HU (priors/lung_texture.py); ground glass and part-solid have their own HU there.
        LesionType.LUNG_TUMOR: Appearance(
            shapes=_ROUND_OR_NOT, heterogeneous=0.35, ill_defined=0.35, close=0.35, multiple=(0.85, 0.1, 0.05),
            density=_phases((-18.0, 1.0, 14.0), (8.0, 1.0, 18.0), (15.0, 1.0, 18.0), (12.0, 1.0, 16.0)),
        ),
        # Metastases 35-50 HU plain, 50-80 portal in liver of 100-115 (ours, after textbook values).
        # Hypervascular types are drawn apart in `synth`.
        LesionType.LIVER_TUMOR: Appearance(
            shapes=_ROUND_OR_NOT, heterogeneous=0.55, ill_defined=0.5, close=0.25, multiple=(0.6, 0.2, 0.12, 0.08),
            density=_phases((7.0, 0.6, 6.0), (10.0, 0.62, 10.0), (14.0, 0.5, 11.0), (12.0, 0.56, 10.0)),
        ),
        LesionType.LIVER_CYST: Appearance(
            shapes=_MOSTLY_ROUND, heterogeneous=0.03, ill_defined=0.0, close=0.15, multiple=(0.65, 0.2, 0.15), density=_FLUID,
        ),
        LesionType.GALLBLADDER_CANCER: Appearance(
            shapes=_WALL_OR_MASS, heterogeneous=0.45, ill_defined=0.6, close=0.6, multiple=(1.0,), density=_WALL,
        ),
        # Calcified stones 100-1000 HU, pigment 60-150, cholesterol -20-60 (in vitro cholesterol -87, pigment
        # 162: Hickman 1986, Arch Surg 121:289; in bile and bodies nearer to soft tissue, ours): bimodal, drawn in `synth`.
        LesionType.GALLSTONE: Appearance(
            shapes=_STONE, heterogeneous=0.3, ill_defined=0.0, close=0.0,
            multiple=(0.45, 0.2, 0.15, 0.1, 0.1), density=_same(180.0, 0.0, 120.0),
        ),
        # Ductal adenocarcinoma: 67 (SD 19) HU below pancreas in the pancreatic, 39 (16) in the portal phase (Lu 1996,
        # Radiology 199:697); 11 % isodense (Prokesch 2002, Radiology 224:764); within 10 HU plain. Ours is milder: -41, -28.
        LesionType.PANCREAS_TUMOR: Appearance(
            shapes=_ROUND_OR_NOT, heterogeneous=0.4, ill_defined=0.65, close=0.5, multiple=(1.0,),
            density=_phases((0.0, 0.93, 6.0), (12.0, 0.5, 11.0), (14.0, 0.55, 11.0), (12.0, 0.62, 9.0)),
        ),
        LesionType.PANCREAS_CYST: Appearance(
            shapes=_MOSTLY_ROUND, heterogeneous=0.1, ill_defined=0.0, close=0.45, multiple=(0.85, 0.15), density=_FLUID,
        ),
        LesionType.ESOPHAGEAL_CANCER: Appearance(
            shapes=MappingProxyType({Shape.WALL: 0.85, Shape.IRREGULAR: 0.15}), heterogeneous=0.3, ill_defined=0.5,
            close=0.6, multiple=(1.0,), density=_WALL,
        ),
        LesionType.GASTRIC_CANCER: Appearance(
            shapes=_WALL_OR_MASS, heterogeneous=0.4, ill_defined=0.5, close=0.35, multiple=(1.0,), density=_WALL,
        ),
        LesionType.COLORECTAL_CANCER: Appearance(
            shapes=_WALL_OR_MASS, heterogeneous=0.35, ill_defined=0.45, close=0.35, multiple=(1.0,), density=_WALL,
        ),
        # Clear-cell: 125 (corticomedullary), 106 (nephrographic); papillary 54/64; plain 30-40 (ours, after textbook values).
        # Subtypes are drawn in `synth`; this is the pool.
        LesionType.KIDNEY_TUMOR: Appearance(
            shapes=_ROUND_OR_NOT, heterogeneous=0.6, ill_defined=0.3, close=0.3, multiple=(0.92, 0.08),
            density=_phases((18.0, 0.6, 6.0), (15.0, 0.5, 22.0), (12.0, 0.48, 18.0), (12.0, 0.5, 15.0)),
        ),
        LesionType.KIDNEY_CYST: Appearance(
            shapes=_MOSTLY_ROUND, heterogeneous=0.03, ill_defined=0.0, close=0.25, multiple=(0.7, 0.2, 0.1), density=_FLUID,
        ),
        # Uric acid 350-500, struvite 500-900, calcium oxalate and phosphate 800-1500 HU (ours, after textbook values:
        # uric acid below 500, calcium oxalate above 900).
        LesionType.KIDNEY_STONE: Appearance(
            shapes=_STONE, heterogeneous=0.1, ill_defined=0.0, close=0.0, multiple=(0.7, 0.2, 0.1),
            density=_same(800.0, 0.0, 320.0),
        ),
        LesionType.BLADDER_CANCER: Appearance(
            shapes=MappingProxyType({Shape.WALL: 0.3, Shape.IRREGULAR: 0.4, Shape.ROUND: 0.3}), heterogeneous=0.25,
            ill_defined=0.35, close=0.2, multiple=(0.85, 0.15), density=_WALL,
        ),
        # Lytic 20-80 HU, blastic 400-1100 HU (Ulano 2016, AJR 207:362: untreated blastic metastases 654,
        # SD 176; 885 parts them from enostoses).
        LesionType.BONE_METASTASIS: Appearance(
            shapes=_ROUND_OR_NOT, heterogeneous=0.5, ill_defined=0.55, close=0.4, multiple=(0.6, 0.25, 0.15),
            density=_same(50.0, 0.0, 18.0),
        ),
    }
)  # fmt: skip
