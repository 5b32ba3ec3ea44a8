"""The classes of made lesions, their numbers, and what must not change them."""

import json

import numpy as np
import pytest
from lesions_made import SPACINGS, Facts, grid_of, make, noise_field
from scipy import ndimage

from panlesion.ct.volume import LabelMap, Volume
from panlesion.errors import OrganMapError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface
from panlesion.measure.attributes import density_class, measure_lesion
from panlesion.measure.host import measure_host


def measured(made, type=LesionType.LIVER_TUMOR, organ_label=5):
    return measure_lesion(made.ct, made.lesion, made.organs, type=type, organ_label=organ_label, host=made.facts)


def classes(found):
    return found.shape, found.density, found.heterogeneity, found.surface, found.invasion


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_an_even_sharp_ball_is_what_it_is_at_any_spacing(spacing_mm):
    made = make(np.random.default_rng(0), spacing_mm, (14, 14, 14), step_hu=-60.0, sd_hu=10.0)
    found = measured(made)
    assert classes(found) == (
        Shape.ROUND,
        Density.HYPO,
        Heterogeneity.HOMOGENEOUS,
        Surface.WELL_DEFINED,
        Invasion.NOT_CLOSE,
    )
    assert found.size.diameter_mm == pytest.approx(28, abs=max(spacing_mm) / 2)
    assert found.offset_hu == pytest.approx(-60, abs=4)
    assert 28 - 1.6 * max(spacing_mm) <= found.inscribed_mm <= 28
    assert found.seat == "seat of 5"


@pytest.mark.parametrize("sd_hu", [2.0, 20.0, 40.0])
def test_noise_changes_no_class(sd_hu):
    made = make(np.random.default_rng(1), radii_mm=(13, 11, 12), step_hu=70.0, sd_hu=sd_hu)
    assert classes(measured(made)) == (
        Shape.ROUND,
        Density.HYPER,
        Heterogeneity.HOMOGENEOUS,
        Surface.WELL_DEFINED,
        Invasion.NOT_CLOSE,
    )


def test_flips_and_axis_orders_change_nothing():
    made = make(np.random.default_rng(2), (1.0, 1.0, 2.0), (13, 9, 11), margin_mm=1.2, texture_hu=25.0)
    one = measured(made)
    affine = made.ct.grid.affine @ np.array([[0, 0, -1, made.lesion.shape[0] - 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    turned = [array.transpose(1, 2, 0)[:, :, ::-1] for array in (made.ct.hu, made.lesion, made.organs.labels)]
    grid = type(made.ct.grid)(shape=turned[0].shape, affine=affine)
    two = measure_lesion(
        Volume(hu=turned[0], grid=grid),
        turned[1],
        LabelMap(labels=turned[2], grid=grid),
        type=LesionType.LIVER_TUMOR,
        organ_label=5,
        host=made.facts,
    )
    assert classes(one) == classes(two)
    assert two.size.diameter_mm == pytest.approx(one.size.diameter_mm)
    assert two.size.centre_xyz == pytest.approx(one.size.centre_xyz)
    assert two.size.axial_long.length_mm == pytest.approx(one.size.axial_long.length_mm)
    assert two.core_mean_hu == pytest.approx(one.core_mean_hu, abs=0.5)
    assert two.heterogeneity_sd_hu == pytest.approx(one.heterogeneity_sd_hu, abs=1.0)
    assert two.margin.sigma_mm == pytest.approx(one.margin.sigma_mm, abs=0.1)


def test_texture_a_wide_margin_and_a_small_size_are_seen():
    rng = np.random.default_rng(3)
    uneven = measured(make(rng, radii_mm=(15, 15, 15), texture_hu=40.0, sd_hu=10.0))
    assert uneven.heterogeneity is Heterogeneity.HETEROGENEOUS
    wide = measured(make(rng, radii_mm=(12, 12, 12), margin_mm=3.0, step_hu=-60.0))
    assert wide.surface is Surface.ILL_DEFINED
    assert wide.heterogeneity is Heterogeneity.HOMOGENEOUS
    assert measured(make(rng, radii_mm=(4, 4, 4))).shape is Shape.PUNCTATE


def test_ellipsoids_are_round_and_lobes_and_stars_are_not():
    rng = np.random.default_rng(4)
    for radii_mm in ((14, 14, 14), (15, 12, 11), (16, 11.5, 11.5)):
        assert measured(make(rng, radii_mm=radii_mm)).shape is Shape.ROUND
    made = make(rng, radii_mm=(14, 14, 14))
    rough = noise_field(made.lesion.shape, 1.0, 4.0, rng)
    distance = ndimage.distance_transform_edt(made.lesion) - ndimage.distance_transform_edt(~made.lesion)
    made.lesion = distance + 5.0 * rough > 0
    assert measured(made).shape is Shape.IRREGULAR


@pytest.mark.parametrize(
    ("offset_hu", "expected"),
    [(-10.1, Density.HYPO), (-10.0, Density.ISO), (0.0, Density.ISO), (10.0, Density.ISO), (10.1, Density.HYPER)],
)
def test_the_isodense_band_is_the_types(offset_hu, expected):
    assert density_class(offset_hu, TYPES[LesionType.LIVER_TUMOR]) is expected


def gastric(lesion_of):
    """A stomach of 25 mm radius with a 6 mm wall (45 HU), fluid inside, fat outside, and a lesion of 60 HU."""
    rng = np.random.default_rng(5)
    shape = (80, 80, 70)
    x, y, z = np.meshgrid(*[np.arange(n) - n / 2 + 0.3 for n in shape], indexing="ij")
    radius = np.hypot(x, y)
    labels = np.where(radius < 25, 6, 0).astype(np.uint8)
    lesion = lesion_of(x, y, z, radius)
    hu = np.where(radius < 25, np.where(radius > 22, 45.0, 10.0), -100.0)
    hu[lesion] = 60
    hu = ndimage.gaussian_filter(hu, 0.8) + noise_field(shape, 10.0, 0.5, rng)
    grid = grid_of(shape, (1.0, 1.0, 1.0))
    facts = Facts(psf_mm=(0.8,) * 3, sd_hu=10.0, sigma_voxels=0.5, spacing_mm=(1.0, 1.0, 1.0), reference=60.0)
    return measure_lesion(
        Volume(hu=np.round(hu).astype(np.int16), grid=grid),
        lesion,
        LabelMap(labels=labels, grid=grid),
        type=LesionType.GASTRIC_CANCER,
        organ_label=6,
        host=facts,
    )


def test_a_plaque_and_a_ring_along_the_wall_are_wall_thickening_and_a_polyp_is_not():
    plaque = gastric(lambda x, _, z, r: (r < 25) & (r > 16) & (np.abs(z) < 18) & (x > 5))
    ring = gastric(lambda _x, _y, z, r: (r < 25) & (r > 15) & (np.abs(z) < 15))
    polyp = gastric(lambda x, y, z, _: (x - 12) ** 2 + y**2 + z**2 < 12**2)
    assert plaque.shape is Shape.WALL
    assert ring.shape is Shape.WALL
    assert polyp.shape is Shape.ROUND
    assert all(one.density is Density.ISO and one.surface is Surface.WELL_DEFINED for one in (plaque, ring, polyp))


def test_a_lesion_of_one_voxel_is_measured():
    made = make(np.random.default_rng(6), (3.0, 3.0, 3.0), (9, 9, 9), step_hu=150.0, sd_hu=5.0)
    one = np.zeros_like(made.lesion)
    one[tuple(n // 2 for n in one.shape)] = True
    made.lesion = one
    found = measured(made)
    assert found.shape is Shape.PUNCTATE
    assert found.density is Density.HYPER
    assert found.size.diameter_mm == pytest.approx(3 * (6 / np.pi) ** (1 / 3))


def test_a_lesion_outside_its_organ_is_seated_in_the_nearest_part():
    made = make(np.random.default_rng(7), radii_mm=(6, 6, 6), label=0)
    labels = made.organs.labels.copy()
    labels[:3] = 5
    made.organs = LabelMap(labels=labels, grid=made.organs.grid)
    found = measured(made)
    assert found.seat == "seat of 5"
    assert made.ct.grid.to_ijk(made.facts.atlas.asked[0])[0] == pytest.approx(2)
    assert found.relation.outside_share == 1.0


def test_attributes_are_json_able():
    found = measured(make(np.random.default_rng(8)))
    again = json.loads(json.dumps(found.as_dict()))
    assert again["shape"] == str(found.shape)
    assert again["size"]["diameter_mm"] == found.size.diameter_mm


def test_an_organ_that_the_type_cannot_live_in_is_refused():
    made = make(np.random.default_rng(9))
    with pytest.raises(ValueError, match="organ_label is 5; a kidney_tumor lives in one of"):
        measured(made, LesionType.KIDNEY_TUMOR)


def test_a_missing_reference_tissue_is_named():
    made = make(np.random.default_rng(10), label=4)
    organs = LabelMap(labels=np.zeros_like(made.organs.labels), grid=made.organs.grid)
    with pytest.raises(OrganMapError, match="gallbladder"):
        measure_lesion(
            made.ct, made.lesion, organs, type=LesionType.GALLSTONE, organ_label=4, host=measure_host(made.ct, organs)
        )


@pytest.mark.realdata
def test_margin_roundness_and_spicules_follow_radiologists_scores(shared_data):
    import csv

    import nibabel as nib
    from scipy.stats import spearmanr

    from panlesion.ct.volume import Grid
    from panlesion.measure.noise import measure_noise
    from panlesion.measure.psf import measure_psf
    from panlesion.measure.region import closed, eroded

    folder = shared_data / "lidc_nodules"
    rows = list(csv.DictReader((folder / "index.csv").read_text().splitlines()))[::3]
    scores, numbers = [], []
    for row in rows:
        if not (row["margin"] and row["sphericity"] and row["spiculation"]):
            continue
        image = nib.load(folder / "image" / row["file"])
        lesion = np.asarray(nib.load(folder / "label" / row["file"]).dataobj) > 0
        hu, grid = np.round(image.get_fdata()).astype(np.int16), Grid(shape=image.shape, affine=image.affine)
        lung = ndimage.binary_opening(closed((hu < -400) | lesion, (4, 4, 4)), iterations=2)
        facts = Facts(
            psf_mm=measure_psf(hu, grid.spacing_mm), sd_hu=0, sigma_voxels=0, spacing_mm=grid.spacing_mm, reference=50.0
        )
        noise = measure_noise(hu, eroded((hu < -600) & ~lesion, (1, 1, 1)), grid.spacing_mm)
        facts.noise = lambda _label, noise=noise: noise
        organs = LabelMap(labels=np.where(lung, 14, 0).astype(np.uint8), grid=grid)
        found = measure_lesion(Volume(hu=hu, grid=grid), lesion, organs, type=LesionType.LUNG_TUMOR, organ_label=14, host=facts)
        if found.margin.sigma_mm is not None:
            scores.append([float(row[key]) for key in ("margin", "sphericity", "spiculation")])
            numbers.append([found.margin.sigma_mm, found.form.sphericity, found.form.solidity])
    rank = [spearmanr(a, b).statistic for a, b in zip(np.transpose(scores), np.transpose(numbers), strict=True)]
    assert len(scores) > 35
    assert rank[0] < -0.3
    assert rank[1] > 0.3
    assert rank[2] < -0.4
