import numpy as np
import pytest
from PIL import Image

from panlesion.bench.clinical import Arm, Endpoint, Metric, Predicted
from panlesion.bench.clinical_pictures import draw_roc, draw_thirds, roc, thirds
from panlesion.bench.fits import RidgeCox
from panlesion.measure.concordance import class_pairs
from panlesion.measure.discrimination import auc

N = 90


def predicted(outcome, evidence):
    names = tuple(map(str, range(N)))
    endpoint = Endpoint(
        id="e", title="Made", counts="Some.", cases=names, patients=names, columns={}, outcome=outcome,
        strata=outcome[:, -1].astype(np.int64), fit=RidgeCox(),
        metrics=(Metric(name="AUC", pairs=lambda one: class_pairs(one[:, 0] > 0)),),
    )  # fmt: skip
    return Predicted(
        endpoint=endpoint, arm=Arm(name="arm", columns=("x",)), evidence=evidence, predicted=evidence[:, :, None], control=()
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_area_under_the_drawn_curve_is_the_auc(seed):
    rng = np.random.default_rng(seed)
    yes = rng.random(N) < 0.4
    evidence = np.round(yes + rng.normal(size=(2, N)), 1)
    curve = roc(yes, evidence)
    assert np.trapezoid(curve, dx=1 / 200) == pytest.approx(np.mean([auc(yes, one) for one in evidence]), abs=0.01)
    assert (np.diff(curve) >= 0).all()


def test_thirds_are_equal_ordered_and_free_of_scale():
    evidence = np.random.default_rng(0).normal(size=(3, N))
    found = thirds(evidence)
    assert np.bincount(found).tolist() == [30, 30, 30]
    assert np.array_equal(thirds(evidence * [[1], [10], [3]] + 5), found)
    assert thirds(np.arange(9.0)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_pictures_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    yes = rng.random(N) < 0.4
    draw_roc(tmp_path / "roc.png", [predicted(yes[:, None].astype(float), yes + rng.normal(size=(2, N)))], ("e",))
    outcome = np.column_stack([rng.uniform(1, 4000, N), yes]).astype(float)
    draw_thirds(tmp_path / "thirds.png", [predicted(outcome, rng.normal(size=(2, N)))] * 2, [0.04, 0.5])
    with Image.open(tmp_path / "roc.png") as one, Image.open(tmp_path / "thirds.png") as two:
        assert two.width > one.width
        assert np.asarray(one.convert("L")).std() > 5
    assert {path.name for path in tmp_path.iterdir()} == {"roc.png", "thirds.png"}
