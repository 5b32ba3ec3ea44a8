import numpy as np
import pytest

from panlesion.aid.reads.outline import Patch, best_outline, runs_of, score_of
from panlesion.aid.vocabulary import ProposalWay
from panlesion.measure.overlap import dice

SHAPE, SPACING, AT = (60, 60, 40), (1.25, 1.25, 2.0), (30, 28, 20)


def ball(radius_mm, at=AT):
    away = [((np.arange(n) - c) * mm) ** 2 for n, c, mm in zip(SHAPE, at, SPACING, strict=True)]
    return away[0][:, None, None] + away[1][:, None] + away[2] <= radius_mm**2


def scene(contrast_hu=-60.0, noise_hu=10.0, radius_mm=11.0):
    """A liver with a dark ball in it, and another one beside."""
    hu = np.random.default_rng(4).normal(100, noise_hu, SHAPE)
    lesion = ball(radius_mm)
    hu[lesion] += contrast_hu
    hu[ball(5.0, (48, 28, 20))] += contrast_hu
    return hu.astype(np.float32), lesion


def patch(hu, probability=None, at=AT, inside=None):
    nothing = np.full(SHAPE, 0.001, np.float32)
    return Patch(hu=hu, probability=nothing if probability is None else probability, spacing_mm=SPACING, at=at, inside=inside)


@pytest.mark.parametrize("contrast_hu", [-60, 70, 300])
@pytest.mark.parametrize("off", [(0, 0, 0), (3, -2, 2)])
def test_a_lesion_that_the_network_does_not_see_is_outlined_by_its_density(contrast_hu, off):
    hu, lesion = scene(contrast_hu)
    found = best_outline(patch(hu, at=tuple(np.add(AT, off).tolist())))
    assert found.way is ProposalWay.DENSITY
    assert dice(found.mask, lesion) > 0.85
    assert found.mask[AT] and not found.mask[48, 28, 20]


@pytest.mark.parametrize(("level", "way"), [(0.9, ProposalWay.NETWORK), (0.2, ProposalWay.FAINT)])
def test_a_lesion_that_only_the_network_sees_is_its(level, way):
    hu, lesion = scene(contrast_hu=-4, noise_hu=12)
    probability = np.where(lesion, level, 0.001).astype(np.float32)
    found = best_outline(patch(hu, probability))
    assert found.way is way and dice(found.mask, lesion) == 1


def test_what_the_network_marks_elsewhere_is_not_meant_by_the_click():
    hu, lesion = scene()
    probability = np.where(ball(5.0, (48, 28, 20)), 0.95, 0.001).astype(np.float32)
    found = best_outline(patch(hu, probability))
    assert dice(found.mask, lesion) > 0.85


def test_a_box_keeps_the_outline_inside():
    hu, lesion = scene()
    inside = np.zeros(SHAPE, dtype=bool)
    inside[20:41, 18:39, 13:28] = True
    found = best_outline(patch(hu, inside=inside))
    assert not (found.mask & ~inside).any() and dice(found.mask, lesion) > 0.85


def test_there_is_always_an_outline_and_never_all_there_is():
    flat = np.full(SHAPE, 40, dtype=np.float32)
    found = best_outline(patch(flat))
    assert found.mask[AT] and not found.mask.all()
    noise = np.random.default_rng(1).normal(0, 200, SHAPE).astype(np.float32)
    assert best_outline(patch(noise)).mask.any()


def test_the_true_outline_scores_above_smaller_larger_and_shifted_ones():
    hu, lesion = scene(radius_mm=11.0)
    here = patch(hu)
    true = score_of(here, lesion)
    assert all(true > score_of(here, ball(radius)) for radius in (7.0, 9.0, 14.0, 18.0))
    assert true > score_of(here, np.roll(lesion, 4, axis=0))


@pytest.mark.parametrize("seed", range(5))
def test_runs_give_the_mask_back(seed):
    mask = np.random.default_rng(seed).random((5, 4, 3)) < (0.0, 0.3, 0.5, 0.9, 1.0)[seed]
    runs = runs_of(mask)
    back = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(mask.shape, order="F")
    assert (back == mask).all() and sum(runs) == mask.size
