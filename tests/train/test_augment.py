import json
import time
from dataclasses import asdict, replace

import numpy as np
import pytest

from panlesion.ct.intensity import to_network
from panlesion.train.augment import Augment, Augmentation, draw_augmentation, render_augmentation
from panlesion.train.chance import Chance
from panlesion.train.warp import Warp

CLASSES = [0, 2, 5, 17, 255]


def cube(seed=0, n=64):
    """A noisy body in air, with boxes of several classes."""
    rng = np.random.default_rng(seed)
    hu = np.full((n, n, n), -1000.0)
    hu[4:-4, 8:-10] = 40 + rng.normal(0, 15, (n - 8, n - 18, n))
    targets = np.zeros((2, n, n, n), np.uint8)
    for number, value in enumerate(CLASSES[1:]):
        a = 12 + 10 * number
        hu[a : a + 9, 20:40, 20:40] += 100 * number
        targets[number % 2, a : a + 9, 20:40, 20:40] = value
    return hu.astype(np.int16), targets


def always(config):
    """The same ranges, everything done every time."""
    host = replace(config.host, **{name: replace(chance, p=1.0) for name, chance in config.host.__dict__.items()})
    tone = replace(config.tone, **{name: replace(chance, p=1.0) for name, chance in config.tone.__dict__.items()})
    return Augment(
        warp=replace(config.warp, rotation_deg=Chance(p=1, low=-30, high=30), scale=Chance(p=1, low=0.7, high=1.4)),
        host=host,
        tone=tone,
    )


def test_no_augmentation_is_the_crop_through_the_intensity_map():
    hu, targets = cube()
    for aug in (Augmentation(), draw_augmentation(Augment.none(), np.random.default_rng(7))):
        x, y = render_augmentation(aug, hu, targets, 48, centre_ijk=(30, 32, 26))
        assert np.array_equal(x, to_network(hu[6:54, 8:56, 2:50]))
        assert np.array_equal(y, targets[:, 6:54, 8:56, 2:50])


def test_the_middle_of_the_cube_is_the_default_centre():
    hu, targets = cube()
    assert np.array_equal(render_augmentation(Augmentation(), hu, targets, 48)[0], to_network(hu[8:56, 8:56, 8:56]))


def test_equal_seeds_give_equal_patches_and_records_are_json():
    hu, targets = cube()
    config = always(Augment())
    first, again = (draw_augmentation(config, np.random.default_rng(3)) for _ in range(2))
    assert first == again and json.loads(json.dumps(asdict(first), allow_nan=False))["warp"]["scale"] == first.warp.scale
    (x, y), (u, v) = (render_augmentation(aug, hu, targets, 48) for aug in (first, again))
    assert np.array_equal(x, u) and np.array_equal(y, v)
    assert draw_augmentation(config, np.random.default_rng(4)) != first


@pytest.mark.parametrize("config", [Augment(), Augment.pasta(), always(Augment())])
def test_patches_are_finite_within_the_range_and_know_no_new_class(config):
    hu, targets = cube()
    before = hu.copy(), targets.copy()
    for seed in range(60):
        x, y = render_augmentation(draw_augmentation(config, np.random.default_rng(seed)), hu, targets, 48)
        assert x.dtype == np.float32 and x.shape == (48, 48, 48) and x.flags.c_contiguous
        assert np.isfinite(x).all() and x.min() >= 0 and x.max() <= 1
        assert y.dtype == np.uint8 and y.shape == (2, 48, 48, 48) and set(np.unique(y)) <= set(CLASSES)
    assert np.array_equal(hu, before[0]) and np.array_equal(targets, before[1])


def test_pastas_list_leaves_the_host_alone():
    for seed in range(50):
        drawn = draw_augmentation(Augment.pasta(), np.random.default_rng(seed)).host
        assert replace(drawn, slice_axis=2) == Augmentation().host


def test_changing_one_range_leaves_the_other_draws_alone():
    for seed in range(20):
        ours, theirs = (draw_augmentation(config, np.random.default_rng(seed)) for config in (Augment(), Augment.pasta()))
        assert ours.warp == theirs.warp and ours.tone == theirs.tone


def test_volumes_of_any_shape_can_be_cut():
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 900, (30, 70, 41)).astype(np.int16)
    targets = rng.integers(0, 3, (1, 30, 70, 41)).astype(np.uint8)
    for warp in (Warp(), Warp(scale=1.4), Warp(rotation_deg=(10.0, 20.0, -30.0))):
        x, y = render_augmentation(Augmentation(warp=warp), hu, targets, 48, centre_ijk=(29, 0, 40))
        assert x.shape == (48, 48, 48) and (x == 0).mean() > 0.5 and not y[0][x == 0].all()


def test_what_does_not_fit_together_is_refused():
    hu, targets = cube(n=32)
    for wrong in ((hu.astype(np.float32), targets, 16), (hu, targets[0], 16), (hu, targets[:, 1:], 16), (hu, targets, 1)):
        with pytest.raises(ValueError, match=r"must be|at least"):
            render_augmentation(Augmentation(), *wrong)


def test_a_patch_takes_a_few_milliseconds():
    hu, targets = cube()
    spent = []
    for seed in range(60):
        start = time.thread_time()
        render_augmentation(draw_augmentation(Augment(), np.random.default_rng(seed)), hu, targets, 48)
        spent.append(time.thread_time() - start)
    assert np.mean(spent) < 0.012
