import numpy as np
import pytest
from kits_made import mask, quickly, row, write_kits

from panlesion.bench import kits_features
from panlesion.bench.kits_features import KitsCase
from panlesion.bench.kits_survival import ARMS, SHOWN, endpoint, followed_cases, run_kits_survival
from panlesion.bench.predictions import read_predictions
from panlesion.bench.protocol import Asked, Choices
from panlesion.data.sources.kits_masks import read_clinical
from panlesion.errors import StoreError
from panlesion.measure.concordance import concordance
from panlesion.measure.survival import c_index


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Seventy patients of whom those with large tumours die soon, and four who are not asked about."""
    root = tmp_path_factory.mktemp("data")
    rows = [row(f"case_{n:03d}", dead=n % 2 == 0, days=3000.0 - 400 * (n % 7) + n, age=40 + n % 30) for n in range(70)]
    rows += [row("case_070", malignant="False", stage="na"), row("case_071", malignant="", stage=""),
             row("case_072", days=0), row("case_073", days=0, dead=True)]  # fmt: skip
    shapes = [mask(6.0 + radius) for radius in range(7)]
    write_kits(root, rows, {one["case_id"]: shapes[int(one["case_id"][5:]) % 7] for one in rows})
    return root


def cases(tree):
    return [KitsCase(patient=one, numbers={"diameter_mm": 20.0}) for one in read_clinical(tree / "kits23").patients]


def test_only_cancer_patients_with_follow_up_are_asked_about_and_the_others_are_counted(tree):
    kept, who = followed_cases(cases(tree))
    assert len(kept) == 70
    assert "left out: 1 benign, 1 of unknown malignancy, 2 lost on the day" in who


def test_the_endpoint_counts_deaths_and_who_was_lost_before_the_horizon(tree):
    kept, _ = followed_cases(cases(tree))
    ask = endpoint(kept)
    days, dead = ask.outcome.T
    early, beyond = int((dead.astype(bool) & (days <= 3 * 365.25)).sum()), int((days > 3 * 365.25).sum())
    assert f"35 deaths, median time seen {np.median(days) / 365.25:.1f} years" in ask.counts
    assert f"{early} had died, {beyond} were known to live, {70 - early - beyond} had been lost" in ask.counts
    risk = np.random.default_rng(0).normal(size=70)
    assert concordance(ask.metrics[0].pairs(ask.outcome), risk) == pytest.approx(c_index(days, dead, risk))
    assert all(set(arm.columns) <= set(ask.columns) for arm in ARMS)
    assert set(SHOWN) <= {arm.name for arm in ARMS}


def test_too_few_deaths_are_refused(tree):
    kept, _ = followed_cases(cases(tree))
    with pytest.raises(StoreError, match="there are 15 deaths among 30 patients; 20 are the least"):
        endpoint(kept[:30])


def test_a_run_finds_that_size_tells_survival_and_draws_it(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(kits_features, "_measured", quickly)
    asked = Asked(root=tree, checkpoint="nano", out=tmp_path, choices=Choices(arms=("age alone",), seeds=1))
    about, c, at, third = run_kits_survival("kits23", asked, lambda *_: None)
    assert about.rows == (("followed", "70"),)
    assert [line[0] for line in c.rows] == ["size alone", "age alone"]
    assert c.scores[0].value > 0.9
    assert c.scores[0].low > c.scores[1].high - 0.2
    assert at.rows[0][2] == "-"  # shuffled labels are asked once an endpoint
    low, high = (float(third.rows[0][column].split()[0]) for column in (1, 3))
    assert low > high
    assert float(third.rows[0][4]) < 1e-3
    assert (tmp_path / "thirds.png").stat().st_size > 1000
    said = [one for one in read_predictions(tmp_path) if one.arm == "size alone"]
    assert c_index(*np.array([(one.time, one.event, one.evidence) for one in said], dtype=float).T) > 0.9
