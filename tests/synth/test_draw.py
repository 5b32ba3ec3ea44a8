"""What the caller wants is what a plan says, or an error says why not."""

import numpy as np
import pytest
from terrain_made import KIDNEY, LIVER, SPLEEN, blocks_host, liver_host

from panlesion.errors import PlacementError
from panlesion.lesion.priors.appearance import APPEARANCE
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours
from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface
from panlesion.measure.size import largest_diameter_mm
from panlesion.synth.compose import draw_lesion, make_case, render_lesion
from panlesion.synth.draw import (
    GUARD_HU,
    KEEP_GAP_MM,
    ONLY_WALL,
    Wanted,
    check_wishes,
    choose,
    density_of,
    draw_mean_hu,
    draw_mean_offset,
    draw_reading,
)
from panlesion.synth.host import Site
from panlesion.synth.terrain import distance_mm
from panlesion.synth.verify import verify

STONES = (LesionType.GALLSTONE, LesionType.KIDNEY_STONE)
CYSTS = (LesionType.LIVER_CYST, LesionType.PANCREAS_CYST, LesionType.KIDNEY_CYST)
# What a lesion of each type can be in a portal-phase host.
DENSITIES = {
    LesionType.LUNG_TUMOR: (Density.HYPO, Density.ISO),
    LesionType.LIVER_TUMOR: (Density.HYPO,),
    **dict.fromkeys(CYSTS, (Density.HYPO,)),
    LesionType.GALLSTONE: (Density.HYPER,),
    LesionType.KIDNEY_STONE: (Density.HYPER,),
    LesionType.PANCREAS_TUMOR: (Density.HYPO, Density.HYPER),
    LesionType.KIDNEY_TUMOR: (Density.HYPO,),
    LesionType.BONE_METASTASIS: (Density.HYPO, Density.HYPER),
}


# Lumen and wall decide as well how sharp these read, and a gullet's wall is thin in places: granted to 7 and 4 of 8 seeds in a
# torso (docs/lesions.md).
HARD = {
    (LesionType.ESOPHAGEAL_CANCER, "surface", Surface.ILL_DEFINED),
    (LesionType.BLADDER_CANCER, "surface", Surface.ILL_DEFINED),
}


# What a type mostly is anyway is not asked for: it is in `first_draws`. Long organs are slow and asked for little.
USUAL = {Heterogeneity.HOMOGENEOUS, Surface.WELL_DEFINED, Shape.ROUND, Density.ISO}
LONG = {LesionType.ESOPHAGEAL_CANCER, LesionType.GASTRIC_CANCER, LesionType.COLORECTAL_CANCER}


def wishes() -> list:
    """Every plausible (type, attribute, value), less those that a torso hardly ever has room for."""
    made = []
    for type in LesionType:
        look = APPEARANCE[type]
        values = {"density": DENSITIES.get(type, (Density.ISO, Density.HYPER))}
        if type not in STONES:
            values["shape"] = tuple(look.shapes)
            values["surface"] = tuple(Surface) if look.ill_defined else (Surface.WELL_DEFINED,)
            values["heterogeneity"] = tuple(Heterogeneity) if look.heterogeneous > 0.2 else (Heterogeneity.HOMOGENEOUS,)
            values["invasion"] = tuple(Invasion) if look.close else (Invasion.NOT_CLOSE,)
        made += [(type, name, value) for name, options in values.items() for value in options]
    brief = [wish for wish in made if wish[0] not in LONG or wish[1] in ("shape", "surface")]
    brief.append((LesionType.ESOPHAGEAL_CANCER, "invasion", Invasion.NOT_CLOSE))
    never = {(type, "shape", Shape.IRREGULAR) for type in ONLY_WALL}
    return [wish for wish in brief if wish not in HARD | never and wish[2] not in USUAL]


@pytest.mark.parametrize(("type", "name", "value"), wishes())
def test_a_wish_is_honoured_and_true_of_the_voxels(phantom_host, type, name, value) -> None:
    thin = type in (LesionType.ESOPHAGEAL_CANCER, LesionType.GALLBLADDER_CANCER)
    diameter_mm = (6.0, 9.0) if type in STONES else (24.0, 34.0) if thin else (19.0, 26.0)
    wanted = Wanted(**{name: value}, diameter_mm=diameter_mm)
    made = make_case(phantom_host, [type], np.random.default_rng(3), wanted=wanted)
    row = made.record["lesions"][0]
    assert row["plan"]["spec"][name] == value.value
    assert row["measured"][name] == value.value


@pytest.mark.parametrize(
    ("type", "wanted", "instead"),
    [
        (LesionType.ESOPHAGEAL_CANCER, Wanted(shape=Shape.IRREGULAR), "Wall thickening"),
        (LesionType.LIVER_TUMOR, Wanted(shape=Shape.WALL), "another shape"),
        (LesionType.GALLSTONE, Wanted(shape=Shape.WALL), "another shape"),
        (LesionType.LIVER_CYST, Wanted(shape=Shape.PUNCTATE, diameter_mm=(12.0, 20.0)), "smaller diameter"),
        (LesionType.LIVER_CYST, Wanted(shape=Shape.ROUND, diameter_mm=(5.0, 9.0)), "larger diameter"),
        (LesionType.GALLSTONE, Wanted(invasion=Invasion.CLOSE), "No close relationship"),
        (LesionType.KIDNEY_STONE, Wanted(surface=Surface.ILL_DEFINED), "Well-defined"),
    ],
)
def test_a_wish_that_no_host_can_grant_is_refused_at_once_with_what_to_ask_instead(type, wanted, instead) -> None:
    with pytest.raises(PlacementError, match=instead):
        check_wishes(type, wanted)


@pytest.mark.parametrize("type", LesionType)
def test_what_a_type_may_look_like_is_never_refused_at_once(type) -> None:
    look = APPEARANCE[type]
    for shape in set(look.shapes) - ({Shape.IRREGULAR} if type in ONLY_WALL else set()):
        check_wishes(type, Wanted(shape=shape))
    for surface in Surface if look.ill_defined else [Surface.WELL_DEFINED]:
        check_wishes(type, Wanted(surface=surface))
    for invasion in Invasion if look.close else [Invasion.NOT_CLOSE]:
        check_wishes(type, Wanted(invasion=invasion))


@pytest.mark.parametrize("diameter_mm", [9.0, 30.0])
def test_a_wanted_diameter_is_the_masks(phantom_host, diameter_mm) -> None:
    for type in (LesionType.LIVER_CYST, LesionType.KIDNEY_TUMOR):
        plan = draw_lesion(phantom_host, type, np.random.default_rng(2), wanted=Wanted(diameter_mm=(diameter_mm,) * 2))
        mask = render_lesion(plan, phantom_host).mask
        measured = largest_diameter_mm(mask, phantom_host.ct.grid.spacing_mm)
        assert measured == pytest.approx(diameter_mm, abs=max(0.1 * diameter_mm, 2.0))
        assert plan.spec.diameter_mm == pytest.approx(measured, abs=max(0.1 * diameter_mm, 2.0))


@pytest.mark.parametrize(
    ("type", "label", "seat"),
    [
        (LesionType.LUNG_TUMOR, 17, None),
        (LesionType.KIDNEY_CYST, 3, None),
        (LesionType.LIVER_TUMOR, 5, "segment VII"),
        (LesionType.BONE_METASTASIS, 20, None),
    ],
)
def test_a_wanted_organ_and_seat_are_kept(phantom_host, type, label, seat) -> None:
    wanted = Wanted(organ_label=label, seat=seat, diameter_mm=(11.0, 14.0))
    plan = draw_lesion(phantom_host, type, np.random.default_rng(5), wanted=wanted)
    assert plan.spec.organ_label == label
    assert seat in (None, plan.spec.seat)


def kidney_beside_spleen():
    blocks = {KIDNEY: ((-34.0, -30.0, -24.0), (-2.0, 30.0, 24.0)), SPLEEN: ((4.0, -30.0, -24.0), (34.0, 30.0, 24.0))}
    return blocks_host(blocks, sd_hu=6.0)


@pytest.fixture(scope="module")
def kidney_host():
    return kidney_beside_spleen()


@pytest.mark.parametrize("seed", range(4))
def test_no_close_relationship_keeps_its_distance(kidney_host, seed) -> None:
    wanted = Wanted(invasion=Invasion.NOT_CLOSE, diameter_mm=(16.0, 24.0))
    plan = draw_lesion(kidney_host, LesionType.KIDNEY_TUMOR, np.random.default_rng(seed), wanted=wanted)
    rendered = render_lesion(plan, kidney_host)
    check = verify(rendered, kidney_host, kidney_host.ct.hu, kidney_host.organs.labels)
    gap_mm = check.attributes.relation.gap_mm
    assert plan.spec.invasion is check.attributes.invasion is Invasion.NOT_CLOSE
    assert gap_mm is None or gap_mm >= KEEP_GAP_MM - 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_a_close_relationship_closes_the_gap_and_erases_the_fat_in_it(kidney_host, seed) -> None:
    wanted = Wanted(invasion=Invasion.CLOSE, diameter_mm=(20.0, 28.0), surface=Surface.WELL_DEFINED)
    plan = draw_lesion(kidney_host, LesionType.KIDNEY_TUMOR, np.random.default_rng(seed), wanted=wanted)
    rendered = render_lesion(plan, kidney_host)
    hu, mask = kidney_host.ct.hu.astype(np.float32), np.zeros(kidney_host.ct.grid.shape, dtype=bool)
    hu[rendered.box.slices] = rendered.hu
    mask[rendered.box.slices] = rendered.mask
    spleen, grid = kidney_host.organs.labels == SPLEEN, kidney_host.ct.grid
    away = distance_mm(spleen, grid.spacing_mm)
    nearest = np.unravel_index(np.argmin(np.where(mask, away, np.inf)), mask.shape)
    assert away[nearest] - 1 < KEEP_GAP_MM
    fat_before = (kidney_host.ct.hu < -60) & (away < 8)
    assert (mask & fat_before).any()
    assert hu[mask & fat_before & (distance_mm(~mask, grid.spacing_mm) > 1.5)].mean() > plan.spec.mean_hu - 45


def test_readings_follow_the_priors_where_nothing_is_wanted() -> None:
    site = Site(host=liver_host(), type=LesionType.LIVER_TUMOR)
    rng = np.random.default_rng(0)
    readings = [draw_reading(site, Wanted(diameter_mm=(25.0, 40.0)), rng) for _ in range(400)]
    prior = APPEARANCE[LesionType.LIVER_TUMOR]
    shares = {
        "heterogeneous": np.mean([r.heterogeneity is Heterogeneity.HETEROGENEOUS for r in readings]),
        "ill_defined": np.mean([r.surface is Surface.ILL_DEFINED for r in readings]),
        "close": np.mean([r.invasion is Invasion.CLOSE for r in readings]),
    }
    for name, share in shares.items():
        assert share == pytest.approx(getattr(prior, name), abs=0.08)


def test_small_lesions_are_punctate_and_homogeneous() -> None:
    site = Site(host=liver_host(), type=LesionType.LIVER_TUMOR)
    readings = [draw_reading(site, Wanted(diameter_mm=(5.0, 8.0)), np.random.default_rng(n)) for n in range(50)]
    assert {r.shape for r in readings} == {Shape.PUNCTATE}
    assert {r.heterogeneity for r in readings} == {Heterogeneity.HOMOGENEOUS}


@pytest.mark.parametrize("density", [None, Density.HYPO])
def test_a_drawn_mean_is_clear_of_the_fences_and_follows_the_host(density) -> None:
    site = Site(host=liver_host(), type=LesionType.LIVER_TUMOR)
    means = [draw_mean_hu(site, Wanted(density=density), LIVER, np.random.default_rng(n)) for n in range(100)]
    for mean in means:
        found, guard = density_of(site, mean, LIVER)
        assert guard >= GUARD_HU
        assert density in (None, found)
    line = APPEARANCE[LesionType.LIVER_TUMOR].density[site.phase]
    assert np.mean(means) == pytest.approx(line.mean_hu(100.0), abs=6)


def test_a_mean_at_an_offset_lies_in_its_range_or_is_refused() -> None:
    site = Site(host=liver_host(), type=LesionType.LIVER_TUMOR)
    reference = site.host.facts.reference_hu(LesionType.LIVER_TUMOR, LIVER)
    mean = draw_mean_offset(site, Wanted(), LIVER, np.random.default_rng(0), offset_hu=(20.0, 50.0))
    assert 20 <= mean - reference <= 50
    with pytest.raises(PlacementError, match="Hypodense"):
        draw_mean_offset(site, Wanted(density=Density.HYPO), LIVER, np.random.default_rng(0), offset_hu=(20.0, 50.0))


def test_choices_follow_their_shares() -> None:
    rng = np.random.default_rng(0)
    picks = [choose({"a": 3.0, "b": 1.0}, rng) for _ in range(800)]
    assert picks.count("a") / 800 == pytest.approx(0.75, abs=0.05)


def test_equal_seeds_give_equal_plans(phantom_host) -> None:
    for type in (LesionType.BLADDER_CANCER, LesionType.LIVER_TUMOR):
        first, again, other = (
            draw_lesion(phantom_host, type, np.random.default_rng(n), wanted=Wanted(diameter_mm=(20.0, 30.0)))
            for n in (8, 8, 9)
        )
        assert first == again
        assert first != other


@pytest.mark.parametrize("type", [t for t in LesionType if TYPES[t].neighbours is Neighbours.NONE])
def test_stones_have_no_neighbours_to_be_close_to(first_draws, type) -> None:
    assert {draw.plan.spec.invasion for draw in first_draws[type]} == {Invasion.NOT_CLOSE}
