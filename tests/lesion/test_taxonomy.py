"""The 15 types, their folders and their organs are those the outside world relies on."""

import pytest

from panlesion.ct.organs import V1_NAMES, OrganSystem
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours

TABLE = {
    "lung_tumor": ("Lung/Tumor", range(13, 18)),
    "liver_tumor": ("Liver/Tumor", [5]),
    "liver_cyst": ("Liver/Cyst", [5]),
    "gallbladder_cancer": ("Gall/Tumor", [4]),
    "gallstone": ("Gall/Stone", [4]),
    "pancreas_tumor": ("Pancreas/Tumor", [10]),
    "pancreas_cyst": ("Pancreas/Cyst", [10]),
    "esophageal_cancer": ("Esophagus/Tumor", [42]),
    "gastric_cancer": ("Stomach/Tumor", [6]),
    "colorectal_cancer": ("Colon/Tumor", [57]),
    "kidney_tumor": ("Kidney/Tumor", [2, 3]),
    "kidney_cyst": ("Kidney/Cyst", [2, 3]),
    "kidney_stone": ("Kidney/Stone", [2, 3]),
    "bladder_cancer": ("Bladder/Tumor", [104]),
    "bone_metastasis": ("Bone/Metastasis", [*range(18, 42), *range(58, 93)]),
}


def test_the_types_are_these_15_and_no_others() -> None:
    assert {type.value for type in LesionType} == set(TABLE)
    assert set(TYPES) == set(LesionType)


@pytest.mark.parametrize("type", LesionType)
def test_folders_and_organs_are_those_of_the_published_set(type) -> None:
    folder, labels = TABLE[type.value]
    assert TYPES[type].folder == folder
    assert TYPES[type].organ_labels == frozenset(labels)
    assert all(label in V1_NAMES for label in TYPES[type].organ_labels)


def test_ten_types_are_malignant_and_five_benign() -> None:
    malignant = {type for type in LesionType if TYPES[type].malignant}
    assert len(malignant) == 10
    assert {type.value.rsplit("_", 1)[-1] for type in set(LesionType) - malignant} == {"cyst", "gallstone", "stone"}


@pytest.mark.parametrize("type", LesionType)
def test_the_isodense_band_holds_zero_and_thresholds_are_positive(type) -> None:
    low, high = TYPES[type].isodense_hu
    assert low < 0 < high
    assert TYPES[type].heterogeneous_sd_hu > 0


def test_every_organ_system_has_a_type_and_stones_have_no_neighbours() -> None:
    assert {info.system for info in TYPES.values()} == set(OrganSystem)
    free = {type for type, info in TYPES.items() if info.neighbours is Neighbours.NONE}
    assert free == {LesionType.GALLSTONE, LesionType.KIDNEY_STONE}
