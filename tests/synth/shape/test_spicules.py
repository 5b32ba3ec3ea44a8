"""Spicules are thin, start in the body and point away from it."""

import numpy as np
import pytest
from terrain_made import ball

from panlesion.synth.plan import Part
from panlesion.synth.shape.outline import draw_outline
from panlesion.synth.shape.spicules import SPICULE_COUNT, SPICULE_RADIUS_MM, draw_spicules


@pytest.mark.parametrize("seed", range(5))
def test_spicules_start_just_below_the_surface_and_end_outside(seed) -> None:
    rng = np.random.default_rng(seed)
    part = Part(centre_xyz=(5.0, 6.0, 7.0), outline=draw_outline(rng, radii_mm=(12.0, 9.0, 6.0), roughness=0.0))
    to_unit = np.asarray(part.outline.rotation).reshape(3, 3).T / np.asarray(part.outline.radii_mm)[:, None]
    spicules = draw_spicules(part, rng)
    assert SPICULE_COUNT[0] <= len(spicules) < SPICULE_COUNT[1]
    for spicule in spicules:
        base, tip = (np.linalg.norm(to_unit @ np.subtract(end, part.centre_xyz)) for end in (spicule.base_xyz, spicule.tip_xyz))
        assert base == pytest.approx(0.85, abs=0.01)
        assert tip > 1.0
        assert SPICULE_RADIUS_MM[0] <= spicule.base_radius_mm <= SPICULE_RADIUS_MM[1]


def test_equal_seeds_give_equal_spicules() -> None:
    first, again = (draw_spicules(ball((0.0, 0.0, 0.0), 9.0), np.random.default_rng(4)) for _ in range(2))
    assert first == again
