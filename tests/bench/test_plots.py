from dataclasses import replace

import numpy as np
import pytest
from results_made import answers
from sklearn.metrics import roc_auc_score, roc_curve

from panlesion.bench.plots import COLOURS, DASHES, MARKERS, Spoke, area_of, forest, radar, risk_halves, roc_points, style
from panlesion.bench.predictions import Said
from panlesion.bench.scores import Score


@pytest.mark.parametrize("seed", range(5))
def test_a_roc_curve_agrees_with_an_oracle(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.4
    evidence = np.round(rng.normal(size=60) + truth, 1)  # with ties
    x, y = roc_points(truth, evidence)
    false, true, _ = roc_curve(truth, evidence, drop_intermediate=False)
    assert np.allclose(x, false)
    assert np.allclose(y, true)
    assert np.trapezoid(y, x) == pytest.approx(roc_auc_score(truth, evidence))


def test_a_roc_curve_needs_both_kinds():
    with pytest.raises(ValueError, match="0 of 3 cases are positive"):
        roc_points([False] * 3, [1, 2, 3])


def test_several_cases_of_a_patient_widen_the_interval_by_resampling_patients():
    rng = np.random.default_rng(0)
    said = [
        Said(case=str(n), patient=str(n), arm="x", evidence=float(n % 2 + rng.normal()), truth=bool(n % 2)) for n in range(40)
    ]
    alone = area_of(said)
    copies = [replace(one, case=f"{one.case}.{k}") for one in said for k in range(5)]
    assert area_of(copies).mean == pytest.approx(alone.mean)
    # five copies of a patient are no five patients
    width = [area.high - area.low for area in (alone, area_of(copies))]
    assert width[1] == pytest.approx(width[0], rel=0.25)
    assert area_of(copies).n == 40


def test_halves_are_by_the_median_risk_of_patients():
    halves = risk_halves(answers())
    assert (len(halves.low[0]), len(halves.high[0])) == (6, 6)
    assert min(halves.low[0]) > max(halves.high[0])
    assert halves.p < 0.05
    doubled = [one for said in answers() for one in (said, replace(said, case=f"{said.case}b"))]
    assert risk_halves(doubled) == halves
    with pytest.raises(ValueError, match="p0 has several times"):
        risk_halves([*answers(), replace(answers()[0], case="other", time=1.0)])


def test_a_radar_needs_three_rows_and_leaves_gaps():
    spokes = [Spoke(name=f"row_{n}", values={"ours": 0.5, "paper": None if n else 0.4}) for n in range(3)]
    assert "<svg" in radar(spokes)
    with pytest.raises(ValueError, match="a radar needs three"):
        radar(spokes[:2])


def test_pictures_are_the_same_again():
    one = Score(row="a", arm="x over y", metric="dice difference", value=0.1, low=-0.1, high=0.3, n=9, shots=1)
    assert forest([("a", [one])]) == forest([("a", [one])])


def test_lines_differ_in_more_than_colour():
    assert len(set(COLOURS)) == len(set(MARKERS)) == len(DASHES) == 8
    looks = [style(n) for n in range(8)]
    assert len({(look["marker"], str(look["linestyle"])) for look in looks}) == 8
