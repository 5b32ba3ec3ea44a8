"""Matter is laid in layers, and is linear in its base with the weight it returns."""

from dataclasses import replace

import numpy as np
import pytest
from terrain_made import ball, full_plan, liver_host, terrain_of

from panlesion.synth.field import draw_field
from panlesion.synth.plan import Layer, LayerKind, Matter
from panlesion.synth.shape.outline import render_outline
from panlesion.synth.texture.matter import render_matter

CENTRE = (-5.0, 0.0, 0.0)
RADIUS_MM = 16.0


@pytest.fixture(scope="module")
def scene():
    terrain = terrain_of(liver_host(sd_hu=0.1))
    return render_outline(ball(CENTRE, RADIUS_MM).outline, CENTRE, terrain.grid), terrain


def field(seed=1):
    return draw_field(np.random.default_rng(seed), wavelength_mm=(6.0, 14.0))


def test_the_hu_is_linear_in_the_base_with_the_weight_returned(scene) -> None:
    level, terrain = scene
    matter = full_plan().matter
    hu, weight = render_matter(matter, level, CENTRE, terrain)
    raised, again = render_matter(replace(matter, base_hu=matter.base_hu + 100.0), level, CENTRE, terrain)
    assert np.allclose(raised - hu, 100.0 * weight, atol=0.02)
    assert np.array_equal(weight, again)
    assert weight.min() >= 0
    assert weight.max() <= 1


def test_without_layers_it_is_the_base_everywhere(scene) -> None:
    level, terrain = scene
    hu, weight = render_matter(Matter(base_hu=42.0), level, CENTRE, terrain)
    assert np.all(hu == 42.0)
    assert np.all(weight == 1.0)


def test_a_core_lies_deep_and_a_rim_lies_near_the_surface(scene) -> None:
    level, terrain = scene
    core = Layer(kind=LayerKind.CORE, hu=10.0, start_mm=6.0, soft_mm=1.0)
    rim = Layer(kind=LayerKind.RIM, hu=120.0, stop_mm=3.0, soft_mm=1.0)
    hu, _ = render_matter(Matter(base_hu=60.0, layers=(core, rim)), level, CENTRE, terrain)
    assert np.allclose(hu[level < -8.5], 10.0, atol=1.0)
    assert np.allclose(hu[np.abs(level + 4.5) < 0.2], 60.0, atol=6.0)
    assert np.allclose(hu[np.abs(level + 0.5) < 0.3], 120.0, atol=1.0)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_blobs_cover_the_share_they_were_told(scene, share) -> None:
    level, terrain = scene
    layer = Layer(kind=LayerKind.BLOBS, hu=300.0, share=share, field=field())
    _, weight = render_matter(Matter(base_hu=0.0, layers=(layer,)), level, CENTRE, terrain)
    assert float(1 - weight.mean()) == pytest.approx(share, abs=0.08)


def test_a_texture_adds_its_deviation_and_leaves_the_base_its_weight(scene) -> None:
    level, terrain = scene
    layer = Layer(kind=LayerKind.TEXTURE, hu=15.0, field=field(2))
    hu, weight = render_matter(Matter(base_hu=50.0, layers=(layer,)), level, CENTRE, terrain)
    assert hu.std() == pytest.approx(15.0, rel=0.15)
    assert np.all(weight == 1.0)


def test_sheets_are_as_thin_as_told(scene) -> None:
    level, terrain = scene
    shares = []
    for half_mm in (0.8, 1.6):
        layer = Layer(kind=LayerKind.SHEETS, hu=50.0, start_mm=half_mm, soft_mm=0.3, field=field(3))
        _, weight = render_matter(Matter(base_hu=0.0, layers=(layer,)), level, CENTRE, terrain)
        shares.append(float(1 - weight.mean()))
    assert shares[1] == pytest.approx(2 * shares[0], rel=0.25)
    assert 0.1 < shares[0] < 0.5


def test_what_has_left_its_organ_is_made_of_something_else(scene) -> None:
    level, terrain = scene
    layer = Layer(kind=LayerKind.OUTSIDE, hu=55.0, soft_mm=1.0)
    hu, _ = render_matter(Matter(base_hu=700.0, layers=(layer,)), level, CENTRE, terrain)
    assert np.allclose(hu[terrain.depth_mm > 2], 700.0, atol=2.0)
    assert np.allclose(hu[terrain.depth_mm < -2], 55.0, atol=2.0)
