"""Matter meets host: noise, margin and mass effect are the host's own."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from terrain_made import (
    LIVER,
    ORGAN_HU,
    PSOAS,
    ball,
    ball_plan,
    blocks_host,
    liver_host,
    noise_of,
    terrain_of,
    world,
)

from panlesion.ct.volume import LabelMap, Volume
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.margin import STAIRCASE_VOXELS, measure_margin
from panlesion.measure.noise import measure_noise, unlike
from panlesion.measure.region import eroded, voxels_of
from panlesion.measure.scene import cut_scene
from panlesion.synth.blend import blend, lay_strand, push_reach_mm
from panlesion.synth.compose import render_lesion
from panlesion.synth.host import Host
from panlesion.synth.plan import Blend, Matter, Strand
from panlesion.synth.shape.outline import render_outline

PLAIN = Matter(base_hu=50.0, noise_seed=11)
CENTRE = (-5.0, 0.0, 0.0)


def pasted(host: Host, rendered) -> np.ndarray:
    """The host's HU with a rendered lesion in it."""
    hu = host.ct.hu.copy()
    hu[rendered.box.slices] = rendered.hu
    return hu


def mask_of(host: Host, rendered) -> np.ndarray:
    mask = np.zeros(host.ct.grid.shape, dtype=bool)
    mask[rendered.box.slices] = rendered.mask
    return mask


@pytest.mark.parametrize("sd_hu", [8.0, 20.0, 40.0])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.5)])
@pytest.mark.parametrize("push", [0.0, 0.6])
def test_a_lesion_carries_the_noise_of_its_host(sd_hu, spacing_mm, push) -> None:
    host = liver_host(sd_hu=sd_hu, spacing_mm=spacing_mm, noise_sigma_mm=0.9)
    rendered = render_lesion(ball_plan(18.0, matter=replace(PLAIN, push=push)), host)
    inner = eroded(mask_of(host, rendered), voxels_of(3.0, spacing_mm))
    organ = eroded(host.organs.labels == LIVER, voxels_of(3.0, spacing_mm))
    lesion, healthy = measure_noise(pasted(host, rendered), inner, spacing_mm), measure_noise(host.ct.hu, organ, spacing_mm)
    assert lesion.sd_hu == pytest.approx(healthy.sd_hu, rel=0.15)
    centre = healthy.reach_voxels
    for axis in range(3):
        for lag in (1, 2):
            index = [centre] * 3
            index[axis] += lag
            assert lesion.acf[tuple(index)] == pytest.approx(float(healthy.acf[tuple(index)]), abs=0.15)
    assert unlike(lesion, healthy) < 0.08


def test_the_noise_in_the_lesion_is_not_the_noise_that_was_there_before() -> None:
    host = liver_host(sd_hu=20.0)
    rendered = render_lesion(ball_plan(18.0, matter=PLAIN), host)
    core = eroded(mask_of(host, rendered), (4, 4, 4))
    assert abs(np.corrcoef(pasted(host, rendered)[core], host.ct.hu[core])[0, 1]) < 0.1


def test_the_noise_neither_swells_nor_fades_across_the_margin() -> None:
    host = liver_host(sd_hu=20.0)
    rendered = render_lesion(ball_plan(18.0, matter=replace(PLAIN, base_hu=ORGAN_HU, margin_mm=3.0)), host)
    distance = np.linalg.norm(world(host.ct.grid) - CENTRE, axis=-1) - 18.0
    hu = pasted(host, rendered).astype(np.float32)
    for low, high in ((-12, -6), (-4, -1), (-1, 1), (1, 4), (5, 9)):
        assert hu[(distance > low) & (distance < high)].std() == pytest.approx(20.0, rel=0.1)


def test_in_the_core_the_host_is_gone_and_the_mean_is_the_matters() -> None:
    host = vessel_host(0.0)
    rendered = render_lesion(ball_plan(18.0, matter=PLAIN), host)
    core = eroded(mask_of(host, rendered), (4, 4, 4))
    vessel = core & (host.ct.hu > ORGAN_HU + 60)
    assert vessel.any()
    for where in (core, vessel):
        assert pasted(host, rendered)[where].mean() == pytest.approx(50.0, abs=1.5)


@pytest.mark.parametrize("push", [0.0, 0.6])
@pytest.mark.parametrize("margin_mm", [0.0, 2.0])
def test_far_from_the_lesion_nothing_changes(push, margin_mm) -> None:
    host = liver_host(sd_hu=12.0)
    rendered = render_lesion(ball_plan(12.0, matter=replace(PLAIN, push=push, margin_mm=margin_mm)), host)
    change = rendered.hu.astype(np.float32) - host.ct.hu[rendered.box.slices]
    distance = np.linalg.norm(world(host.ct.grid.crop(rendered.box)) - CENTRE, axis=-1) - 12.0
    assert np.all(change[distance > max(push_reach_mm(12.0) if push else 0.0, 3 * np.hypot(0.8, margin_mm) + 4)] == 0)
    for axis in range(3):
        for face in (0, -1):
            assert np.abs(np.take(change, face, axis)).mean() < 0.5
    assert np.abs(change[distance < -4]).mean() > 30


@pytest.mark.parametrize("psf_mm", [0.6, 1.0])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.2, 1.2, 1.2)])
def test_a_well_defined_margin_has_the_point_spread_of_the_host(psf_mm, spacing_mm) -> None:
    host = liver_host(psf_mm=psf_mm, spacing_mm=spacing_mm, sd_hu=6.0)
    rendered = render_lesion(ball_plan(14.0, matter=replace(PLAIN, base_hu=20.0)), host)
    ct = Volume(hu=pasted(host, rendered), grid=host.ct.grid)
    margin = measure_margin(cut_scene(ct, mask_of(host, rendered), host.organs, LesionType.LIVER_TUMOR), host.facts.psf_mm)
    expected = float(np.sqrt(psf_mm**2 + (STAIRCASE_VOXELS * spacing_mm[0]) ** 2))
    assert margin.edge_sigma_mm == pytest.approx(expected, rel=0.2)
    assert margin.well_defined


@pytest.mark.parametrize("margin_mm", [1.5, 2.5, 4.0])
def test_an_ill_defined_margin_is_as_wide_as_drawn(margin_mm) -> None:
    host = liver_host(sd_hu=6.0)
    rendered = render_lesion(ball_plan(18.0, matter=replace(PLAIN, base_hu=20.0, margin_mm=margin_mm)), host)
    ct = Volume(hu=pasted(host, rendered), grid=host.ct.grid)
    margin = measure_margin(cut_scene(ct, mask_of(host, rendered), host.organs, LesionType.LIVER_TUMOR), host.facts.psf_mm)
    assert margin.sigma_mm == pytest.approx(margin_mm, rel=0.2)
    assert not margin.well_defined


def vessel_host(offset_mm: float) -> Host:
    """Liver with a straight bright vessel of 5 mm along z, at a distance from the lesion's centre."""
    host = liver_host(sd_hu=0.5)
    xyz = world(host.ct.grid)
    tube = np.hypot(xyz[..., 0] - CENTRE[0] - offset_mm, xyz[..., 1] - CENTRE[1]) < 2.5
    hu = host.ct.hu + 120 * ndimage.gaussian_filter(tube.astype(np.float32), 0.8)
    return Host(
        id="vessel", ct=Volume(hu=np.rint(hu).astype(np.int16), grid=host.ct.grid), organs=host.organs, facts=host.facts
    )


@pytest.mark.parametrize("offset_mm", [11.0, 13.0])
def test_a_vessel_at_the_border_of_an_expansive_lesion_is_pushed_aside_not_painted_over(offset_mm) -> None:
    host = vessel_host(offset_mm)
    rendered = render_lesion(ball_plan(12.0, matter=replace(PLAIN, base_hu=ORGAN_HU, push=0.75)), host)
    near = np.abs(world(host.ct.grid)[..., 2] - CENTRE[2]) < 24
    liver = eroded(host.organs.labels == LIVER, (3, 3, 3))
    outside = near & liver & ~mask_of(host, rendered)
    before, after = ((hu.astype(np.float32) - ORGAN_HU) for hu in (host.ct.hu, pasted(host, rendered)))
    assert after[outside].sum() >= 0.8 * before[near & liver].sum()


def test_without_push_the_same_vessel_is_lost_where_the_lesion_lies() -> None:
    host = vessel_host(9.0)
    middle = (np.abs(world(host.ct.grid)[..., 2] - CENTRE[2]) < 14) & eroded(host.organs.labels == LIVER, (3, 3, 3))
    left = []
    for push in (0.0, 0.9):
        rendered = render_lesion(ball_plan(12.0, matter=replace(PLAIN, base_hu=ORGAN_HU, push=push)), host)
        hu = pasted(host, rendered).astype(np.float32) - ORGAN_HU
        left.append(float(hu[middle & ~mask_of(host, rendered)].sum() / (host.ct.hu[middle] - ORGAN_HU).sum()))
    assert left[0] < 0.5
    assert left[1] > left[0] + 0.2


def test_a_pushed_vessel_lies_farther_from_the_lesion_than_before() -> None:
    host = vessel_host(12.0)
    rendered = render_lesion(ball_plan(12.0, matter=replace(PLAIN, base_hu=ORGAN_HU, push=0.75)), host)
    middle = np.abs(world(host.ct.grid)[..., 2] - CENTRE[2]) < 1.5
    x = world(host.ct.grid)[..., 0]
    places = []
    for hu in (host.ct.hu, pasted(host, rendered)):
        bright = np.maximum(hu.astype(np.float32) - ORGAN_HU - 10, 0) * (middle & (host.organs.labels == LIVER))
        places.append(float((bright * x).sum() / bright.sum()))
    assert places[1] > places[0] + 1.5
    assert places[1] - CENTRE[0] > 12.0


@pytest.mark.parametrize("sd_hu", [10.0, 30.0])
@pytest.mark.parametrize("push", [0.3, 0.8])
def test_a_displaced_host_keeps_its_noise(sd_hu, push) -> None:
    host = liver_host(sd_hu=sd_hu)
    rendered = render_lesion(ball_plan(14.0, matter=replace(PLAIN, base_hu=ORGAN_HU, push=push)), host)
    distance = np.linalg.norm(world(host.ct.grid) - CENTRE, axis=-1) - 14.0
    liver = eroded(host.organs.labels == LIVER, (3, 3, 3))
    before, after = host.ct.hu.astype(np.float32), pasted(host, rendered).astype(np.float32)
    for low, high in ((2.0, 5.0), (5.0, 9.0)):
        shell = (distance > low) & (distance < high) & liver
        assert after[shell].std() == pytest.approx(before[shell].std(), rel=0.15)


def test_displacement_carries_the_labels_along_but_bone_stays() -> None:
    blocks = {
        LIVER: ((-36.0, -32.0, -28.0), (10.0, 32.0, 28.0)),
        1: ((10.0, -32.0, -28.0), (30.0, 32.0, 0.0)),
        30: ((10.0, -32.0, 0.0), (30.0, 32.0, 28.0)),
    }
    host = blocks_host(blocks, tissue_hu={30: 500.0}, sd_hu=2.0)
    rendered = render_lesion(ball_plan(12.0, centre_xyz=(-4.0, 0.0, 0.0), matter=replace(PLAIN, push=0.8)), host)
    before, after = host.organs.labels[rendered.box.slices], rendered.labels
    assert np.array_equal(before == 30, after == 30)
    moved = np.abs(rendered.hu.astype(int) - host.ct.hu[rendered.box.slices])[before == 30]
    assert np.quantile(moved, 0.95) < 40
    soft = (before == 1) & (after == LIVER)
    assert soft.any()


def test_vessels_shine_through_a_veil_and_vanish_under_replacement() -> None:
    host = blocks_host(
        {13: ((-36.0, -32.0, -28.0), (26.0, 32.0, 28.0)), PSOAS: ((27.0, -32.0, -28.0), (39.0, 32.0, 28.0))},
        tissue_hu={13: -860.0},
        sd_hu=15.0,
    )
    xyz = world(host.ct.grid)
    tube = np.hypot(xyz[..., 0] - CENTRE[0], xyz[..., 2] - CENTRE[2]) < 2.5
    hu = host.ct.hu + 900 * ndimage.gaussian_filter(tube.astype(np.float32), 0.8) * (host.organs.labels == 13)
    host = replace(host, ct=Volume(hu=np.rint(hu).astype(np.int16), grid=host.ct.grid))
    glass = Matter(base_hu=-600.0, margin_mm=1.0, noise_seed=3)
    plan = ball_plan(14.0, type=LesionType.LUNG_TUMOR, organ_label=13, matter=glass)
    veil, replaced = (
        pasted(host, render_lesion(replace(plan, matter=replace(glass, blend=kind)), host))
        for kind in (Blend.VEIL, Blend.REPLACE)
    )
    centre_line = np.linalg.norm(world(host.ct.grid) - CENTRE, axis=-1) < 8
    vessel = centre_line & eroded(tube, (1, 1, 1))
    air = centre_line & (np.abs(world(host.ct.grid)[..., 2]) > 5)
    assert veil[vessel].mean() > -80
    assert replaced[vessel].mean() == pytest.approx(-600, abs=20)
    assert veil[air].mean() == pytest.approx(-600, abs=20)


def test_blending_the_same_plan_twice_gives_the_same_bytes() -> None:
    host = liver_host()
    plan = ball_plan(12.0, matter=replace(PLAIN, push=0.5, margin_mm=2.0))
    first, again = (render_lesion(plan, host) for _ in range(2))
    assert first.hu.tobytes() == again.hu.tobytes()
    assert first.labels.tobytes() == again.labels.tobytes()


def test_a_strand_lays_a_tube_and_leaves_the_noise() -> None:
    host = liver_host(sd_hu=10.0)
    strand = Strand(path_xyz=((-30.0, 5.0, 5.0), (0.0, 5.0, 5.0), (20.0, 5.0, 5.0)), radius_mm=3.0, hu=10.0)
    before = host.ct.hu.astype(np.float32)
    after = lay_strand(before, strand, host.ct.grid, (0.8, 0.8, 0.8))
    xyz = world(host.ct.grid)
    off_axis = np.hypot(xyz[..., 1] - 5, xyz[..., 2] - 5)
    along = (xyz[..., 0] > -28) & (xyz[..., 0] < 18)
    tube = along & (off_axis < 1.5)
    assert after[tube].mean() == pytest.approx(10.0, abs=8.0)
    assert after[tube].std() == pytest.approx(before[tube].std(), rel=0.2)
    assert np.array_equal(after[off_axis > 8], before[off_axis > 8])


def test_mass_effect_reaches_one_radius_and_no_farther_than_25_mm() -> None:
    assert push_reach_mm(10.0) == pytest.approx(10.0)
    assert push_reach_mm(80.0) == pytest.approx(25.0)


def test_without_push_the_labels_are_the_hosts() -> None:
    host = liver_host()
    terrain = terrain_of(host)
    level = render_outline(ball(CENTRE, 10.0).outline, CENTRE, terrain.grid)
    made = blend(PLAIN, level, CENTRE, terrain, noise_of(10.0), (0.8, 0.8, 0.8))
    assert np.array_equal(made.labels, host.organs.labels)
    assert isinstance(LabelMap(labels=made.labels, grid=terrain.grid), LabelMap)
    assert made.hu[level < -5].mean() == pytest.approx(50.0, abs=2.5)
    assert np.array_equal(made.hu[level > 5], host.ct.hu[level > 5])
