"""What the network's output channels mean: groups of mutually exclusive classes, side by side.

Organ and lesion are separate groups, each a softmax of its own: the liver goes on inside a liver tumour, and a network
fine-tuned on lesions alone keeps its organs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import HEART_LABELS, MUSCLE_LABELS, SYSTEM_LABELS, V1_LABELS, VESSEL_LABELS, OrganSystem
from panlesion.lesion.taxonomy import LesionType

ANATOMY, LESIONS = "anatomy", "lesions"
OTHER_MASS = "other_mass"
"""A mass outside the 15 types, in muscle or fat: what a network must know to be adapted to tumours nobody synthesised."""

_CONTEXT: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        "spleen": frozenset({V1_LABELS["spleen"]}),
        "heart": HEART_LABELS,
        "vessel": VESSEL_LABELS,
        "muscle": MUSCLE_LABELS,
        "bowel": frozenset({V1_LABELS["duodenum"], V1_LABELS["small_bowel"]}),
    }
)
ANATOMY_LABELS: Mapping[str, frozenset[int]] = MappingProxyType(
    {system.value.lower(): SYSTEM_LABELS[system] for system in OrganSystem} | dict(_CONTEXT)
)
"""v1 labels of each anatomy class after the background."""


@dataclass(frozen=True, kw_only=True)
class ClassGroup:
    """Mutually exclusive classes; the first is "none of these"."""

    name: str
    classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Classes:
    """All output channels: the groups one after another."""

    groups: tuple[ClassGroup, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """`group/class` of every channel."""
        return tuple(f"{group.name}/{name}" for group in self.groups for name in group.classes)

    def __len__(self) -> int:
        return sum(len(group.classes) for group in self.groups)

    def channels(self, group: str) -> slice:
        """The channels of one group.

        Raises:
            ValueError: There is no such group.
        """
        start = 0
        for one in self.groups:
            if one.name == group:
                return slice(start, start + len(one.classes))
            start += len(one.classes)
        raise ValueError(f"class group is {group!r}; this network has {', '.join(one.name for one in self.groups)}")

    def group(self, name: str) -> ClassGroup:
        """One group by name; `ValueError` if there is none."""
        self.channels(name)
        return next(one for one in self.groups if one.name == name)


def pan_tumour_classes() -> Classes:
    """The 16 anatomy and 17 lesion classes of networks trained here."""
    return Classes(
        groups=(
            ClassGroup(name=ANATOMY, classes=("background", *ANATOMY_LABELS)),
            ClassGroup(name=LESIONS, classes=("none", *(type_.value for type_ in LesionType), OTHER_MASS)),
        )
    )


def anatomy_table() -> NDArray[np.uint8]:
    """Lookup (256,): v1 organ label → anatomy class."""
    table = np.zeros(256, dtype=np.uint8)
    for index, labels in enumerate(ANATOMY_LABELS.values(), 1):
        table[sorted(labels)] = index
    return table


def lesion_class(type_: LesionType | None) -> int:
    """Index of a lesion type in the lesions group; None is `OTHER_MASS`."""
    return len(LesionType) + 1 if type_ is None else list(LesionType).index(type_) + 1
