import pytest

from panlesion.ct.organs import V1_LABELS
from panlesion.ct.phase import Phase
from panlesion.lesion.taxonomy import LesionType
from panlesion.synth import phantom_hosts
from panlesion.synth.phantom_hosts import HostPhantom, Region, draw_phantom, draw_phantoms

LIVER, LUNG, BLADDER = (LesionType.LIVER_TUMOR, LesionType.LUNG_TUMOR, LesionType.BLADDER_CANCER)


def test_phantoms_vary_in_seed_and_phase_and_are_the_same_again():
    drawn = draw_phantoms(8, 3, [LIVER], 280)
    assert drawn == draw_phantoms(8, 3, [LIVER], 280)
    assert len({host.seed for host in drawn}) == 8
    assert {host.phase for host in drawn[:4]} == set(Phase)
    assert drawn[:4] == draw_phantoms(4, 3, [LIVER], 280)
    assert drawn != draw_phantoms(8, 4, [LIVER], 280)


def test_only_the_regions_that_are_needed_are_drawn_and_do_not_change_each_other():
    every = draw_phantoms(2, 3, [LIVER, LUNG, BLADDER, LesionType.BONE_METASTASIS], 280)
    assert [host.region for host in every] == [region for region in (Region.CHEST, Region.ABDOMEN, Region.PELVIS) for _ in "12"]
    assert set(draw_phantoms(2, 3, [LUNG], 280)) <= set(every)
    assert {host.region for host in draw_phantoms(2, 3, [LesionType.BONE_METASTASIS], 280)} == {Region.ABDOMEN}


def test_a_whole_field_of_view_is_a_torso():
    assert {host.region for host in draw_phantoms(2, 3, [LIVER, LUNG], 0)} == {Region.TORSO}


@pytest.fixture
def asked(monkeypatch):
    """What `make_phantom` was asked for."""
    asked = {}
    monkeypatch.setattr(phantom_hosts, "make_phantom", lambda seed, **options: asked.update(seed=seed, **options))
    return asked


@pytest.mark.parametrize(
    ("region", "centre"), [(Region.CHEST, "esophagus"), (Region.ABDOMEN, None), (Region.PELVIS, "urinary_bladder")]
)
def test_a_region_is_a_cube_of_the_asked_size_around_its_middle(asked, region, centre):
    draw_phantom(HostPhantom(id="p", seed=4, phase=Phase.PORTAL, region=region, size_voxels=56), 5.0)
    assert asked == {"seed": 4, "spacing_mm": 5.0, "shape": (56, 56, 56), "centre": centre, "phase": Phase.PORTAL}
    assert centre is None or centre in V1_LABELS


def test_a_torso_is_drawn_whole(asked):
    draw_phantom(HostPhantom(id="p", seed=4, phase=Phase.PORTAL, region=Region.TORSO, size_voxels=0), 2.0)
    assert asked == {"seed": 4, "spacing_mm": 2.0, "phase": Phase.PORTAL}
