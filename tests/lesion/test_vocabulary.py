"""Values stand in the order of the public loader's class indices, spelled as it spells them."""

import pytest

from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion, Shape, Surface

PUBLIC = {
    Shape: ["Round-like", "Irregular", "Wall thickening", "Punctate, nodular"],
    Density: ["Hypodense", "Isodense", "Hyperdense"],
    Heterogeneity: ["Homogeneous", "Heterogeneous"],
    Surface: ["Well-defined margin", "Ill-defined margin"],
    Invasion: ["No close relationship with adjacent structures", "Close relationship with adjacent structures"],
}


@pytest.mark.parametrize("words", PUBLIC)
def test_a_vocabulary_is_the_public_loaders_in_its_order(words) -> None:
    assert [word.value for word in words] == PUBLIC[words]


def test_features_are_told_apart_by_their_words() -> None:
    values = [feature.value for feature in Feature]
    assert len(set(values)) == len(values)
    assert not any("," in value for value in values), "features are joined by commas in the report"
