import json
from dataclasses import asdict
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, precision_score, recall_score

from panlesion.measure.detection import HitRule, Overlap, Reading, Tally, compare, compare_labelled, components, match, tally
from panlesion.measure.overlap import dice

MASKS = arrays(bool, (7, 4, 3), elements=st.sampled_from([False, False, False, True]))
RULES = [HitRule(overlap=overlap, at_least=a, one_to_one=o) for overlap, a, o in product(Overlap, (0.1, 0.5), (True, False))]


def flooded(mask):
    """Components as sets of voxels, by walking from voxel to voxel."""
    left, found = {tuple(p) for p in np.argwhere(mask).tolist()}, []
    while left:
        edge = [min(left)]
        whole = set(edge)
        while edge:
            i, j, k = edge.pop()
            near = {(i + a, j + b, k + c) for a, b, c in product((-1, 0, 1), repeat=3)} & left - whole
            whole |= near
            edge += near
        left -= whole
        found.append(whole)
    return found


def overlap_of(rule, a, b):
    shared = len(a & b)
    value = {Overlap.ANY: float(shared > 0), Overlap.IOU: shared / len(a | b), Overlap.DICE: 2 * shared / (len(a) + len(b))}
    least = 1e-9 if rule.overlap is Overlap.ANY else rule.at_least
    return value[rule.overlap] if value[rule.overlap] >= least else 0.0


def tried(rule, predicted, truth):
    """(lesions found, false positives), by trying every assignment."""
    parts, lesions = flooded(predicted), flooded(truth)
    enough = [[overlap_of(rule, part, lesion) > 0 for part in parts] for lesion in lesions]
    false = sum(not any(row[n] for row in enough) for n in range(len(parts)))
    if not rule.one_to_one:
        return sum(map(any, enough)), false
    slots = [*range(len(parts)), *[None] * len(lesions)]
    best = max(sum(n is not None and enough[m][n] for m, n in enumerate(one)) for one in permutations(slots, len(lesions)))
    return best, false


@settings(max_examples=80, deadline=None)
@given(MASKS, MASKS, st.sampled_from(RULES))
def test_counts_agree_with_walking_the_voxels_and_trying_every_assignment(predicted, truth, rule):
    if len(flooded(truth)) > 4 or len(flooded(predicted)) > 4:
        return
    hits, false = tried(rule, predicted, truth)
    found = tally([compare(predicted, truth)], rule)
    assert (found.hits, found.false) == (hits, false)
    assert found.hits + found.missed == len(flooded(truth))


@settings(deadline=None)
@given(MASKS, MASKS)
def test_a_reading_keeps_what_dice_needs(predicted, truth):
    assert compare(predicted, truth).dice == pytest.approx(dice(predicted, truth))


def test_nothing_on_either_side():
    empty, full = np.zeros((4, 4, 4), dtype=bool), np.ones((4, 4, 4), dtype=bool)
    assert tally([compare(empty, empty)]) == Tally(scans=1, hits=0, missed=0, false=0)
    assert tally([compare(full, empty)]) == Tally(scans=1, hits=0, missed=0, false=1)
    assert tally([compare(empty, full)]) == Tally(scans=1, hits=0, missed=1, false=0)
    assert tally([compare(full, full)]) == Tally(scans=1, hits=1, missed=0, false=0)
    nothing = tally([])
    assert (nothing.sensitivity, nothing.precision, nothing.f1, nothing.false_per_scan) == (None, None, None, None)


def test_voxels_that_touch_at_a_corner_are_one_part():
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert components(mask)[1] == 1
    mask[1, 1, 1], mask[2, 2, 2] = False, True
    assert components(mask)[1] == 2


def two_lesions():
    truth = np.zeros((20, 6, 6), dtype=bool)
    truth[2:8], truth[10:18] = True, True
    return truth


def test_a_part_over_two_lesions_finds_one_of_them_or_both():
    whole = np.ones((20, 6, 6), dtype=bool)
    reading = compare(whole, two_lesions())
    assert match(reading).hits == (None, 0)  # the larger overlap
    assert match(reading, HitRule(one_to_one=False)).hits == (0, 0)
    assert not match(reading).false


def test_further_parts_on_a_found_lesion_are_no_false_positives():
    predicted = np.zeros((20, 6, 6), dtype=bool)
    predicted[10:13], predicted[14:18], predicted[0] = True, True, True
    found = match(compare(predicted, two_lesions()))
    assert found.hits == (None, 2)  # the larger of the two parts
    assert found.false == (0,)


def test_finding_another_lesion_goes_before_overlapping_more():
    # part 0 overlaps both lesions, best with lesion 0; part 1 only lesion 0
    reading = Reading.of(
        {
            "lesions": [100, 100],
            "parts": [
                {"voxels": 100, "score": 1.0, "shared": [[0, 70], [1, 25]]},
                {"voxels": 100, "score": 1.0, "shared": [[0, 30]]},
            ],
        }
    )
    assert match(reading).hits == (1, 0)


def test_ties_find_each_lesion_once():
    parts = [{"voxels": 10, "score": 0.5, "shared": [[0, 5], [1, 5]]}] * 2
    assert sorted(match(Reading.of({"lesions": [10, 10], "parts": parts})).hits) == [0, 1]


def test_the_rule_is_met_at_its_own_value():
    reading = Reading.of({"lesions": [10], "parts": [{"voxels": 10, "score": 1.0, "shared": [[0, 2]]}]})
    assert match(reading, HitRule(at_least=2 / 18)).hits == (0,)
    assert match(reading, HitRule(at_least=2 / 18 + 1e-9)).hits == (None,)
    assert match(reading, HitRule(overlap=Overlap.DICE, at_least=0.2)).hits == (0,)


def test_leaving_parts_out_matches_anew():
    predicted, score = np.zeros((20, 6, 6), dtype=bool), np.full((20, 6, 6), 0.2, dtype=np.float32)
    predicted[10:13], predicted[14:18] = True, True
    score[10:13] = 0.9
    reading = compare(predicted, two_lesions(), score)
    assert [round(part.score, 6) for part in reading.parts] == [0.9, 0.2]
    assert match(reading).hits == (None, 1)
    assert match(reading.kept(least_score=0.5)).hits == (None, 0)
    assert match(reading.kept(least_voxels=109)).hits == (None, 0)
    assert not reading.kept(least_voxels=145).parts


def test_lesions_that_touch_can_be_told_apart_by_their_numbers():
    numbered = np.zeros((10, 4, 4), dtype=np.int32)
    numbered[:5], numbered[5:] = 1, 2
    assert len(compare(numbered == 1, numbered > 0).lesions) == 1
    reading = compare_labelled(*components(numbered == 1), numbered, 2)
    assert match(reading).hits == (0, None)


@settings(deadline=None)
@given(MASKS, MASKS)
def test_a_reading_survives_json(predicted, truth):
    reading = compare(predicted, truth)
    assert Reading.of(json.loads(json.dumps(asdict(reading)))) == reading


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()).filter(any), min_size=1, max_size=20))
def test_rates_agree_with_scikit_learn(outcomes):
    truth, said = ([pair[n] for pair in outcomes] for n in (0, 1))
    counts = Tally(
        scans=1,
        hits=sum(a and b for a, b in outcomes),
        missed=sum(a and not b for a, b in outcomes),
        false=sum(b and not a for a, b in outcomes),
    )
    for mine, theirs in ((counts.sensitivity, recall_score), (counts.precision, precision_score), (counts.f1, f1_score)):
        assert (mine or 0.0) == pytest.approx(theirs(truth, said, zero_division=0))


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="must be equal"):
        compare(np.zeros((3, 3, 3), dtype=bool), np.zeros((3, 3, 4), dtype=bool))
    with pytest.raises(ValueError, match="one for each"):
        compare_labelled(*components(np.ones((3, 3, 3), dtype=bool)), *components(np.ones((3, 3, 3), dtype=bool)), np.ones(2))
    with pytest.raises(ValueError, match="at_least"):
        HitRule(at_least=0)
