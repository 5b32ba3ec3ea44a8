"""Stones are dense, compact, and lie where gravity or the calyces hold them."""

import numpy as np
import pytest
from scipy import ndimage
from terrain_made import sac_host

from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Density, Feature, Invasion, Surface
from panlesion.measure.size import largest_diameter_mm
from panlesion.synth.compose import draw_lesion, make_case, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.plan import from_json


def centres(made) -> np.ndarray:
    return np.array([from_json(row["plan"]).spec.centre_xyz for row in made.record["lesions"]])


@pytest.mark.parametrize("seed", range(4))
def test_gallstones_lie_in_the_back_of_the_gallbladder_and_beside_each_other(seed) -> None:
    host = sac_host()
    made = make_case(host, [LesionType.GALLSTONE] * 4, np.random.default_rng(seed), wanted=Wanted(diameter_mm=(5.0, 9.0)))
    at = centres(made)
    assert len(at) >= 2
    assert np.all(at[:, 1] < 0), "the back is at negative y in RAS+"
    sizes = [from_json(row["plan"]).spec.diameter_mm for row in made.record["lesions"]]
    volume = np.count_nonzero(made.label.labels == 2)
    seen = 0
    for row in made.record["lesions"]:
        seen += int(render_lesion(from_json(row["plan"]), host).mask.sum())
    assert volume == pytest.approx(seen, rel=0.03), "stones overlap"
    assert max(sizes) == sizes[0]


def test_stones_of_one_gallbladder_are_of_one_kind() -> None:
    made = make_case(sac_host(), [LesionType.GALLSTONE] * 3, np.random.default_rng(7), wanted=Wanted(diameter_mm=(6.0, 8.0)))
    features = [from_json(row["plan"]).spec.features for row in made.record["lesions"]]
    kinds = [one & {Feature.CALCIFICATION, Feature.RIM_CALCIFIED} for one in features]
    assert all(Feature.DEPENDENT in one for one in features)
    assert all(Feature.MULTIPLE in one for one in features[1:])
    assert all(kind == kinds[0] for kind in kinds)


@pytest.mark.parametrize("seed", range(5))
def test_a_gallstone_rests_near_the_floor(seed) -> None:
    host = sac_host()
    plan = draw_lesion(host, LesionType.GALLSTONE, np.random.default_rng(seed), wanted=Wanted(diameter_mm=(6.0, 12.0)))
    rendered = render_lesion(plan, host)
    y = host.ct.grid.crop(rendered.box).to_xyz(np.argwhere(rendered.mask))[:, 1]
    floor = host.ct.grid.to_xyz(np.argwhere(host.organs.labels == 4))[:, 1].min()
    assert y.min() - floor < 6.0
    assert plan.spec.surface is Surface.WELL_DEFINED
    assert plan.spec.invasion is Invasion.NOT_CLOSE
    assert not (rendered.mask & (host.organs.labels[rendered.box.slices] != 4)).any()


@pytest.mark.parametrize("kind", [Feature.CALCIFICATION, Feature.RIM_CALCIFIED])
def test_calcified_stones_are_dense_through_or_at_the_rim(kind) -> None:
    host = sac_host()
    wanted = Wanted(features=frozenset({kind}), diameter_mm=(11.0, 13.0))
    plan = draw_lesion(host, LesionType.GALLSTONE, np.random.default_rng(3), wanted=wanted)
    rendered = render_lesion(plan, host)
    depth = ndimage.distance_transform_edt(rendered.mask)
    rim, middle = rendered.hu[(depth > 0) & (depth <= 2)].mean(), rendered.hu[depth >= depth.max() - 1].mean()
    assert kind in plan.spec.features
    assert plan.spec.density is Density.HYPER
    if kind is Feature.RIM_CALCIFIED:
        assert rim > middle + 50
    else:
        assert middle > 100


def test_kidney_stones_are_dense_and_deep(first_draws, phantom_host) -> None:
    for draw in first_draws[LesionType.KIDNEY_STONE]:
        if draw.plan.spec.diameter_mm > 4.5:
            assert draw.plan.spec.density is Density.HYPER
        assert 100 <= draw.plan.matter.base_hu <= 2200
        kidney = phantom_host.organs.mask({2, 3})[draw.rendered.box.slices]
        assert not (draw.rendered.mask & ~kidney).any()
        assert largest_diameter_mm(draw.rendered.mask, phantom_host.ct.grid.spacing_mm) < 80
