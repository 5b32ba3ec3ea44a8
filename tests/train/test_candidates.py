import numpy as np
import pytest

from panlesion.measure.detection import HitRule, Part, Reading, match
from panlesion.train.candidates import Candidates, CandidateSource, calibration, known_parts


def made(lesions=3, others=40):
    lesion = np.arange(lesions + others) < lesions
    return Candidates(
        vectors=np.arange(len(lesion), dtype=np.float32)[:, None], lesion=lesion, scan=np.zeros(len(lesion), dtype=np.int64)
    )


def test_parts_that_graze_a_lesion_are_neither():
    reading = Reading(
        lesions=(100,),
        parts=(Part(voxels=80, shared=((0, 60),)), Part(voxels=3, shared=((0, 3),)), Part(voxels=9)),
    )
    lesion, known = known_parts(reading)
    assert lesion.tolist() == [True, False, False]
    assert known.tolist() == [True, False, True]
    found = match(reading)
    assert found.hits == (0,) and 2 in found.false


def test_another_rule_makes_other_lesions():
    reading = Reading(lesions=(100,), parts=(Part(voxels=80, shared=((0, 60),)),))
    lesion, known = known_parts(reading, HitRule(at_least=0.9))
    assert (lesion.tolist(), known.tolist()) == ([False], [False])


def test_rare_lesions_are_drawn_as_often_as_the_rest_and_draws_repeat():
    source = CandidateSource(data=made(), seed=1, batch=8)
    drawn = [source.sample(step, slot) for step in range(50) for slot in range(8)]
    share = np.mean([sample.arrays["lesion"] for sample in drawn])
    assert 0.4 < share < 0.6
    assert all((sample.arrays["image"][0] < 3) == bool(sample.arrays["lesion"]) for sample in drawn)
    again = CandidateSource(data=made(), seed=1, batch=8).sample(7, 3)
    assert again.id == drawn[7 * 8 + 3].id


def test_calibrated_logits_are_the_probabilities_they_came_from():
    rng = np.random.default_rng(0)
    true = rng.normal(-2, 2, 40_000)
    lesion = rng.random(len(true)) < 1 / (1 + np.exp(-true))
    scale, shift = calibration(3 * true + 1.5, lesion)
    assert scale == pytest.approx(1 / 3, rel=0.03)
    assert shift == pytest.approx(-0.5, abs=0.06)


def test_calibration_agrees_with_an_independent_fit():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    logits = np.concatenate([rng.normal(1, 1, 300), rng.normal(-1, 1.5, 3000)])
    lesion = np.arange(len(logits)) < 300
    oracle = LogisticRegression(C=1e6).fit(logits[:, None], lesion)
    scale, shift = calibration(logits, lesion)
    assert scale == pytest.approx(float(oracle.coef_[0, 0]), rel=0.02)
    assert shift == pytest.approx(float(oracle.intercept_[0]), rel=0.02)


def test_useless_logits_end_at_the_share_of_lesions_and_are_never_turned_round():
    rng = np.random.default_rng(2)
    lesion = np.arange(1000) < 100
    scale, shift = calibration(np.where(lesion, -1.0, 1.0) + rng.normal(0, 1, 1000), lesion)
    assert scale == pytest.approx(0.0, abs=1e-6)
    assert 1 / (1 + np.exp(-shift)) == pytest.approx(0.1, abs=0.01)


def test_perfectly_parted_candidates_do_not_ask_for_certainty():
    lesion = np.arange(20) < 5
    scale, shift = calibration(np.where(lesion, 10.0, -10.0), lesion)
    assert 0.5 < 1 / (1 + np.exp(-(scale * 10 + shift))) < 0.99


@pytest.mark.parametrize("lesion", [np.zeros(4, bool), np.ones(4, bool)])
def test_one_kind_alone_cannot_calibrate(lesion):
    with pytest.raises(ValueError, match="needs both"):
        calibration(np.zeros(4), lesion)
