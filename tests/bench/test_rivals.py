from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from few_shot_made import TASK, made_cases
from runs_made import TINY, tiny_fit

from panlesion.bench.few_shot import FewShot, run_few_shot
from panlesion.bench.rivals import OwnIntensity, Rival, tune_rival
from panlesion.bench.task import Arm
from panlesion.ct.intensity import to_hu
from panlesion.errors import CheckpointError, MissingExtraError, StoreError
from panlesion.nets import foreign
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.foreign import LAYOUTS, ForeignKind, UNet3D
from panlesion.nets.model import Intensity, Model, ModelInfo
from panlesion.train.augment import Augment
from panlesion.train.finetune import Finetune, Labelled, LabelledSource

FINETUNE = Finetune(fit=tiny_fit(3, precision="32-true"), patch_voxels=16)
PLAN = FewShot(shots=(1, 2), seeds=1, finetune=FINETUNE)


def weights(path, seed):
    torch.manual_seed(seed)
    torch.save(UNet3D(2, width=8).state_dict(), path)
    return path


@pytest.fixture
def rival(monkeypatch, tmp_path):
    """Weights of the shared U-Net, an eighth as wide as published, which is what is then read."""
    suprem = replace(LAYOUTS[ForeignKind.SUPREM_UNET], build=partial(UNet3D, width=8))
    monkeypatch.setattr(foreign, "LAYOUTS", {**LAYOUTS, ForeignKind.SUPREM_UNET: suprem})
    return Rival(path=weights(tmp_path / "theirs.pth", 0), kind=ForeignKind.SUPREM_UNET)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)).eval()


def labelled():
    return [Labelled(id=case.id, hu=case.ct.hu, target=case.label.labels) for case in made_cases(None, spacing_mm=3.0)][:2]


def test_a_rival_is_compared_on_the_patients_of_the_other_arms(rival, model, tmp_path):
    plan = replace(PLAN, rival=rival, arms=(Arm.BALL, Arm.RIVAL))
    rows = run_few_shot(TASK, tmp_path, model, plan, tmp_path / "out")
    asked = {arm: {(row.shots, row.seed, row.case) for row in rows if row.arm is arm} for arm in (Arm.BALL, Arm.RIVAL)}
    assert asked[Arm.RIVAL] == asked[Arm.BALL]
    again = run_few_shot(TASK, tmp_path, model, replace(plan, arms=None), tmp_path / "again")
    assert {row for row in again if row.arm is Arm.RIVAL} == {row for row in rows if row.arm is Arm.RIVAL}
    assert not list(tmp_path.glob("*/run_*"))


def test_rows_of_another_rival_are_not_mixed_but_other_arms_stay(rival, model, tmp_path):
    plan = replace(PLAN, shots=(1,), rival=rival, arms=(Arm.BALL, Arm.RIVAL))
    run_few_shot(TASK, tmp_path, model, plan, tmp_path / "out")
    other = replace(plan, rival=replace(rival, path=weights(tmp_path / "other.pth", 1)))
    with pytest.raises(StoreError, match="another weights"):
        run_few_shot(TASK, tmp_path, model, other, tmp_path / "out")
    assert run_few_shot(TASK, tmp_path, model, replace(plan, rival=None, arms=(Arm.BALL,)), tmp_path / "out")


def test_an_arm_without_its_rival_and_unfit_weights_are_refused_before_anything_runs(rival, model, tmp_path):
    with pytest.raises(ValueError, match="arms has rival, but the plan has no rival"):
        run_few_shot(TASK, tmp_path, model, replace(PLAN, arms=(Arm.BALL, Arm.RIVAL)), tmp_path / "out")
    unfit = replace(rival, kind=ForeignKind.MODELS_GENESIS)
    with pytest.raises(CheckpointError, match="of another shape"):
        run_few_shot(TASK, tmp_path, model, replace(PLAN, rival=unfit), tmp_path / "out")
    assert not (tmp_path / "out" / "results.jsonl").exists()


def test_patches_have_the_rivals_intensity_and_are_otherwise_ours():
    source = LabelledSource(cases=labelled(), config=replace(FINETUNE, augment=Augment.none()))
    window = Intensity(hu=(-175.0, 250.0), network=(0.0, 1.0))
    ours, theirs = source.sample(3, 1), OwnIntensity(source=source, intensity=window).sample(3, 1)
    assert theirs.id == ours.id
    assert np.array_equal(theirs.arrays["targets"], ours.arrays["targets"])
    hu = to_hu(ours.arrays["image"])
    assert np.allclose(theirs.arrays["image"], ((hu + 175) / 425).clip(0, 1), atol=1e-5)
    assert theirs.arrays["image"].dtype == np.float32
    assert 0 < theirs.arrays["image"].mean() < 1


def test_training_moves_every_weight_and_does_not_average_it_with_the_start(rival, tmp_path):
    config = replace(FINETUNE, start_share=0.5)
    tuned, full = (
        tune_rival(rival.model(("box",), spacing_mm=3.0, seed=0), labelled(), one, tmp_path / str(one.start_share))
        for one in (config, replace(config, start_share=0.0))
    )
    start = rival.model(("box",), spacing_mm=3.0, seed=0)
    moved = [not torch.equal(a, b) for a, b in zip(tuned.parameters(), start.parameters(), strict=True)]
    assert all(moved)
    assert all(torch.equal(a, b) for a, b in zip(tuned.parameters(), full.parameters(), strict=True))
    with pytest.raises(ValueError, match="cases is empty"):
        tune_rival(start, [], config, tmp_path / "none")


def test_a_rivals_options_belong_together(tmp_path):
    path = tmp_path / "w.pth"
    assert Rival.named(path, "monai-unet") == Rival(path=path, kind=ForeignKind.MONAI_UNET)
    with pytest.raises(MissingExtraError, match=r"supervised_suprem_unet_2100\.pth from https://huggingface.*Genesis_Chest_CT"):
        Rival.named(None, None)
    with pytest.raises(MissingExtraError, match=r"Genesis_Chest_CT\.pt") as caught:
        Rival.named(None, "models-genesis")
    assert "suprem" not in str(caught.value)
    with pytest.raises(ValueError, match=r"has no --rival-kind.*suprem-unet, models-genesis, monai-unet, state-dict"):
        Rival.named(path, None)
    with pytest.raises(ValueError, match="--rival-kind is 'swin'; use one of"):
        Rival.named(path, "swin")
