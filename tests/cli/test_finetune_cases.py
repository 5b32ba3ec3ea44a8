import csv
import json

import numpy as np
import pytest
import torch
from labelled_made import annotated
from tabled_made import rows_made, scan, write_scans, write_table, write_tabled
from typer.testing import CliRunner

import panlesion
from panlesion.cli.main import app
from panlesion.ct.modality import Modality
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap, Volume
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset


def run(verb, *words):
    done = CliRunner().invoke(app, [verb, *(str(word) for word in words)], terminal_width=400)
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    torch.manual_seed(0)
    preset = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)
    save_checkpoint(path, Model(ModelInfo(preset=preset, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16)))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_tabled(tmp_path_factory.mktemp("data") / "cases", 12)


def test_cases_become_scores_a_checkpoint_and_answers(tmp_path, data, tiny):
    out = tmp_path / "run"
    words = ("--task", "stage", "--data", data, "--stages", "I,II,III", "--checkpoint", tiny, "--out", out, "--steps", 4)
    code, said = run("finetune", *words, "--folds", 3, "--fold", 2)
    assert code == 0, said
    assert "Fold 2 is done" in said
    code, said = run("finetune", *words, "--folds", 3)
    assert code == 0, said
    assert "12 cases of 12 patients to stage" in said
    assert "stage I: 4, stage II: 4, stage III: 4" in said
    assert "lesion volume" in said
    assert len(json.loads((out / "scores.json").read_text())) == 3
    with (out / "predictions.csv").open() as lines:
        assert len({row["case"] for row in csv.DictReader(lines)}) == 12
    model = out / "model.safetensors"
    assert panlesion.load_model(model).info.case.stages == ("I", "II", "III")
    code, said = run("predict", data, tmp_path / "answers", "--checkpoint", model)
    assert code == 0, said
    with (tmp_path / "answers" / "predictions.csv").open() as lines:
        assert {row["predicted_stage"] for row in csv.DictReader(lines)} <= {"I", "II", "III"}


def test_a_checkpoint_without_masks_says_what_it_is_for(tmp_path, data, tiny):
    out = tmp_path / "run"
    code, said = run(
        "finetune", "--task", "detect", "--region", "lesion", "--data", data, "--checkpoint", tiny, "--out", out, "--steps", 1,
        "--folds", 0, "--learns", "full",
    )  # fmt: skip
    assert code == 0, said
    assert "Scores: not known" in said
    code, said = run("predict", data.parent / "c00.nii.gz", tmp_path / "p", "--checkpoint", out / "model.safetensors")
    assert code == 1
    assert "gives no masks. Apply it to a table of cases" in said
    code, said = run("predict", data, tmp_path / "p", "--checkpoint", tiny)
    assert code == 1
    assert "answers no question about whole cases" in said
    code, said = run("finetune", "--data", data.parent, "--out", tmp_path / "s", "--checkpoint", out / "model.safetensors")
    assert code == 1


def test_every_problem_is_listed_and_nothing_is_trained(tmp_path, tiny):
    rows = rows_made(6)
    write_scans(tmp_path, rows)
    rows[0]["time"], rows[1]["event"], rows[2]["image"] = "-1", "x", "gone.nii.gz"
    (tmp_path / rows[3]["label"]).write_bytes(b"half")
    path = write_table(tmp_path, rows)
    code, said = run("finetune", "--task", "survive", "--data", path, "--checkpoint", tiny, "--out", tmp_path.parent / "none")
    assert code == 1
    assert "4 problems; nothing was trained" in said
    for part in ("(c00): time is -1", "(c01): event is x", "gone.nii.gz does not exist", "c03: "):
        assert part in said
    assert not (tmp_path.parent / "none").exists()


def test_checking_alone_leaves_nothing(tmp_path, data, tiny):
    words = ("--data", data, "--checkpoint", tiny, "--out", tmp_path / "run", "--check-only")
    code, said = run("finetune", "--task", "describe", *words)
    assert (code, (tmp_path / "run").exists()) == (0, False), said
    assert "density Isodense: 6, density Hyperdense: 6" in said


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--task", "cook"), 2, "segment, detect, describe, stage, survive"),
        (("--classes", "a"), 2, "--task detect does not use it"),
        (("--validation", "2"), 2, "--task detect does not use it"),
        (("--learns", "half"), 2, "frozen, full, published"),
        (("--region", "moon"), 2, "lesion, organ, image"),
        (("--likelihood", "luck"), 2, "hazard, cox"),
        (("--keep", "worst"), 2, "last, best"),
        (("--fold", "9"), 2, "none of all, 1, 2, 3, 4, 5"),
        (("--folds", "99"), 1, "--folds is 99 for 12 patients"),
        (("--organ", "spline"), 2, "names as TotalSegmentator has them"),
        (("--organ", "0"), 2, "label values lie in 1"),
        (("--organ", "9"), 1, "no label voxel of value 9"),
        (("--organ", "liver", "--region", "lesion"), 2, "organ names mean an organ map"),
        (("--organ", "liver", "--organ-labels", "v3"), 2, "v1, v2"),
        (("--crop", "15"), 2, "divisible by 2"),
        (("--data", "nowhere.csv"), 1, "nowhere.csv cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_training(tmp_path, data, tiny, words, code, says):
    given = ("--task", "detect", "--data", data, "--checkpoint", tiny, "--out", tmp_path / "run", *words)
    found, said = run("finetune", *given)
    assert (found, says in said) == (code, True), said
    assert not (tmp_path / "run").exists()


def test_organs_are_named_and_the_checkpoint_reads_their_map_again(tmp_path, tiny):
    rows = rows_made(6)
    write_scans(tmp_path, rows)
    for n, row in enumerate(rows):
        label = scan(n)[1]
        write_labels(tmp_path / row["label"], LabelMap(labels=(label.labels * 7).astype(np.uint8), grid=label.grid))
    path = write_table(tmp_path, rows)
    out = tmp_path.parent / f"{tmp_path.name}_out"
    words = ("--task", "detect", "--data", path, "--organ", "pancreas", "--checkpoint", tiny, "--out", out)
    code, said = run("finetune", *words, "--steps", 1, "--folds", 0)
    assert code == 0, said
    use = panlesion.load_model(out / "model.safetensors").info.case
    assert (use.framing.values, use.numbering, use.framing.margin_mm) == ((10,), "v2", 32.0)
    assert run("predict", path, out / "p", "--checkpoint", out / "model.safetensors")[0] == 0


def brightness(n):
    """A scan whose values could not be HU."""
    image, label = annotated(n)
    return Volume(hu=(image.hu.astype(int) + 1100).clip(0, 3000).astype(np.int16), grid=image.grid), label


def test_mr_is_segmented_and_asked_about(tmp_path, tiny):
    rows = []
    for n in range(2):
        image, label = brightness(n)
        for where, write, what in (("images", write_volume, image), ("labels", write_labels, label)):
            (tmp_path / "mr" / where).mkdir(parents=True, exist_ok=True)
            write(tmp_path / "mr" / where / f"case_{n}.nii.gz", what)
        rows.append({"case": f"case_{n}", "present": str(n)})
    write_table(tmp_path / "mr", rows)
    words = ("--data", tmp_path / "mr", "--checkpoint", tiny, "--steps", 1)
    code, said = run("finetune", *words, "--out", tmp_path / "ct")
    assert code == 1, said
    code, said = run("finetune", *words, "--out", tmp_path / "run", "--mr")
    assert code == 0, said
    assert panlesion.load_model(tmp_path / "run" / "model.safetensors").info.modality is Modality.MR
    detect = ("--task", "detect", "--region", "lesion", "--folds", 0, "--mr")
    code, said = run("finetune", *words, "--out", tmp_path / "asked", *detect)
    assert code == 0, said
    use = panlesion.load_model(tmp_path / "asked" / "model.safetensors").info
    assert (use.modality, use.case.channels, use.case.masks) == (Modality.MR, (Modality.MR,), False)


def test_help_has_an_example_for_every_task():
    said = CliRunner().invoke(app, ["finetune", "--help"], terminal_width=300).output
    for task in ("detect", "describe", "stage", "survive"):
        assert f"panlesion finetune --task {task} " in said
    assert "panlesion finetune --data my_cts" in said
