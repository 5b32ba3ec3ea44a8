import csv

import numpy as np
import pytest

from panlesion.ct.volume import LabelMap, standard_grid
from panlesion.data.sources.kits_masks import read_mask
from panlesion.errors import OrganMapError
from panlesion.measure.tumour_in_organ import contact_share, measure_tumour

SHAPE_MM = (160, 80, 120)
LEFT, RIGHT = (120.0, 40.0, 60.0), (40.0, 40.0, 60.0)
KIDNEY_MM = (18.0, 16.0, 40.0)


def ellipsoid(where, middle, radii):
    return (((where - middle) / radii) ** 2).sum(axis=-1) <= 1


def made(*, tumours=(((120.0, 40.0, 60.0), 10.0),), cysts=(), spacing=2.0, right=True, notch=False):
    """Two kidneys that lie head to feet, balls of tumour and cyst in them; `notch`: an empty hilum in the left one."""
    shape = tuple(int(mm / spacing) for mm in SHAPE_MM)
    where = np.moveaxis(np.indices(shape), 0, -1) * spacing
    kidneys = ellipsoid(where, LEFT, KIDNEY_MM)
    if notch:
        kidneys &= ~ellipsoid(where, (104.0, 40.0, 60.0), (12.0, 8.0, 12.0))
    if right:
        kidneys |= ellipsoid(where, RIGHT, KIDNEY_MM)
    labels = kidneys.astype(np.uint8)
    for value, balls in ((3, cysts), (2, tumours)):
        for middle, radius in balls:
            labels[ellipsoid(where, middle, (radius,) * 3)] = value
    return LabelMap(labels=labels, grid=standard_grid(shape, spacing))


def measure(labels):
    return measure_tumour(labels, organ=1, tumour=2, cyst=3)


def at(x, y=40.0, z=60.0, radius=8.0):
    return made(tumours=(((x, y, z), radius),))


def test_a_tumour_is_the_more_exophytic_the_further_out_it_lies():
    shares = [measure(at(x)).exophytic_share for x in (120.0, 132.0, 138.0, 144.0)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] > 0.7


def test_contact_is_all_of_the_surface_inside_and_none_beside():
    assert measure(at(120.0)).contact_share == 1.0
    assert measure(at(136.0)).contact_share == pytest.approx(0.5, abs=0.2)
    lesion, tissue = np.zeros((5, 5, 5), dtype=bool), np.zeros((5, 5, 5), dtype=bool)
    lesion[2, 2, 2], tissue[2, 2, 3] = True, True
    assert contact_share(lesion, tissue) == pytest.approx(1 / 6)
    assert contact_share(lesion, np.zeros_like(tissue)) == 0


def test_polar_is_0_in_the_middle_and_1_at_a_pole_of_either_side():
    assert measure(at(120.0)).polar == pytest.approx(0, abs=0.08)
    assert measure(at(120.0, z=98.0)).polar == pytest.approx(measure(at(120.0, z=22.0)).polar, abs=0.1)
    assert measure(at(120.0, z=98.0)).polar > 0.8


def test_the_midline_is_half_way_and_a_tumour_that_crosses_it_is_below_0():
    assert measure(at(120.0)).midline_mm == pytest.approx(40 - 8, abs=3)
    assert measure(at(40.0)).midline_mm == pytest.approx(40 - 8, abs=3)
    assert measure(made(tumours=(((104.0, 40.0, 60.0), 30.0),))).midline_mm < 0


def test_the_hilum_is_the_hole_that_is_not_a_tumour():
    inner, outer = (measure(made(notch=True, tumours=(((x, 40.0, 60.0), 6.0),))).hilum_mm for x in (118.0, 136.0))
    assert inner < outer
    assert measure(at(120.0)).hilum_mm is None


def test_a_mirrored_patient_has_the_same_numbers():
    labels = made(tumours=(((130.0, 44.0, 80.0), 12.0),), cysts=(((40.0, 40.0, 70.0), 8.0),), notch=True)
    mirrored = LabelMap(labels=np.ascontiguousarray(labels.labels[::-1]), grid=labels.grid)
    here, there = (measure(one).numbers() for one in (labels, mirrored))
    assert there == pytest.approx(here, rel=0.005)


def test_numbers_hardly_depend_on_the_voxel_grid():
    ball = (((134.0, 40.0, 70.0), 14.0),)
    coarse, fine = (measure(made(tumours=ball, spacing=mm)).numbers() for mm in (2.0, 1.25))
    for name in ("diameter_mm", "volume_ml", "organ_ml", "other_organ_ml"):
        assert coarse[name] == pytest.approx(fine[name], rel=0.08), name
    for name in ("exophytic_share", "polar"):
        assert coarse[name] == pytest.approx(fine[name], abs=0.06), name
    assert coarse["midline_mm"] == pytest.approx(fine["midline_mm"], abs=2.5)


def test_parts_are_counted_and_the_largest_is_measured():
    labels = made(
        tumours=(((120.0, 40.0, 60.0), 10.0), ((40.0, 40.0, 60.0), 6.0), ((40.0, 40.0, 80.0), 2.0)),
        cysts=(((120.0, 40.0, 84.0), 5.0),),
    )
    found = measure(labels)
    assert (found.tumours, found.cysts) == (2, 1)
    assert found.size.volume_ml == pytest.approx(4.19, rel=0.1)
    assert found.tumour_ml > found.size.volume_ml
    assert found.organ_ml > 0
    assert found.other_organ_ml == pytest.approx(found.organ_ml, rel=0.2)


def test_a_single_kidney_has_no_other_side_and_a_destroyed_one_no_place():
    alone = measure(made(right=False))
    assert (alone.other_organ_ml, alone.midline_mm) == (None, None)
    assert not {"other_organ_ml", "midline_mm"} & set(alone.numbers())
    gone = measure(made(tumours=(((120.0, 40.0, 60.0), 45.0),)))
    assert (gone.organ_ml, gone.contact_share, gone.exophytic_share, gone.polar) == (0, 0, None, None)


@pytest.mark.parametrize(("label", "says"), [(1, "label 2, the tumour"), (2, "label 1, the organ")])
def test_a_map_without_tumour_or_organ_is_refused(label, says):
    grid = standard_grid((8, 8, 8), 2.0)
    labels = np.zeros((8, 8, 8), dtype=np.uint8)
    labels[2:5, 2:5, 2:5] = label
    with pytest.raises(OrganMapError, match=says):
        measure(LabelMap(labels=labels, grid=grid))


@pytest.mark.realdata
def test_volume_and_contact_of_real_tumours_agree_with_another_measurement(shared_data):
    root = shared_data / "kits23"
    largest: dict[str, dict[str, str]] = {}
    with (root / "lesion_shapes.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            if row["type"] == "tumor" and float(row["volume_ml"]) > float(
                largest.get(row["case_id"], {"volume_ml": 0})["volume_ml"]
            ):
                largest[row["case_id"]] = row
    mine, theirs = [], []
    for name in sorted(largest)[::40]:
        found = measure(read_mask(root, name))
        assert found.size.volume_ml == pytest.approx(float(largest[name]["volume_ml"]), rel=0.02)
        mine.append(found.contact_share)
        theirs.append(float(largest[name]["kidney_contact_fraction"]))
    assert np.corrcoef(mine, theirs)[0, 1] > 0.9
