import json

import numpy as np
import pytest
import torch
from labelled_made import annotated, write_nnunet, write_pairs
from PIL import Image
from typer.testing import CliRunner

import panlesion
from panlesion.cli.main import app
from panlesion.ct.nifti import write_labels
from panlesion.ct.volume import LabelMap
from panlesion.nets.checkpoint import save_checkpoint, write_official
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo, new_model
from panlesion.nets.preset import Preset


def run(*words):
    done = CliRunner().invoke(app, ["finetune", *(str(word) for word in words)])
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("data") / "cts", 5)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    torch.manual_seed(0)
    preset = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)
    save_checkpoint(path, Model(ModelInfo(preset=preset, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16)))
    return path


def test_four_cts_become_a_checkpoint_that_loads(tmp_path, data, tiny):
    out = tmp_path / "run"
    words = ("--data", data, "--checkpoint", tiny, "--out", out, "--steps", 3, "--classes", "dense=1,kidney_cyst=3")
    code, said = run(*words)
    assert code == 0, said
    model = panlesion.load_model(out / "model.safetensors")
    assert model.classes.names == ("lesions/none", "lesions/dense", "lesions/kidney_cyst")
    assert "dense 1 5 other_mass" in said
    assert "kidney_cyst 3 5 kidney_cyst" in said
    scores = json.loads((out / "held_out.json").read_text())
    (score,), (before,) = scores["after"], scores["before"]
    assert f"before training {before['dice']['dense']:.3f}" in said
    assert f"{score['id']} {score['dice']['dense']:.3f} {score['dice']['kidney_cyst']:.3f}" in said
    assert "One patient: an impression" in said
    with Image.open(out / "held_out.png") as picture:
        assert picture.height > 500
    assert CliRunner().invoke(app, ["plot", str(out)]).exit_code == 0
    vectors = CliRunner().invoke(
        app,
        [
            "features",
            str(data / "images" / "case_0.nii.gz"),
            "--checkpoint",
            str(out / "model.safetensors"),
            "-o",
            str(tmp_path / "v.csv"),
        ],
    )
    assert vectors.exit_code == 0, vectors.output
    before = (out / "model.safetensors").read_bytes()
    assert run(*words)[0] == 0
    assert (out / "model.safetensors").read_bytes() == before


def test_several_held_out_patients_give_an_interval_and_best_is_called_too_good(tmp_path, data, tiny):
    code, said = run(
        "--data", data, "--checkpoint", tiny, "--out", tmp_path / "run", "--steps", 2, "--validation", 2, "--keep", "best"
    )
    assert code == 0, said
    assert "n = 2)" in said
    assert "chose the weights" in said


def test_all_cases_may_be_trained_on(tmp_path, data, tiny):
    code, said = run(
        "--data", data, "--checkpoint", tiny, "--out", tmp_path / "run", "--steps", 1, "--validation", 0, "--moves", "head"
    )
    assert code == 0
    assert "Dice: not known" in said
    assert not (tmp_path / "run" / "held_out.png").exists()


def test_one_case_is_enough_to_train_on(tmp_path, tiny):
    code, said = run("--data", write_pairs(tmp_path / "one", 1), "--checkpoint", tiny, "--out", tmp_path / "run", "--steps", 1)
    assert code == 0
    assert "No case is kept aside (fewer than 4 patients)" in said


def test_every_problem_is_listed_and_nothing_is_trained(tmp_path, tiny):
    root = write_pairs(tmp_path / "data", 4)
    (root / "labels" / "case_0.nii.gz").unlink()
    grid = annotated(1)[1].grid
    write_labels(root / "labels" / "case_1.nii.gz", LabelMap(labels=np.zeros(grid.shape, dtype=np.uint8), grid=grid))
    code, said = run("--data", root, "--checkpoint", tiny, "--out", tmp_path / "run")
    assert code == 1
    assert "2 problems; nothing was trained" in said
    assert "case_0: " in said
    assert "case_1: the label is all zero" in said
    assert not (tmp_path / "run").exists()


def test_checking_alone_leaves_nothing(tmp_path, tiny):
    root = write_nnunet(tmp_path / "data")
    code, said = run("--data", root, "--checkpoint", tiny, "--out", tmp_path / "run", "--check-only")
    assert code == 0
    assert "dense 1 2 other_mass" in said
    assert not (tmp_path / "run").exists()


def test_public_weights_and_scratch_are_starts(tmp_path, data):
    write_official(tmp_path / "public.pth", new_model("nano", spacing_mm=1.0, patch_voxels=96))
    words = ("--data", data, "--out", tmp_path / "run", "--check-only", "--preset", "nano", "--spacing", 4)
    for start in (tmp_path / "public.pth", "scratch"):
        code, said = run(*words, "--checkpoint", start)
        assert code == 0, said
        assert "class_1 1 5 fresh weights" in said


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--stages", "I,II"), 2, "--task segment does not use it"),
        (("--folds", "3"), 2, "--task segment does not use it"),
        (("--task", "cook"), 2, "segment, detect, describe, stage, survive"),
        (("--moves", "tail"), 2, "all, decoder, head"),
        (("--keep", "worst"), 2, "last, best"),
        (("--keep", "best", "--validation", "0"), 2, "needs held-out cases"),
        (("--classes", "a,,b"), 2, "write liver,tumour"),
        (("--classes", "dense"), 1, "label value 3 unexpected"),
        (("--start-class", "lungs"), 2, "a lesion class of"),
        (("--preset", "small"), 2, "has its own"),
        (("--validation", "5"), 1, "every class must stay among the others"),
        (("--checkpoint", "absent.safetensors"), 1, "neither a file nor a shipped model"),
        (("--checkpoint", "absent.pth"), 1, "no such file"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_training(tmp_path, data, tiny, words, code, says):
    given = ("--data", data, "--out", tmp_path / "run", "--checkpoint", tiny, *words)
    found, said = run(*given)
    # the panel of a usage error breaks lines inside its frame
    assert (found, says in said.replace("│ ", "").replace(" │", "")) == (code, True), said
    assert not (tmp_path / "run").exists()


def test_folders_that_would_mix_are_refused(tmp_path, data, tiny):
    assert "lie in one another" in run("--data", data, "--checkpoint", tiny, "--out", data / "run")[1]
    (tmp_path / "empty").mkdir()
    code, said = run("--data", tmp_path / "empty", "--checkpoint", tiny, "--out", tmp_path / "run")
    assert code == 1
    assert "it is empty. Looked for: images/<case>.nii.gz" in said
