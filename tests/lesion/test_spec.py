"""A specification that exists is one that its type allows."""

from dataclasses import FrozenInstanceError, replace

import pytest
from specs_made import spec_of

from panlesion.errors import SpecError
from panlesion.lesion.taxonomy import TYPES, LesionType


@pytest.mark.parametrize("type", LesionType)
def test_a_lesion_grows_in_every_organ_of_its_type_and_in_no_other(type) -> None:
    for label in TYPES[type].organ_labels:
        assert spec_of(type, organ_label=label).organ_label == label
    foreign = next(label for label in range(1, 105) if label not in TYPES[type].organ_labels)
    with pytest.raises(SpecError, match=f"organ_label is {foreign}.*{type.value}"):
        spec_of(type, organ_label=foreign)


@pytest.mark.parametrize("diameter_mm", [0.0, -5.0, 0.9, 301.0, float("nan"), float("inf")])
def test_a_diameter_no_lesion_has_is_refused(diameter_mm) -> None:
    with pytest.raises(SpecError, match="diameter_mm"):
        spec_of(LesionType.LIVER_TUMOR, diameter_mm=diameter_mm)


def test_a_spec_is_checked_again_when_changed_and_cannot_be_changed_in_place() -> None:
    spec = spec_of(LesionType.LIVER_TUMOR)
    with pytest.raises(SpecError):
        replace(spec, type=LesionType.KIDNEY_CYST)
    with pytest.raises(FrozenInstanceError):
        spec.organ_label = 1
