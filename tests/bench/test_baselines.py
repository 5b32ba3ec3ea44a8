import numpy as np
import pytest

from panlesion.bench.baselines import (
    LUNG_THRESHOLD_HU,
    Part,
    Threshold,
    best_threshold,
    centre_ball,
    component,
    fit_ball,
    fit_threshold,
)  # fmt: skip
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.measure.overlap import dice

SHAPE = (24, 24, 24)
NODULE = (slice(9, 14), slice(9, 14), slice(9, 14))
WALL = (slice(0, 24), slice(0, 24), slice(20, 24))


def nodule_case(name, *, nodule_hu=-300, wall_hu=50):
    """Lung with a nodule of 125 voxels in the middle and a larger wall at the side."""
    grid = standard_grid(SHAPE, 1.0)
    hu, label = np.full(SHAPE, -850, dtype=np.int16), np.zeros(SHAPE, dtype=np.uint8)
    hu[WALL], hu[NODULE], label[NODULE] = wall_hu, nodule_hu, 1
    return LabelledCT(id=name, patient=name, ct=Volume(hu=hu, grid=grid), label=LabelMap(labels=label, grid=grid))


def test_the_ball_has_the_volume_it_was_given():
    ball = centre_ball((40, 40, 40), 2.0, 30.0)
    assert ball.sum() * 0.008 == pytest.approx(30.0, rel=0.03)
    assert np.abs(np.argwhere(ball).mean(axis=0) - 19.5).max() < 1e-9


def test_the_ball_takes_the_mean_volume_of_the_shots_and_needs_one():
    assert fit_ball([nodule_case("a")])(nodule_case("b")).sum() == pytest.approx(125, rel=0.15)
    with pytest.raises(ValueError, match="at least one shot"):
        fit_ball([])


def test_the_components_are_the_ones_named():
    case = nodule_case("a")
    truth = case.label.labels > 0
    assert np.array_equal(component(case.ct, Threshold(hu=-400, part=Part.CENTRAL)), truth)
    largest = component(case.ct, Threshold(hu=-400, part=Part.LARGEST))
    assert largest[WALL].all()
    assert largest.sum() == 24 * 24 * 4
    assert not component(case.ct, Threshold(hu=200)).any()


@pytest.mark.parametrize(("nodule_hu", "wall_hu"), [(-300, 50), (-700, -500), (50, -600)])
def test_the_best_rule_of_the_shots_finds_another_nodule(nodule_hu, wall_hu):
    look = {"nodule_hu": nodule_hu, "wall_hu": wall_hu}
    other = nodule_case("b", **look)
    assert dice(fit_threshold([nodule_case("a", **look)])(other), other.label.labels > 0) == 1.0


def test_the_best_rule_has_the_highest_mean_dice_of_all():
    rng = np.random.default_rng(0)
    shots = []
    for n in range(3):
        case = nodule_case(str(n), nodule_hu=-500 + 100 * n)
        noisy = (case.ct.hu + rng.normal(0, 120, SHAPE)).astype(np.int16)
        shots.append(LabelledCT(id=case.id, patient=case.id, ct=Volume(hu=noisy, grid=case.ct.grid), label=case.label))

    def score(rule):
        return np.mean([dice(component(case.ct, rule), case.label.labels > 0) for case in shots])

    best = best_threshold(shots)
    assert score(best) == pytest.approx(max(score(Threshold(hu=hu, part=part)) for hu in range(-900, 201, 50) for part in Part))
    assert score(best) > score(Threshold(hu=0))


def test_without_shots_the_threshold_is_the_one_between_lung_and_tissue():
    assert best_threshold([]) == Threshold(hu=LUNG_THRESHOLD_HU, part=Part.CENTRAL)
