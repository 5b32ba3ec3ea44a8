"""Core and coarse SD: noise alone reads nothing, texture reads itself."""

import numpy as np
import pytest
from lesions_made import make

from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.scene import cut_scene
from panlesion.measure.texture import CORE_SHARE, coarse_sd_hu, core_of


def scene_of(made):
    return cut_scene(made.ct, made.lesion, made.organs, LesionType.LIVER_TUMOR)


def sds(count=6, edge_mm=1.0, **what):
    found = []
    for seed in range(count):
        made = make(np.random.default_rng(seed), **what)
        scene = scene_of(made)
        found.append(coarse_sd_hu(scene.hu, core_of(scene, edge_mm), made.facts.noise(5), scene.spacing_mm))
    return np.array(found)


@pytest.mark.parametrize("spacing_mm", [(0.8, 0.8, 0.8), (1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (3.0, 3.0, 3.0)])
@pytest.mark.parametrize("sd_hu", [10.0, 60.0])
def test_an_even_lesion_reads_even_however_noisy(spacing_mm, sd_hu):
    sd_hu = sd_hu if min(spacing_mm) < 3 else sd_hu / 2
    found = sds(spacing_mm=spacing_mm, radii_mm=(12, 12, 12), sd_hu=sd_hu, sigma_voxels=0.6)
    assert np.median(found) < 6.0
    assert found.max() < 12.0


@pytest.mark.parametrize("sd_hu", [5.0, 30.0])
def test_texture_reads_the_same_through_noise(sd_hu):
    clean = sds(radii_mm=(14, 14, 14), texture_hu=30.0, sd_hu=0.5)
    assert sds(radii_mm=(14, 14, 14), texture_hu=30.0, sd_hu=sd_hu).mean() == pytest.approx(clean.mean(), rel=0.2)
    assert clean.min() > 12.0


def test_more_texture_reads_more():
    found = [sds(3, radii_mm=(12, 12, 12), texture_hu=t, sd_hu=10.0).mean() for t in (0.0, 10.0, 20.0, 40.0)]
    assert found == sorted(found)


def test_a_wide_margin_does_not_make_an_even_lesion_uneven():
    found = sds(radii_mm=(12, 12, 12), margin_mm=2.5, step_hu=-60.0, sd_hu=10.0, edge_mm=2.6)
    assert found.max() < 12.0


def test_the_core_keeps_clear_of_the_edge_but_never_vanishes():
    scene = scene_of(make(np.random.default_rng(1), radii_mm=(10, 10, 10)))
    core = core_of(scene, 1.0)
    assert (core <= scene.lesion).all()
    assert scene.to_boundary_mm(scene.depth_mm[core]).min() >= 1.4
    for edge_mm in (3.0, 50.0):
        share = np.count_nonzero(core_of(scene, edge_mm)) / np.count_nonzero(scene.lesion)
        assert CORE_SHARE <= share < 0.5
    tiny = scene_of(make(np.random.default_rng(2), (3.0, 3.0, 3.0), (2.0, 2.0, 2.0)))
    assert core_of(tiny, 2.0).any()


@pytest.mark.parametrize("radius_mm", [4.7, 5.2, 5.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_core_of_few_voxels_is_about_a_quarter_and_no_shell(radius_mm, seed):
    """At 2 mm most voxels of such a ball lie at its surface: a core that took them all would be its edge."""
    scene = scene_of(make(np.random.default_rng(seed), (2.0, 2.0, 2.0), (radius_mm,) * 3))
    core = core_of(scene, 50.0)
    assert core.any()
    assert np.count_nonzero(core) <= 0.5 * np.count_nonzero(scene.lesion)
    assert scene.depth_mm[core].min() >= scene.depth_mm[scene.lesion & ~core].max()
