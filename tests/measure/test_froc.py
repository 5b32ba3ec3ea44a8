import itertools

import numpy as np
import pytest
from picai_eval import evaluate
from sklearn.metrics import average_precision_score

from panlesion.measure.detection import HitRule, Part, Reading, compare, tally
from panlesion.measure.froc import average_precision, froc_curve, operating_points


def hit(score, voxels=10):
    return Part(voxels=voxels, score=score, shared=((0, voxels),))


def miss(score):
    return Part(voxels=5, score=score)


SCANS = [
    Reading(lesions=(10,), parts=(hit(0.9), miss(0.8), miss(0.3))),
    Reading(lesions=(10,), parts=(hit(0.5), miss(0.6))),
    Reading(lesions=(10,), parts=(miss(0.2),)),
    Reading(parts=(miss(0.1),)),
]


def test_points_by_hand():
    found = {p.allowed: p for p in operating_points(SCANS, rates=(0.25, 0.5, 1.25))}
    # one false positive allowed: 0.8 stays, all from 0.6 down goes
    assert found[0.25].sensitivity == pytest.approx(1 / 3) and found[0.25].false_per_scan == 0.25
    # two allowed: 0.6 stays and so does the hit of 0.5
    assert found[0.5].sensitivity == pytest.approx(2 / 3) and 0.3 < found[0.5].least_score <= 0.5
    # all may stay
    assert found[1.25].least_score == 0.0 and found[1.25].false_per_scan == 1.25


def test_more_false_positives_never_find_less_and_the_bound_holds():
    rng = np.random.default_rng(0)
    scans = [
        Reading(lesions=(10,) * 2, parts=tuple(
            Part(voxels=8, score=float(s), shared=((int(rng.integers(2)), 6),) if rng.random() < 0.3 else ())
            for s in rng.random(int(rng.integers(12)))
        )) for _ in range(30)
    ]  # fmt: skip
    points = operating_points(scans)
    assert [p.sensitivity for p in points] == sorted(p.sensitivity for p in points)
    assert all(p.false_per_scan <= p.allowed for p in points)
    for point in points:
        counts = tally([scan.kept(least_score=point.least_score) for scan in scans])
        assert counts.false_per_scan == point.false_per_scan and counts.sensitivity == point.sensitivity


def test_ties_do_not_break_the_bound():
    scans = [Reading(lesions=(10,), parts=(hit(0.5), miss(0.5), miss(0.5)))]
    assert operating_points(scans, rates=(1.0,))[0].false_per_scan == 0.0


def test_without_lesions_there_is_no_sensitivity():
    with pytest.raises(ValueError, match="1 scans hold no lesion"):
        operating_points([Reading(parts=(miss(0.5),))])


def drawn_scans(seed, scans=12, shape=(14, 12, 10)):
    """Pairs of lesion mask and detection map: a lesion is found, half found or missed, and there are false parts."""
    rng = np.random.default_rng(seed)
    for _ in range(scans):
        truth, found = np.zeros(shape, bool), np.zeros(shape, np.float32)
        for corner in ((1, 1, 1), (8, 1, 1), (1, 7, 6), (8, 7, 6)):
            here = tuple(slice(a, a + 4) for a in corner)
            truth[here] = rng.random() < 0.4
            if rng.random() < 0.5:
                size = int(rng.integers(1, 5))
                found[tuple(slice(a, a + size) for a in corner)] = rng.integers(1, 8) / 8  # scores tie
        yield truth, found


def read(truth, found):
    return compare(found > 0, truth, found)


@pytest.mark.parametrize("seed", range(6))
def test_curve_and_average_precision_are_those_of_picai_eval(seed):
    pairs = list(drawn_scans(seed))
    # every part has one score, so its highest voxel, which they take, is its mean, which we take
    theirs = evaluate(
        y_det=[found for _, found in pairs], y_true=[truth.astype(np.int32) for truth, _ in pairs], num_parallel_calls=1
    )
    scans = [read(*pair) for pair in pairs]
    assert average_precision(scans) == pytest.approx(theirs.AP)
    mine = froc_curve(scans)
    rates, found = theirs.lesion_FPR, theirs.lesion_TPR
    least = dict(zip(theirs.thresholds.tolist(), zip(rates.tolist(), found.tolist(), strict=True), strict=True))
    for point in mine:
        rate, share = least[point.least_score]
        if np.isfinite(rate):  # they replace the last point by one at infinity
            assert (point.false_per_scan, point.sensitivity) == (pytest.approx(rate), pytest.approx(share))


def test_average_precision_is_that_of_a_ranking_where_every_lesion_is_a_part():
    rng = np.random.default_rng(1)
    right, scores = rng.random(60) < 0.4, rng.integers(1, 20, 60) / 20
    scans = [
        Reading(lesions=(10,) if yes else (), parts=(hit(float(s)) if yes else miss(float(s)),))
        for yes, s in zip(right, scores, strict=True)
    ]
    assert average_precision(scans) == pytest.approx(average_precision_score(right, scores))


def test_average_precision_by_hand():
    # 0.9 right, 0.8 and 0.6 wrong, 0.5 right, the third lesion never found
    assert average_precision(SCANS) == pytest.approx((1 / 3) * 1 + (1 / 3) * (2 / 4))
    assert average_precision([Reading(lesions=(10,))]) == 0.0
    assert froc_curve([Reading(lesions=(10,))]) == ()
    assert average_precision([Reading(lesions=(10,), parts=(hit(0.2),))]) == 1.0


def test_a_further_part_on_a_lesion_that_is_hit_is_neither_right_nor_wrong():
    twice = Reading(lesions=(10,), parts=(hit(0.5, 6), hit(0.9, 4)))
    assert froc_curve([twice])[-1].false_per_scan == 0.0
    assert average_precision([twice]) == 1.0


def test_the_curve_rises_and_shares_keep_to_their_range():
    for seed in range(4):
        points = froc_curve([read(*pair) for pair in drawn_scans(seed)], HitRule(at_least=0.3))
        for better, worse in itertools.pairwise(points):
            assert better.least_score > worse.least_score
            assert better.sensitivity <= worse.sensitivity and better.false_per_scan <= worse.false_per_scan
        assert all(0 <= point.precision <= 1 for point in points)


def test_a_curve_without_lesions_is_refused():
    with pytest.raises(ValueError, match="hold no lesion"):
        average_precision([Reading(parts=(miss(0.5),))])
    with pytest.raises(ValueError, match="0 scans"):
        froc_curve([])
