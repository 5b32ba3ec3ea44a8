import numpy as np
import pytest
from reading_made import read_study

from panlesion.aid.reads.places import Spot, spot_of
from panlesion.ct.organs import V1_LABELS
from panlesion.infer.record import ORGANS_FILE

LIVER, KIDNEY, BONE, LUNG = (V1_LABELS[name] for name in ("liver", "kidney_left", "sacrum", "lung_upper_lobe_right"))
STEPS = (2, 2, 2)


def organs() -> np.ndarray:
    map_ = np.zeros((20, 20, 20), np.uint8)
    map_[:10], map_[12:] = LIVER, KIDNEY
    return map_


def ball(at: int) -> np.ndarray:
    mask = np.zeros((20, 20, 20), bool)
    mask[at - 1 : at + 2, 8:11, 8:11] = True
    return mask


def test_a_finding_lies_in_the_organ_that_most_of_its_outline_is_in():
    assert spot_of(organs(), ball(5), "other_mass", STEPS) == Spot(organ="liver")
    assert spot_of(organs(), ball(15), "other_mass", STEPS) == Spot(organ="kidney_left", side="left")


def test_beside_an_organ_it_lies_in_that_one_and_far_from_all_in_none():
    near = np.zeros((20, 20, 20), np.uint8)
    near[:4] = LIVER
    assert spot_of(near, ball(6), "other_mass", STEPS) == Spot(organ="liver")
    assert spot_of(near, ball(15), "other_mass", STEPS) == Spot()


def test_a_type_lies_in_an_organ_it_lives_in_however_far_it_protrudes():
    assert spot_of(organs(), ball(10), "other_mass", STEPS) == Spot(organ="liver")
    assert spot_of(organs(), ball(10), "kidney_cyst", STEPS) == Spot(organ="kidney_left", side="left")
    assert spot_of(organs(), ball(3), "kidney_cyst", STEPS) == Spot(organ="liver")  # none near: what is there


@pytest.mark.parametrize(("label", "spot"), [(BONE, Spot(organ="bone")), (LUNG, Spot(organ="lung", side="right"))])
def test_labels_that_stand_for_more_than_their_structure_are_told_as_that(label, spot):
    assert spot_of(np.full((20, 20, 20), label, np.uint8), ball(9), "other_mass", STEPS) == spot


def painted(read, number: int, where: tuple[slice, slice, slice]) -> dict:
    labels = read.mask().copy()
    labels[where][labels[where] == 0] = number
    answer = read.paint(labels, 0)
    assert answer.status_code == 200, answer.text
    return next(one for one in answer.json()["findings"] if one["number"] == number)


def begun() -> tuple:
    read = read_study()
    assert read.change({"op": "add", "number": 9, "type": "other_mass"}).status_code == 200
    return read, (slice(30, 34), slice(24, 30), slice(2, 4))


def test_what_a_reader_paints_lies_where_it_was_painted_until_the_reader_says_otherwise():
    read, spleen = begun()
    told = painted(read, 9, spleen)
    assert (told["organ"], told["place_by"]) == ("spleen", "ai") and "spleen" in told["sentence"]
    assert read.change({"op": "place", "number": 9, "organ": "pancreas"}).status_code == 200
    told = painted(read, 9, (slice(30, 34), slice(24, 30), slice(4, 5)))
    assert (told["organ"], told["place_by"]) == ("pancreas", "reader")


def test_the_place_of_the_ai_s_findings_is_the_ai_s_however_they_are_painted():
    read, spleen = begun()
    before = next(one for one in read.get()["findings"] if one["number"] == 1)
    told = painted(read, 1, spleen)
    assert told["mask_edited"] and [told[name] for name in ("organ", "side", "location")] == [
        before[name] for name in ("organ", "side", "location")
    ]


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no NIfTI")])
def test_a_stroke_is_kept_although_the_organ_map_is_gone_or_damaged(damage):
    read, spleen = begun()
    damage(read.results / ORGANS_FILE)
    told = painted(read, 9, spleen)
    assert told["organ"] == "" and told["size"]["volume_ml"] > 0
