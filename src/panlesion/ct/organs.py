"""The numbering of organ maps: TotalSegmentator v1 inside, v2 translated, and the groups of the ten organ systems."""

import csv
from collections.abc import Mapping
from enum import StrEnum
from importlib import resources
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray


def _table(name: str) -> Mapping[int, str]:
    text = resources.files("panlesion.ct").joinpath(name).read_text(encoding="utf-8")
    return MappingProxyType({int(row["label"]): row["name"] for row in csv.DictReader(text.splitlines())})


V1_NAMES: Mapping[int, str] = _table("totalsegmentator_v1.csv")
V2_NAMES: Mapping[int, str] = _table("totalsegmentator_v2.csv")
V1_LABELS: Mapping[str, int] = MappingProxyType({name: label for label, name in V1_NAMES.items()})
V2_LABELS: Mapping[str, int] = MappingProxyType({name: label for label, name in V2_NAMES.items()})

# Structures v2 splits, merges or renames. A cyst belongs to its kidney; v1 has no whole-heart label, and of its five heart
# parts the myocardium is the one that encloses the others. What v1 does not know (thyroid, prostate, skull, sternum …)
# becomes background, as it was for the v1 model.
_V2_AS_V1: Mapping[str, str] = MappingProxyType(
    {
        "kidney_cyst_left": "kidney_left",
        "kidney_cyst_right": "kidney_right",
        "heart": "heart_myocardium",
        "atrial_appendage_left": "heart_atrium_left",
        "vertebrae_S1": "sacrum",
    }
)


def v1_label_of(name: str) -> int:
    """The v1 label of a structure named as TotalSegmentator v1 or v2 names it; 0 for one that v1 does not know."""
    return V1_LABELS.get(_V2_AS_V1.get(name, name), 0)


def v2_to_v1_table() -> NDArray[np.uint8]:
    """Lookup (256,): v2 label → v1 label; 0 for background and for what v1 does not know."""
    table = np.zeros(256, dtype=np.uint8)
    for label, name in V2_NAMES.items():
        table[label] = v1_label_of(name)
    return table


class OrganSystem(StrEnum):
    """The ten organ systems of PASTA-Gen, named as its folders are."""

    LUNG = "Lung"
    LIVER = "Liver"
    GALLBLADDER = "Gall"
    PANCREAS = "Pancreas"
    ESOPHAGUS = "Esophagus"
    STOMACH = "Stomach"
    COLON = "Colon"
    KIDNEY = "Kidney"
    BLADDER = "Bladder"
    BONE = "Bone"


LUNG_LABELS = frozenset(range(13, 18))
VERTEBRA_LABELS = frozenset(range(18, 42))
RIB_LABELS = frozenset(range(58, 82))
BONE_LABELS = VERTEBRA_LABELS | frozenset(range(58, 93))
HEART_LABELS = frozenset(range(44, 49))
VESSEL_LABELS = frozenset({7, 8, 9, 49, 51, 52, 53, 54})
MUSCLE_LABELS = frozenset(range(94, 104))

SYSTEM_LABELS: Mapping[OrganSystem, frozenset[int]] = MappingProxyType(
    {
        OrganSystem.LUNG: LUNG_LABELS,
        OrganSystem.LIVER: frozenset({5}),
        OrganSystem.GALLBLADDER: frozenset({4}),
        OrganSystem.PANCREAS: frozenset({10}),
        OrganSystem.ESOPHAGUS: frozenset({42}),
        OrganSystem.STOMACH: frozenset({6}),
        OrganSystem.COLON: frozenset({57}),
        OrganSystem.KIDNEY: frozenset({2, 3}),
        OrganSystem.BLADDER: frozenset({104}),
        OrganSystem.BONE: BONE_LABELS,
    }
)
