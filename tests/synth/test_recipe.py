import pytest

from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.recipe import Recipe

TWO = (LesionType.LIVER_TUMOR, LesionType.KIDNEY_CYST)


def test_types_are_put_in_order_and_phantoms_resolved():
    recipe = Recipe(hosts="phantom", types=tuple(reversed(TWO)), per_type=100, seed=1)
    assert recipe.types == TWO
    assert recipe.phantoms == 24
    assert Recipe(hosts="phantom", types=TWO, per_type=3, seed=1).phantoms == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"types": ()}, "types"),
        ({"types": (TWO[0], TWO[0])}, "types"),
        ({"per_type": 0}, "per_type"),
        ({"seed": -1}, "seed"),
        ({"spacing_mm": 0.1}, "spacing_mm"),
        ({"size_voxels": 20}, "size_voxels"),
        ({"lesions": (2, 1)}, "lesions"),
        ({"phantoms": -1}, "phantoms"),
        ({"phantoms": 3}, "phantoms are drawn where"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(change, field):
    with pytest.raises(ValueError, match=field):
        Recipe(**({"hosts": "x", "types": TWO, "per_type": 1, "seed": 0} | change))
