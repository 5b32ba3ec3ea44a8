import csv

import numpy as np
import pytest

from panlesion.bench.clinical import Arm, Endpoint, Metric, chosen_arms, judge, predict_arms, tables
from panlesion.bench.fits import RidgeOrdinal
from panlesion.bench.predictions import read_predictions
from panlesion.measure.concordance import class_pairs
from panlesion.measure.discrimination import auc

KNOWS, NOISE = Arm(name="knows", columns=("signal",)), Arm(name="noise", columns=("noise", "more noise"))


def endpoint(id="e", n=100, strength=2.0):
    rng = np.random.default_rng(0)
    yes = rng.random(n) < 0.4
    columns = {"signal": strength * yes + rng.normal(size=n), "noise": rng.normal(size=n), "more noise": rng.normal(size=n)}
    names = tuple(f"c{k:03d}" for k in range(n))
    return Endpoint(
        id=id, title="Made", counts="Some against others.", cases=names, patients=names, columns=columns,
        outcome=yes[:, None].astype(float), strata=yes.astype(np.int64), fit=RidgeOrdinal(strengths=(10.0,)),
        metrics=(Metric(name="AUC", pairs=lambda outcome: class_pairs(outcome[:, 0] > 0)),),
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, predict_arms([endpoint()], {"e": (KNOWS, NOISE)}, out, repetitions=2, watch=lambda *_: None)


def test_who_knows_is_found_and_who_does_not_is_at_chance_as_are_shuffled_labels(found):
    knows, noise = judge(found[1])
    assert knows.value.mean > 0.85
    assert knows.value.low > 0.7
    assert noise.value.low < 0.5 < noise.value.high + 0.05
    assert np.mean([*knows.control, *noise.control]) == pytest.approx(0.5, abs=0.1)
    assert knows.comparison is None
    assert noise.comparison.difference.high < 0
    assert noise.comparison.p < 0.01


def test_a_table_shows_every_number_and_scores_repeat_it(found):
    (table,) = tables("row", found[1], [endpoint()])
    first, second = table.rows
    assert first[0] == "knows"
    assert first[3:] == ("-", "-", "-")
    assert second[3].startswith("-0.")
    assert second[4] == second[5]  # a single comparison needs no correction
    assert [score.arm for score in table.scores] == ["knows", "noise"]
    assert f"{table.scores[0].value:.3f}" in first[1]
    assert (table.scores[0].n, table.scores[0].repetitions, table.scores[0].metric) == (100, 2, "e: AUC")


def test_p_values_are_corrected_over_all_endpoints_of_a_row(tmp_path):
    asks = [endpoint("a"), endpoint("b", strength=1.0)]
    found = predict_arms(asks, {"a": (KNOWS, NOISE), "b": (KNOWS, NOISE)}, tmp_path, repetitions=1, watch=lambda *_: None)
    made = tables("row", found, asks)
    p = [float(table.rows[1][4]) for table in made]
    corrected = [float(table.rows[1][5]) for table in made]
    assert min(corrected) == pytest.approx(2 * min(p), abs=2e-4)


def test_folds_and_predictions_stay_and_a_second_run_repeats_the_first(found, tmp_path):
    out, first = found
    with (out / "evidence-e.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 100
    assert float(lines[0]["knows / 0"]) == pytest.approx(first[0].evidence[0, 0], rel=1e-5)
    again = predict_arms([endpoint()], {"e": (KNOWS,)}, out, repetitions=2, watch=lambda *_: None)
    assert np.array_equal(again[0].evidence, first[0].evidence)
    (tmp_path / "folds-e.json").write_text((out / "folds-e.json").read_text())
    other = predict_arms([endpoint()], {"e": (KNOWS,)}, tmp_path, repetitions=1, watch=lambda *_: None)
    assert np.array_equal(other[0].evidence, first[0].evidence[:1])


def test_answers_are_left_as_other_rows_leave_them(found):
    out, (knows, _) = found
    said = [one for one in read_predictions(out) if one.arm == "knows"]
    assert len(said) == 100
    assert {one.question for one in said} == {"Made"}
    truth = np.array([one.truth for one in said])
    assert np.array_equal(truth, knows.endpoint.outcome[:, 0] > 0)
    assert auc(truth, np.array([one.evidence for one in said])) == pytest.approx(judge([knows])[0].value.mean, abs=0.03)


def test_an_arm_without_its_column_is_refused():
    with pytest.raises(ValueError, match="blood asks for haemoglobin, which e has no column of"):
        endpoint().sample(Arm(name="blood", columns=("signal", "haemoglobin")))


def test_the_trivial_arm_is_always_among_those_chosen():
    assert chosen_arms((KNOWS, NOISE), None) == (KNOWS, NOISE)
    assert chosen_arms((KNOWS, NOISE), ["noise"]) == (KNOWS, NOISE)
    assert chosen_arms((NOISE, KNOWS), ["noise"]) == (NOISE,)
    with pytest.raises(ValueError, match="guess is no arm; use some of knows, noise"):
        chosen_arms((KNOWS, NOISE), ["guess"])
