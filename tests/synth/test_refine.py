from dataclasses import replace

import numpy as np
import pytest
import torch
from refiners_made import write_tiny_refiner

from panlesion.ct.volume import Box, standard_grid
from panlesion.errors import CheckpointError
from panlesion.synth.compose import Rendered
from panlesion.synth.refine import Refinery, calibrated, named, soft_mask, tiles

SPACING = (3.0, 3.0, 3.0)
SHAPE = (34, 32, 30)


@pytest.fixture(scope="module")
def refinery(tmp_path_factory):
    path = write_tiny_refiner(tmp_path_factory.mktemp("weights"))
    return Refinery(named(path, spacing_mm=3.0, strength=0.3, steps=2), spacing_mm=3.0)


def ball(radius=5, middle=(17, 16, 15)):
    return np.linalg.norm(np.indices(SHAPE).transpose(1, 2, 3, 0) - np.asarray(middle), axis=-1) < radius


class Drawn:
    """A case of soft tissue and a dark ball drawn into it, as `compose` hands it over."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.grid = standard_grid(SHAPE, 3.0, (0.0, 0.0, 0.0))
        self.hu = (80 + rng.normal(0, 10, SHAPE)).astype(np.int16)
        self.labels = np.full(SHAPE, 5, dtype=np.uint8)
        self.mask = ball()
        box = Box.of(self.mask).grown(1)
        hu = self.hu[box.slices].copy()
        hu[self.mask[box.slices]] -= 50
        # Refining carries the plan along and does not look into it.
        self.rendered = Rendered(
            plan=None, box=box, hu=hu, labels=self.labels[box.slices].copy(), mask=self.mask[box.slices].copy()
        )

    def refined(self, refinery, *, taken=None, seed=1):
        nobody = np.zeros(SHAPE, dtype=bool)
        return refinery(
            self.rendered, self.hu, self.labels, grid=self.grid, taken=nobody if taken is None else taken, seed=seed
        )

    def whole(self, rendered):
        hu = self.hu.copy()
        hu[rendered.box.slices] = rendered.hu
        return hu


@pytest.fixture(scope="module")
def drawn():
    return Drawn()


def test_nothing_changes_beyond_the_reach_and_labels_never_do(drawn, refinery):
    refined = drawn.refined(refinery)
    before, after = drawn.whole(drawn.rendered), drawn.whole(refined)
    weight = soft_mask(drawn.mask, before.astype(np.float32), SPACING)
    assert (before[drawn.mask] != after[drawn.mask]).any()
    assert np.array_equal(before[weight == 0], after[weight == 0])
    assert refined.mask.sum() == drawn.rendered.mask.sum()
    assert (refined.labels == 5).all()


def test_the_lesion_keeps_its_mean(drawn, refinery):
    before, after = drawn.whole(drawn.rendered), drawn.whole(drawn.refined(refinery))
    assert abs(before[drawn.mask].mean() - after[drawn.mask].mean()) < 0.5


def test_what_another_lesion_took_stays(drawn, refinery):
    taken = ball(3, (22, 16, 15))
    before, after = drawn.whole(drawn.rendered), drawn.whole(drawn.refined(refinery, taken=taken))
    assert np.array_equal(before[taken], after[taken])


def test_a_seed_gives_the_same_bits_whatever_the_threads(drawn, refinery):
    one = drawn.refined(refinery)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        two = drawn.refined(refinery)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(one.hu, two.hu)
    assert not np.array_equal(one.hu, drawn.refined(refinery, seed=2).hu)


def test_the_slow_part_of_a_change_is_undone():
    mask = ball(9)
    hu = np.where(mask, 30, 80).astype(np.float32)
    weight = soft_mask(mask, hu, SPACING)
    lifted = calibrated(hu + 20 * weight, hu, weight, mask, SPACING)
    assert abs((lifted - hu)[ball(4)]).max() < 3
    assert abs((lifted - hu)[mask].mean()) < 1e-3


def test_the_mask_is_full_in_the_lesion_and_nothing_far_away_or_in_other_matter():
    mask = ball()
    hu = np.where(mask, 30, 80).astype(np.float32)
    hu[:, :12] = -900
    weight = soft_mask(mask, hu, SPACING)
    assert (weight[ball(3)] == 1).all()
    assert (weight[~ball(5 + 4)] == 0).all()
    assert (weight[:, :11] == 0).all()
    assert weight.min() >= 0
    assert weight.max() <= 1


@pytest.mark.parametrize("shape", [(5, 64, 65), (70, 150, 30)])
def test_tiles_cover_a_field_and_stay_inside(shape):
    count = np.zeros(shape, dtype=int)
    for box in tiles(shape):
        assert max(box.shape) <= 64
        assert count[box.slices].shape == box.shape
        count[box.slices] += 1
    assert count.min() >= 1


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = write_tiny_refiner(tmp_path)
    with pytest.raises(CheckpointError, match=r"refiner_0\.safetensors was trained at 3 mm, the cases have 1 mm"):
        named(path, spacing_mm=1.0, strength=0.2, steps=2)
    with pytest.raises(ValueError, match=r"strength is 0\.9; .*refiner_0\.safetensors was trained up to"):
        named(path, spacing_mm=3.0, strength=0.9, steps=2)
    fine = named(path, spacing_mm=3.0, strength=0.2, steps=2)
    write_tiny_refiner(tmp_path, seed=0, spacing_mm=3.1)
    with pytest.raises(CheckpointError, match="was changed: its SHA-256"):
        Refinery(fine, spacing_mm=3.0)
    with pytest.raises(CheckpointError, match="trained up to time"):
        Refinery(replace(named(path, spacing_mm=3.1, strength=0.2, steps=2), strength=0.9), spacing_mm=3.1)
