import numpy as np
import pytest

from panlesion.measure.detection import Part, Reading, tally
from panlesion.measure.froc import operating_points


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
