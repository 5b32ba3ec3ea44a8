import json

import numpy as np
import pytest
from scipy import ndimage

from panlesion.ct.nifti import read_labels
from panlesion.ct.organs import V1_LABELS, V1_NAMES
from panlesion.ct.phase import Phase
from panlesion.ct.volume import Box, Grid, LabelMap, standard_grid
from panlesion.errors import OrganMapError
from panlesion.phantom.from_map import paint_map, render_tissues
from panlesion.phantom.from_map.filling import draw_filling
from panlesion.phantom.tissue import Tissue

SPACING_MM = 3.0
SHAPE = (110, 90, 70)
NOTHING = (Tissue.AIR, Tissue.SKIN, Tissue.FAT)


def ball(labels, name, centre_mm, radii_mm):
    axes = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    inside = sum(((a * SPACING_MM - c) / r) ** 2 for a, c, r in zip(axes, centre_mm, radii_mm, strict=True)) < 1
    labels[inside & (labels == 0)] = V1_LABELS[name]


@pytest.fixture(scope="module")
def organs():
    """A coarse abdomen: spine with a canal, ribs, great vessels and the organs between them; lungs above, bladder below."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    x, y = 165.0, 190.0
    for level, name in enumerate(("vertebrae_L4", "vertebrae_L3", "vertebrae_L2", "vertebrae_L1")):
        k = slice(10 + 14 * level, 21 + 14 * level)
        labels[48:63, 56:67, k] = V1_LABELS[name]
        labels[46:65, 73:77, k] = V1_LABELS[name]
    for side, sign in (("left", 1), ("right", -1)):
        ball(labels, f"kidney_{side}", (x + sign * 65, y - 15, 100), (26, 24, 50))
        ball(labels, f"iliopsoas_{side}", (x + sign * 38, y - 5, 60), (18, 18, 55))
        ball(labels, f"autochthon_{side}", (x + sign * 32, y + 42, 100), (28, 17, 95))
        ball(labels, f"lung_lower_lobe_{side}", (x + sign * 80, y - 40, 215), (50, 60, 30))
        for rib in (9, 10, 11):
            ball(labels, f"rib_{side}_{rib}", (x + sign * 130, y - 40, 105 + 30 * (rib - 9)), (5, 30, 7))
    ball(labels, "aorta", (x + 12, y - 38, 120), (11, 11, 120))
    ball(labels, "inferior_vena_cava", (x - 16, y - 36, 120), (12, 11, 120))
    ball(labels, "liver", (x - 70, y - 80, 150), (52, 55, 45))
    ball(labels, "portal_vein_and_splenic_vein", (x - 10, y - 62, 150), (28, 8, 8))
    ball(labels, "gallbladder", (x - 45, y - 105, 105), (14, 16, 18))
    ball(labels, "stomach", (x + 50, y - 95, 165), (45, 30, 28))
    ball(labels, "spleen", (x + 95, y - 50, 150), (20, 35, 35))
    ball(labels, "pancreas", (x + 15, y - 70, 130), (45, 12, 12))
    ball(labels, "small_bowel", (x, y - 100, 75), (70, 35, 40))
    ball(labels, "colon", (x + 95, y - 60, 80), (20, 22, 60))
    ball(labels, "urinary_bladder", (x, y - 90, 15), (35, 35, 25))
    return LabelMap(labels=labels, grid=standard_grid(SHAPE, SPACING_MM))


@pytest.fixture(scope="module")
def painted(organs):
    return paint_map(organs, seed=5, phase=Phase.PORTAL)


@pytest.fixture(scope="module")
def tissues(organs):
    return render_tissues(organs, draw_filling(np.random.default_rng(0), age=60, male=True))


def test_the_map_comes_back_unchanged_beside_a_ct_on_its_grid(organs, painted):
    assert np.array_equal(painted.organs.labels, organs.labels)
    assert painted.ct.grid.same_as(organs.grid)


def test_painting_is_decided_by_its_seed_and_its_record_is_json(organs, painted):
    again = paint_map(organs, seed=5, phase=Phase.PORTAL)
    assert np.array_equal(again.ct.hu, painted.ct.hu)
    assert json.loads(json.dumps(again.record)) == json.loads(json.dumps(painted.record))
    assert not np.array_equal(paint_map(organs, seed=6, phase=Phase.PORTAL).ct.hu, painted.ct.hu)


@pytest.mark.parametrize(
    ("organ", "tissue"),
    [
        ("liver", Tissue.LIVER),
        ("spleen", Tissue.SPLEEN),
        ("aorta", Tissue.ARTERIAL_BLOOD),
        ("inferior_vena_cava", Tissue.SYSTEMIC_VENOUS_BLOOD),
        ("pancreas", Tissue.PANCREAS),
        ("iliopsoas_left", Tissue.MUSCLE),
        ("urinary_bladder", Tissue.URINE),
        ("gallbladder", Tissue.BILE),
    ],
)
def test_organs_have_the_hu_they_were_painted_with(painted, organ, tissue):
    inside = ndimage.binary_erosion(painted.organs.labels == V1_LABELS[organ], iterations=2)
    assert painted.ct.hu[inside].mean() == pytest.approx(painted.record["paint"]["hu"][tissue], abs=6)


def test_the_body_encloses_every_organ(organs, tissues):
    where = tissues == Tissue.AIR
    assert not (where & (organs.labels > 0)).any()
    labelled = organs.labels > 0
    for axis in (0, 1):
        near = np.zeros_like(where)
        for step in (-1, 1):
            near |= np.roll(labelled, step, axis=axis)
        assert not (near & where).any(), "an organ lies bare in the air"


def test_the_corners_are_air_and_skin_meets_it(tissues):
    assert (tissues[[0, 0, -1, -1], [0, -1, 0, -1]] == Tissue.AIR).all()
    behind_air = tissues[:, 1:][(tissues[:, :-1] == Tissue.AIR) & (tissues[:, 1:] != Tissue.AIR)]
    assert np.isin(behind_air, (Tissue.SKIN, Tissue.FAT)).all()


def test_between_skin_and_organs_there_are_fat_and_muscle(organs, tissues):
    free = tissues[organs.labels == 0]
    counts = {tissue: np.count_nonzero(free == tissue) for tissue in (Tissue.FAT, Tissue.MUSCLE, Tissue.SKIN)}
    assert min(counts.values()) > 1000
    assert counts[Tissue.FAT] > counts[Tissue.MUSCLE] > counts[Tissue.SKIN]


@pytest.mark.parametrize("name", sorted(V1_NAMES.values()))
def test_no_voxel_of_any_structure_stays_unpainted(name):
    labels = np.zeros((30, 30, 30), dtype=np.uint8)
    labels[8:22, 8:22, 8:22] = V1_LABELS[name]
    filling = draw_filling(np.random.default_rng(1), age=40, male=False)
    found = render_tissues(LabelMap(labels=labels, grid=standard_grid(labels.shape, 3.0)), filling)
    share = np.isin(found[labels > 0], NOTHING).mean()
    assert share < (0.05 if name == "small_bowel" else 1e-9)


def test_spine_holds_canal_and_discs(tissues):
    assert (tissues[55, 68:71, 15:60] == Tissue.SPINAL_CANAL).mean() > 0.5
    assert (tissues[52:58, 60:63, 21:24] == Tissue.DISC).all()
    assert (tissues[50:60, 58:64, 14:17] == Tissue.MARROW).mean() > 0.8


def test_gas_lies_in_front_of_fluid_in_the_stomach(organs, tissues):
    stomach = organs.labels == V1_LABELS["stomach"]
    gas, fluid = (np.argwhere(stomach & (tissues == tissue))[:, 1] for tissue in (Tissue.GAS, Tissue.GUT_FLUID))
    assert gas.size > 50
    assert gas.max() <= fluid.min()


def test_the_body_goes_on_to_a_border_that_cuts_it(organs):
    box = Box(start=(20, 10, 5), stop=(90, 80, 65))
    found = render_tissues(organs.crop(box), draw_filling(np.random.default_rng(0), age=60, male=True))
    cut = organs.crop(box).labels
    for side in (0, -1):
        touched = (cut[side] > 0).any(axis=0)
        assert (found[side][:, touched] != Tissue.AIR).any(axis=0).all()
        beside = found[side][25:45, 20:50]
        assert (beside != Tissue.AIR).mean() > 0.95


def test_a_foreign_numbering_and_an_empty_map_are_refused(organs):
    foreign = organs.labels.copy()
    foreign[0, 0, 0] = 117
    with pytest.raises(OrganMapError, match="117"):
        paint_map(LabelMap(labels=foreign, grid=organs.grid), seed=0)
    with pytest.raises(OrganMapError, match="0 labelled"):
        paint_map(LabelMap(labels=np.zeros_like(foreign), grid=organs.grid), seed=0)


def test_a_grid_that_is_not_standard_is_refused(organs):
    turned = Grid(shape=organs.grid.shape, affine=np.diag([3.0, 3.0, 3.0, 1.0]))
    with pytest.raises(ValueError, match="standardise_labels"):
        paint_map(LabelMap(labels=organs.labels, grid=turned), seed=0)


@pytest.mark.realdata
@pytest.mark.parametrize("case", ["Liver", "Bladder"])
def test_real_maps_are_painted_whole(shared_data, case):
    whole = read_labels(shared_data / "pastagen_samples" / case / "total.nii.gz")
    organs = LabelMap(
        labels=np.ascontiguousarray(whole.labels[::3, ::3, ::3]),
        grid=Grid(shape=(94, 94, 94), affine=whole.grid.affine @ np.diag([3.0, 3.0, 3.0, 1.0])),
    )
    found = paint_map(organs, seed=1, phase=Phase.ARTERIAL)
    hu, labels = found.ct.hu, organs.labels
    assert np.median(hu[labels == V1_LABELS["iliopsoas_left"]]) == pytest.approx(60, abs=20)
    arteries = np.isin(labels, [V1_LABELS["aorta"], V1_LABELS["iliac_artery_left"]])
    assert np.median(hu[arteries]) > 180
    assert (hu[(labels > 0) & (labels != V1_LABELS["colon"])] > -1024).all()
    assert -130 < np.median(hu[(labels == 0) & (hu > -200) & (hu < 0)]) < -70
