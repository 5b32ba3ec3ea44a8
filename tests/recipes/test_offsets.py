import numpy as np
import torch

from panlesion.nets.model import new_model
from panlesion.recipes.fresh_blocks import FreshBlocks
from panlesion.recipes.offsets import _mean_dice, fit_offsets, offsets_of


def shifted_problem(rng, shift):
    """Three classes, the second rare, with honest logits that were moved by `shift`."""
    target = rng.choice(3, size=20_000, p=(0.9, 0.02, 0.08)).astype(np.uint8)
    logits = rng.normal(0, 1, (3, len(target))).astype(np.float32)
    logits[target, np.arange(len(target))] += 5
    return logits + np.asarray(shift, dtype=np.float32)[:, None], target


def dice(logits, target):
    voxels = np.bincount(target, minlength=len(logits))
    return _mean_dice(logits.argmax(0).astype(np.uint8), target, voxels, [1, 2])


def test_a_shift_that_favours_rare_classes_is_taken_back():
    rng = np.random.default_rng(3)
    logits, target = shifted_problem(rng, (0, 4.0, 2.0))
    fresh, truth = shifted_problem(rng, (0, 4.0, 2.0))
    offsets = offsets_of(logits, target)
    honest = fresh - np.float32([[0], [4], [2]])
    assert offsets[0] == 0
    assert dice(fresh + offsets[:, None], truth) >= dice(honest, truth) - 0.02 > dice(fresh, truth)


def test_offsets_never_make_what_they_are_fitted_on_worse():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        logits, target = shifted_problem(rng, rng.normal(0, 3, 3))
        assert dice(logits + offsets_of(logits, target)[:, None], target) >= dice(logits, target)


def test_classes_that_do_not_occur_stay_as_they_are():
    logits, target = shifted_problem(np.random.default_rng(1), (0, 4.0, 2.0))
    target[target == 1] = 0
    assert offsets_of(logits, target)[1] == 0


def test_a_models_offsets_have_one_for_each_channel_and_do_not_depend_on_those_it_has():
    torch.manual_seed(0)
    model = new_model("nano", spacing_mm=5.0, patch_voxels=32).eval()
    blocks = FreshBlocks(seed=4, spacing_mm=(5.0, 5.0), size_voxels=40, scans=1, lesions_per_scan=0, masses_per_scan=1,
                         healthy_per_scan=1, limb_share=1.0)  # fmt: skip
    block, steps = blocks.make(10**9), []
    first = fit_offsets(model, [block], progress=lambda done, all_: steps.append((done, all_)))
    assert len(first) == len(model.classes)
    assert steps == [(1, 2), (2, 2)]
    object.__setattr__(model.info, "offsets", tuple(1.0 for _ in first))
    assert fit_offsets(model, [block]) == first
