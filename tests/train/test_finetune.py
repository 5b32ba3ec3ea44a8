from dataclasses import replace

import numpy as np
import pytest
import torch
from runs_made import TINY, tiny_fit

from panlesion.nets.classes import LESIONS, OTHER_MASS, pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.train.finetune import Finetune, Labelled, LabelledSource, Moves, adapted, finetune_segment, moving, reset
from panlesion.train.tasks.segment import DeepSupervised

SARCOMA = {"sarcoma": OTHER_MASS}


def pretrained():
    torch.manual_seed(0)
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=3.0, patch_voxels=16))


def a_case(seed=0):
    rng = np.random.default_rng(seed)
    target = np.zeros((20, 24, 18), dtype=np.uint8)
    target[5:12, 8:15, 4:12] = 1
    return Labelled(id=f"case_{seed}", hu=(60 * target + rng.normal(0, 10, target.shape)).astype(np.int16), target=target)


def config(**changes):
    return Finetune(fit=tiny_fit(4), patch_voxels=16, **changes)


def test_an_adapted_head_says_what_the_pretrained_one_said():
    model = pretrained()
    model.info = replace(model.info, offsets=tuple(-0.1 * n for n in range(len(model.classes))))
    new = adapted(model, SARCOMA)
    x = torch.rand(1, 1, 16, 16, 16)
    was, now = model(x), new(x)
    lesions = model.classes.channels(LESIONS)
    row = model.classes.group(LESIONS).classes.index(OTHER_MASS)
    assert now.shape[1] == 2
    torch.testing.assert_close(now[:, 0], was[:, lesions.start], atol=1e-5, rtol=0)
    torch.testing.assert_close(now[:, 1], was[:, lesions.start + row], atol=1e-5, rtol=0)


def test_classes_without_a_start_get_no_offset_and_training_sees_what_inference_does():
    model = pretrained()
    model.info = replace(model.info, offsets=tuple(-0.1 * n for n in range(len(model.classes))))
    assert adapted(model, {"a": None, "b": None}).info.offsets == ()
    lesions = model.classes.group(LESIONS).classes
    first = model.classes.channels(LESIONS).start
    new = adapted(model, {"a": None, "b": OTHER_MASS})
    assert new.info.offsets == (model.info.offsets[first], 0.0, model.info.offsets[first + lesions.index(OTHER_MASS)])
    x = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(DeepSupervised(new)(x)[0], new(x))


def test_adapting_leaves_the_pretrained_model_alone():
    model = pretrained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tuned = adapted(model, SARCOMA)
    reset(tuned, 3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("moves", "still"), [(Moves.HEAD, ("encoder", "ups", "decoder")), (Moves.DECODER, ("encoder",)), (Moves.ALL, ())]
)
def test_only_what_may_move_moves(tmp_path, moves, still):
    tuned = adapted(pretrained(), SARCOMA)
    before = {name: value.clone() for name, value in tuned.unet.named_parameters()}
    finetune_segment(tuned, [a_case()], config(moves=moves), tmp_path)
    changed = {name.split(".")[0] for name, value in tuned.unet.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {"encoder", "ups", "decoder", "heads"} - set(still)


def test_the_start_counts_as_much_as_asked_for_in_checks_too(tmp_path):
    start = adapted(pretrained(), SARCOMA)
    first = [p.clone() for p in start.parameters()]
    checked = []

    def check(model):
        checked.append([p.clone() for p in model.parameters()])
        return {}

    ends = {
        share: finetune_segment(
            adapted(pretrained(), SARCOMA), [a_case()], config(start_share=share), tmp_path / str(share), check=check
        )
        for share in (0.0, 0.25, 1.0)
    }
    plain, mixed, start_again = (list(one.parameters()) for one in ends.values())
    for p, m, s, f in zip(plain, mixed, start_again, first, strict=True):
        torch.testing.assert_close(m, 0.75 * p + 0.25 * f)
        torch.testing.assert_close(s, f)
    for seen, end in zip(checked, (plain, mixed, start_again), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(seen, end, strict=True))


def test_the_encoder_can_learn_slower():
    tuned = adapted(pretrained(), SARCOMA)
    scales = [group["scale"] for group in moving(config(encoder_scale=0.1), tuned)]
    assert scales == [1.0, 1.0, 0.1]


def test_samples_show_the_lesion_as_often_as_asked_for():
    source = LabelledSource(cases=[a_case()], config=config(foreground=1.0))
    seen = [source.sample(step, 0).arrays["targets"].any() for step in range(20)]
    assert all(seen)


def test_patches_are_centred_on_lesions_not_on_what_nobody_knows():
    case = a_case()
    target = np.where(case.target > 0, np.uint8(255), np.uint8(0))
    target[2, 3, 4] = 1
    assert Labelled(id="x", hu=case.hu, target=target).lesion_ijk.tolist() == [[2, 3, 4]]


def test_fresh_weights_of_a_seed_are_always_the_same():
    a, b, c = (adapted(pretrained(), SARCOMA) for _ in range(3))
    reset(a, 1)
    reset(b, 1)
    reset(c, 2)
    x = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(a(x), b(x))
    assert not torch.equal(a(x), c(x))


def test_no_case_and_a_label_beyond_the_classes_are_refused(tmp_path):
    tuned = adapted(pretrained(), SARCOMA)
    with pytest.raises(ValueError, match="at least one annotated CT"):
        finetune_segment(tuned, [], config(), tmp_path)
    bad = Labelled(id="case_7", hu=a_case().hu, target=a_case().target * np.uint8(3))
    with pytest.raises(ValueError, match="case_7: label 3 occurs"):
        finetune_segment(tuned, [bad], config(), tmp_path)
