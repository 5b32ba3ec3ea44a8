"""A drawn lesion is fitted to its host: the drawn diameter, the drawn mean, the drawn spread."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from terrain_made import LIVER, ball, ball_plan, liver_host

from panlesion.errors import PlacementError
from panlesion.lesion.priors.size import draw_size
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Heterogeneity, Invasion, Shape, Surface
from panlesion.measure.margin import ill_defined_from_mm
from panlesion.measure.size import largest_diameter_mm
from panlesion.synth.compose import render_lesion
from panlesion.synth.draw import Reading, Wanted
from panlesion.synth.fit import Fitted, draw_margin_mm, fit_geometry, fit_matter, settled_surface, texture_layer
from panlesion.synth.host import Site
from panlesion.synth.plan import Confine, Geometry, Layer, LayerKind, Matter, Plan, from_json, to_json
from panlesion.synth.verify import verify

CENTRE = (-5.0, 0.0, 0.0)


@pytest.mark.parametrize("diameter_mm", [8.0, 17.0, 30.0])
def test_a_geometry_is_scaled_until_its_mask_has_the_diameter(diameter_mm) -> None:
    geometry = Geometry(parts=(ball(CENTRE, 0.4 * diameter_mm),), confine=Confine.ORGAN)
    fitted = fit_geometry(geometry, site(), organ_label=LIVER, centre_xyz=CENTRE, diameter_mm=diameter_mm)
    assert fitted.diameter_mm == pytest.approx(diameter_mm, abs=max(0.04 * diameter_mm, 0.5))
    assert largest_diameter_mm(fitted.mask, fitted.terrain.grid.spacing_mm) == fitted.diameter_mm


def test_what_the_organ_has_no_room_for_is_an_error() -> None:
    geometry = Geometry(parts=(ball(CENTRE, 30.0),), confine=Confine.ORGAN)
    with pytest.raises(PlacementError, match="liver_tumor"):
        fit_geometry(geometry, site(), organ_label=LIVER, centre_xyz=CENTRE, diameter_mm=140.0)


@pytest.mark.parametrize("diameter_mm", [0.7, 1.0, 1.6, 2.5])
def test_a_lesion_near_the_size_of_a_voxel_is_made_or_refused_never_a_crash(diameter_mm) -> None:
    coarse = Site(host=liver_host(spacing_mm=(2.0, 2.0, 2.0)), type=LesionType.LIVER_TUMOR)
    geometry = Geometry(parts=(ball(CENTRE, diameter_mm / 2),), confine=Confine.ORGAN)
    try:
        fitted = fit_geometry(geometry, coarse, organ_label=LIVER, centre_xyz=CENTRE, diameter_mm=diameter_mm)
    except PlacementError:
        return
    assert fitted.mask.any()


def test_a_draft_is_coarser_and_as_large() -> None:
    geometry = Geometry(parts=(ball(CENTRE, 10.0),), confine=Confine.ORGAN)
    drafted = fit_geometry(geometry, replace(site(), draft=True), organ_label=LIVER, centre_xyz=CENTRE, diameter_mm=26.0)
    assert drafted.terrain.step > fitted_ball(26.0).terrain.step
    assert drafted.diameter_mm == pytest.approx(26.0, abs=1.3)
    assert drafted.shape() is Shape.ROUND
    assert drafted.invasion() is Invasion.NOT_CLOSE


def site() -> Site:
    return Site(host=liver_host(), type=LesionType.LIVER_TUMOR)


def fitted_ball(diameter_mm: float) -> Fitted:
    geometry = Geometry(parts=(ball(CENTRE, diameter_mm / 2),), confine=Confine.ORGAN)
    return fit_geometry(geometry, site(), organ_label=LIVER, centre_xyz=CENTRE, diameter_mm=diameter_mm)


def reading_of(heterogeneity: Heterogeneity, surface: Surface = Surface.WELL_DEFINED) -> Reading:
    return Reading(
        size=draw_size(LesionType.LIVER_TUMOR, np.random.default_rng(0), diameter_mm=(28.0, 28.0)),
        shape=Shape.ROUND,
        heterogeneity=heterogeneity,
        surface=surface,
        invasion=Invasion.NOT_CLOSE,
    )


def test_a_fitted_ball_knows_its_thickness_shape_and_relation() -> None:
    fitted = fitted_ball(26.0)
    assert fitted.inscribed_mm == pytest.approx(26.0, abs=1.5)
    assert fitted.shape() is Shape.ROUND
    assert fitted.invasion() is Invasion.NOT_CLOSE
    cores = [fitted.core(sigma) for sigma in (0.5, 1.5, 3.0)]
    assert all(not (inner & ~outer).any() for outer, inner in pairwise(cores))
    assert not (cores[0] & ~fitted.mask).any()


@pytest.mark.parametrize("heterogeneity", Heterogeneity)
@pytest.mark.parametrize("seed", range(3))
def test_matter_gets_the_mean_and_the_spread_that_were_drawn(heterogeneity, seed) -> None:
    rng, fitted = np.random.default_rng(seed), fitted_ball(30.0)
    matter = Matter(base_hu=10.0, layers=(texture_layer(rng, 30.0),), noise_seed=7)
    made, mean, reading = fit_matter(matter, fitted, site(), Wanted(), reading_of(heterogeneity), rng, mean_hu=55.0)
    assert mean == pytest.approx(55.0, abs=2.0)
    assert reading.heterogeneity is heterogeneity
    plan = replace(plan_with(made), spec=replace(plan_with(made).spec, diameter_mm=30.0))
    host = liver_host()
    measured = verify(render_lesion(plan, host), host, host.ct.hu, host.organs.labels).attributes
    assert measured.core_mean_hu == pytest.approx(55.0, abs=5.0)
    assert measured.heterogeneity is heterogeneity


def plan_with(matter: Matter) -> Plan:
    return ball_plan(15.0, matter=matter)


def test_layers_count_towards_the_mean() -> None:
    rng, fitted = np.random.default_rng(1), fitted_ball(30.0)
    core = Layer(kind=LayerKind.CORE, hu=0.0, start_mm=7.0, soft_mm=2.0)
    made, mean, _ = fit_matter(
        Matter(base_hu=60.0, layers=(core,)),
        fitted,
        site(),
        Wanted(),
        reading_of(Heterogeneity.HETEROGENEOUS),
        rng,
        mean_hu=50.0,
    )
    assert mean == pytest.approx(50.0, abs=3.0)
    assert made.base_hu > 55.0


def test_a_margin_is_fitted_to_the_rule_and_ragged() -> None:
    fitted = fitted_ball(30.0)
    rng = np.random.default_rng(2)
    threshold = ill_defined_from_mm(fitted.terrain.grid.spacing_mm)
    assert draw_margin_mm(reading_of(Heterogeneity.HOMOGENEOUS), fitted, rng) == 0
    faded = reading_of(Heterogeneity.HOMOGENEOUS, Surface.ILL_DEFINED)
    margins = [draw_margin_mm(faded, fitted, rng) for _ in range(30)]
    assert min(margins) > 1.5 * threshold
    assert max(margins) < 5 * threshold
    made, _, _ = fit_matter(Matter(base_hu=50.0, margin_mm=2.5), fitted, site(), Wanted(), faded, rng, mean_hu=50.0)
    assert made.margin_field is not None
    plan = plan_with(made)
    assert from_json(to_json(plan)) == plan


def test_thin_lesions_are_well_defined_or_refused() -> None:
    thin, thick = fitted_ball(6.0), fitted_ball(30.0)
    faded = reading_of(Heterogeneity.HOMOGENEOUS, Surface.ILL_DEFINED)
    assert settled_surface(faded, Wanted(), thin).surface is Surface.WELL_DEFINED
    assert settled_surface(faded, Wanted(), thick).surface is Surface.ILL_DEFINED
    with pytest.raises(PlacementError, match="ill-defined"):
        settled_surface(faded, Wanted(surface=Surface.ILL_DEFINED), thin)


def test_a_spread_near_the_fence_is_refused() -> None:
    threshold = TYPES[LesionType.LIVER_TUMOR].heterogeneous_sd_hu
    rng = np.random.default_rng(3)
    fence = Layer(kind=LayerKind.CORE, hu=50.0 - 3.2 * threshold, start_mm=8.0, soft_mm=1.0)
    with pytest.raises(PlacementError, match="fence"):
        fit_matter(
            Matter(base_hu=50.0, layers=(fence,)),
            fitted_ball(30.0),
            site(),
            Wanted(),
            reading_of(Heterogeneity.HOMOGENEOUS),
            rng,
            mean_hu=None,
        )
