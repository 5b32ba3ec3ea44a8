"""The 15 lesion types: where each lives, what it is compared with, and what the rules of measurement need to know of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from panlesion.ct.organs import SYSTEM_LABELS, OrganSystem


class LesionType(StrEnum):
    """Type ids as commands and manifests spell them."""

    LUNG_TUMOR = "lung_tumor"
    LIVER_TUMOR = "liver_tumor"
    LIVER_CYST = "liver_cyst"
    GALLBLADDER_CANCER = "gallbladder_cancer"
    GALLSTONE = "gallstone"
    PANCREAS_TUMOR = "pancreas_tumor"
    PANCREAS_CYST = "pancreas_cyst"
    ESOPHAGEAL_CANCER = "esophageal_cancer"
    GASTRIC_CANCER = "gastric_cancer"
    COLORECTAL_CANCER = "colorectal_cancer"
    KIDNEY_TUMOR = "kidney_tumor"
    KIDNEY_CYST = "kidney_cyst"
    KIDNEY_STONE = "kidney_stone"
    BLADDER_CANCER = "bladder_cancer"
    BONE_METASTASIS = "bone_metastasis"


class Reference(StrEnum):
    """The tissue whose mean HU a lesion's density is compared with."""

    ORGAN = "organ parenchyma"
    SOFT_TISSUE = "skeletal muscle"
    CONTENT = "fluid in the organ"


class Neighbours(StrEnum):
    """What counts as an adjacent structure in the relation "close / not close"."""

    LABELLED = "any other labelled organ"
    OUTSIDE = "anything outside the organ"
    BREACH = "tissue beyond the organ's own surface"
    NONE = "not assessed: the lesion lies free in a lumen"


@dataclass(frozen=True, kw_only=True)
class TypeInfo:
    """What the whole system needs to know of one lesion type; drawing rules are in `priors`.

    `isodense_hu` is the band of (lesion mean − reference mean) called isodense; `heterogeneous_sd_hu` the noise-corrected
    SD above which a lesion is called heterogeneous. Both are definitions of ours, with reasons in docs/why/lesion.md.
    """

    system: OrganSystem
    folder: str
    name: str
    malignant: bool
    hollow: bool
    reference: Reference
    neighbours: Neighbours
    isodense_hu: tuple[float, float] = (-10.0, 10.0)
    heterogeneous_sd_hu: float = 12.0

    @property
    def organ_labels(self) -> frozenset[int]:
        """v1 labels a lesion of this type can live in."""
        return SYSTEM_LABELS[self.system]


_ORGAN, _SOFT, _CONTENT = Reference.ORGAN, Reference.SOFT_TISSUE, Reference.CONTENT
_LABELLED, _OUTSIDE, _BREACH, _NONE = Neighbours.LABELLED, Neighbours.OUTSIDE, Neighbours.BREACH, Neighbours.NONE

# Tumours of hollow organs lie at 30-50 HU plain and 60-100 HU enhanced, muscle at 50-60: both read as "isodense soft tissue".
_WALL_BAND = (-25.0, 25.0)

TYPES: Mapping[LesionType, TypeInfo] = MappingProxyType(
    {
        LesionType.LUNG_TUMOR: TypeInfo(
            system=OrganSystem.LUNG, folder="Lung/Tumor", name="lung tumour", malignant=True, hollow=False,
            reference=_SOFT, neighbours=_OUTSIDE, isodense_hu=(-150.0, 60.0), heterogeneous_sd_hu=60.0,
        ),
        LesionType.LIVER_TUMOR: TypeInfo(
            system=OrganSystem.LIVER, folder="Liver/Tumor", name="liver tumour", malignant=True, hollow=False,
            reference=_ORGAN, neighbours=_LABELLED,
        ),
        LesionType.LIVER_CYST: TypeInfo(
            system=OrganSystem.LIVER, folder="Liver/Cyst", name="liver cyst", malignant=False, hollow=False,
            reference=_ORGAN, neighbours=_LABELLED,
        ),
        LesionType.GALLBLADDER_CANCER: TypeInfo(
            system=OrganSystem.GALLBLADDER, folder="Gall/Tumor", name="gallbladder cancer", malignant=True, hollow=True,
            reference=_SOFT, neighbours=_LABELLED, isodense_hu=_WALL_BAND,
        ),
        LesionType.GALLSTONE: TypeInfo(
            system=OrganSystem.GALLBLADDER, folder="Gall/Stone", name="gallstone", malignant=False, hollow=True,
            reference=_CONTENT, neighbours=_NONE, heterogeneous_sd_hu=60.0,
        ),
        LesionType.PANCREAS_TUMOR: TypeInfo(
            system=OrganSystem.PANCREAS, folder="Pancreas/Tumor", name="pancreas tumour", malignant=True, hollow=False,
            reference=_ORGAN, neighbours=_LABELLED,
        ),
        LesionType.PANCREAS_CYST: TypeInfo(
            system=OrganSystem.PANCREAS, folder="Pancreas/Cyst", name="pancreas cyst", malignant=False, hollow=False,
            reference=_ORGAN, neighbours=_LABELLED,
        ),
        LesionType.ESOPHAGEAL_CANCER: TypeInfo(
            system=OrganSystem.ESOPHAGUS, folder="Esophagus/Tumor", name="oesophageal cancer", malignant=True, hollow=True,
            reference=_SOFT, neighbours=_LABELLED, isodense_hu=_WALL_BAND,
        ),
        LesionType.GASTRIC_CANCER: TypeInfo(
            system=OrganSystem.STOMACH, folder="Stomach/Tumor", name="gastric cancer", malignant=True, hollow=True,
            reference=_SOFT, neighbours=_LABELLED, isodense_hu=_WALL_BAND,
        ),
        LesionType.COLORECTAL_CANCER: TypeInfo(
            system=OrganSystem.COLON, folder="Colon/Tumor", name="colorectal cancer", malignant=True, hollow=True,
            reference=_SOFT, neighbours=_LABELLED, isodense_hu=_WALL_BAND,
        ),
        LesionType.KIDNEY_TUMOR: TypeInfo(
            system=OrganSystem.KIDNEY, folder="Kidney/Tumor", name="kidney tumour", malignant=True, hollow=False,
            reference=_ORGAN, neighbours=_LABELLED,
        ),
        LesionType.KIDNEY_CYST: TypeInfo(
            system=OrganSystem.KIDNEY, folder="Kidney/Cyst", name="kidney cyst", malignant=False, hollow=False,
            reference=_ORGAN, neighbours=_LABELLED,
        ),
        LesionType.KIDNEY_STONE: TypeInfo(
            system=OrganSystem.KIDNEY, folder="Kidney/Stone", name="kidney stone", malignant=False, hollow=False,
            reference=_ORGAN, neighbours=_NONE, heterogeneous_sd_hu=150.0,
        ),
        LesionType.BLADDER_CANCER: TypeInfo(
            system=OrganSystem.BLADDER, folder="Bladder/Tumor", name="bladder cancer", malignant=True, hollow=True,
            reference=_SOFT, neighbours=_LABELLED, isodense_hu=_WALL_BAND,
        ),
        LesionType.BONE_METASTASIS: TypeInfo(
            system=OrganSystem.BONE, folder="Bone/Metastasis", name="bone metastasis", malignant=True, hollow=False,
            reference=_ORGAN, neighbours=_BREACH, isodense_hu=(-50.0, 50.0), heterogeneous_sd_hu=60.0,
        ),
    }
)  # fmt: skip
