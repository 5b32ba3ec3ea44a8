import math

import numpy as np
import pytest
from lesions_made import grid_of

from panlesion.measure.detection import HitRule, Tally
from panlesion.measure.mask_scores import score_masks
from panlesion.measure.overlap import dice
from panlesion.measure.surface import hd95, mean_surface_distance, nsd

SPACING = (1.0, 1.5, 2.0)
SHAPE = (20, 18, 16)
GRID = grid_of(SHAPE, SPACING)


def boxes(*corners, side=4):
    mask = np.zeros(SHAPE, dtype=bool)
    for corner in corners:
        mask[tuple(slice(a, a + side) for a in corner)] = True
    return mask


def score(predicted, truth, **more):
    return score_masks(predicted, truth, GRID, **{"tolerance_mm": 1.0} | more)


def test_scores_are_those_of_the_whole_scan():
    truth, predicted = boxes((1, 1, 1), (10, 10, 10)), boxes((2, 1, 1), (1, 12, 10))
    found = score(predicted, truth)
    assert found.dice == dice(predicted, truth)
    assert found.nsd == pytest.approx(nsd(predicted, truth, SPACING, 1.0))
    assert found.hd95_mm == pytest.approx(hd95(predicted, truth, SPACING))
    assert found.mean_surface_mm == pytest.approx(mean_surface_distance(predicted, truth, SPACING))
    assert found.volume.truth_ml == pytest.approx(128 * 3 / 1000)
    assert found.tally == Tally(scans=1, hits=1, missed=1, false=1)


def test_the_tolerance_and_the_rule_are_the_callers():
    truth, predicted = boxes((1, 1, 1)), boxes((3, 1, 1))
    assert score(predicted, truth, tolerance_mm=0.5).nsd < score(predicted, truth, tolerance_mm=2.0).nsd == 1.0
    assert score(predicted, truth, rule=HitRule(at_least=0.33)).tally.hits == 1
    assert score(predicted, truth, rule=HitRule(at_least=0.34)).tally.hits == 0


def test_nothing_true_has_no_overlap_and_nothing_predicted_has_the_worst():
    nothing = boxes()
    healthy = score(boxes((1, 1, 1)), nothing)
    assert (healthy.dice, healthy.nsd, healthy.hd95_mm, healthy.mean_surface_mm) == (None,) * 4
    assert healthy.tally.false == 1 and healthy.volume.signed_ml > 0
    missed = score(nothing, boxes((1, 1, 1)))
    assert (missed.dice, missed.nsd, missed.hd95_mm, missed.mean_surface_mm) == (0.0, 0.0, math.inf, math.inf)
    assert missed.tally == Tally(scans=1, hits=0, missed=1, false=0)
    clean = score(nothing, nothing)
    assert clean.dice is None and clean.tally == Tally(scans=1, hits=0, missed=0, false=0)


def test_masks_of_another_grid_are_refused():
    with pytest.raises(ValueError, match=r"their grid \(20, 18, 16\)"):
        score(boxes()[:-1], boxes()[:-1])
