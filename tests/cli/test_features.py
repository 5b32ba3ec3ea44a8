import csv
import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from panlesion.cli.main import app
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.nets.channels import with_channels
from panlesion.nets.checkpoint import load_checkpoint, load_model, save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset

runner = CliRunner()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two CTs with a mask each (organ 1, lesion 2 as PASTA-Gen has them) and a small model."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        grid = standard_grid((40, 36, 32), 2.0)
        hu = np.full(grid.shape, -1000, dtype=np.int16)
        hu[5:35, 5:31] = rng.integers(20, 70, (30, 26, 32), dtype=np.int16)
        hu[5:35, 5:8] = -100
        hu[18:24, 22:28] = 700
        mask = np.zeros(grid.shape, dtype=np.uint8)
        mask[8:20, 8:20, 8:20] = 1
        mask[10:14, 12:16, 12:16] = 2
        mask[17, 17, 17] = 2
        write_volume(folder / f"{name}.nii.gz", Volume(hu=hu, grid=grid))
        write_labels(folder / f"{name}_mask.nii.gz", LabelMap(labels=mask, grid=grid))
    torch.manual_seed(0)
    preset = Preset(name="tiny", channels=(4, 8, 12), decoder_convs=1, features_from=2)
    info = ModelInfo(preset=preset, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16)
    save_checkpoint(folder / "model.safetensors", Model(info))
    return folder


def run(folder, *args, model="model.safetensors"):
    named = [str(folder / arg) if str(arg).endswith((".gz", ".csv", ".npz")) else str(arg) for arg in args]
    return runner.invoke(app, ["features", *named, "--checkpoint", str(folder / model) if "." in model else model])


def table(path):
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def arrays_of(path):
    with np.load(path) as arrays:
        return dict(arrays)


def test_every_ct_has_a_vector_and_both_files_hold_the_same(folder):
    result = run(folder, "a.nii.gz", "b.nii.gz", "-o", "whole.csv", "-o", "whole.npz")
    assert result.exit_code == 0, result.output
    assert "2 vectors of 12 numbers" in result.output
    rows, arrays = table(folder / "whole.csv"), arrays_of(folder / "whole.npz")
    assert [row["ct"] for row in rows] == arrays["ct"].tolist() == [str(folder / f"{name}.nii.gz") for name in "ab"]
    from_csv = np.array([[row[f"f{n}"] for n in range(12)] for row in rows]).astype(np.float32)
    np.testing.assert_array_equal(from_csv, arrays["vectors"])
    assert not np.array_equal(arrays["vectors"][0], arrays["vectors"][1])
    assert {row["lesion"] + row["volume_ml"] for row in rows} == {""}


def test_with_masks_every_lesion_has_a_vector(folder):
    masks = ["--mask", "a_mask.nii.gz", "--mask", "b_mask.nii.gz"]
    result = run(folder, "a.nii.gz", "b.nii.gz", *masks, "--label", "2", "--crop", "8", "-o", "lesions.csv")
    assert result.exit_code == 0, result.output
    rows = table(folder / "lesions.csv")
    assert [(row["lesion"], row["volume_ml"]) for row in rows] == [("1", "0.5120"), ("2", "0.0080")] * 2
    assert (rows[0]["x_mm"], rows[0]["z_mm"]) == ("-23.00", "27.00")


def test_the_vector_is_the_models_own(folder):
    assert run(folder, "a.nii.gz", "--mask", "a_mask.nii.gz", "-o", "one.npz").exit_code == 0
    assert arrays_of(folder / "one.npz")["vectors"].shape == (1, load_model(folder / "model.safetensors").preset.feature_size)


def test_a_ct_that_cannot_be_read_is_listed_and_the_others_are_written(folder):
    result = run(folder, "a.nii.gz", "absent.nii.gz", "-o", "some.csv")
    assert result.exit_code == 1
    assert len(table(folder / "some.csv")) == 1
    said = " ".join(result.output.split())
    assert "1 of 2 CTs failed; the others are in the table" in said
    assert "absent.nii.gz" in said


def test_a_label_that_is_not_there_is_named(folder):
    result = run(folder, "a.nii.gz", "--mask", "a_mask.nii.gz", "--label", "7", "-o", "none.csv")
    assert result.exit_code == 1
    assert "no voxel of label 7; it has labels 0, 1, 2" in " ".join(result.output.split())
    assert not (folder / "none.csv").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["a.nii.gz", "b.nii.gz", "--mask", "a_mask.nii.gz", "-o", "x.csv"], "1 masks for 2 CTs"),
        (["a.nii.gz", "--label", "2", "-o", "x.csv"], "belong to --mask"),
        (["a.nii.gz", "-o", "x.txt"], "ends in .csv or .npz"),
        (["a.nii.gz", "--mask", "a_mask.nii.gz", "--crop", "9", "-o", "x.csv"], "multiple of 4"),
        (["a.nii.gz", "--device", "quantum", "-o", "x.csv"], "is no device"),
    ],
)
def test_a_command_line_that_contradicts_itself_exits_with_2(folder, args, words):
    result = run(folder, *args)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())


def test_a_model_that_is_not_there_is_an_error_of_the_data(folder):
    result = run(folder, "a.nii.gz", "-o", "x.csv", model="nanno")
    assert result.exit_code == 1
    assert "neither a file nor a shipped model" in result.stderr


def test_without_torch_the_command_says_what_to_install(tmp_path):
    code = f"""
import sys, importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "torch" else found(name, package)
from panlesion.cli.main import app
app(["features", "ct.nii.gz", "--checkpoint", "nano", "-o", {str(tmp_path / "x.csv")!r}])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "pip install 'panlesion[model]'" in result.stderr
    assert "torch is not installed" in result.stderr


def test_a_network_of_two_images_gives_no_vector_of_one(folder):
    wide = with_channels(load_checkpoint(folder / "model.safetensors"), 2)
    save_checkpoint(folder / "wide.safetensors", wide)
    done = run(folder, "a.nii.gz", "-o", "wide.csv", model="wide.safetensors")
    assert done.exit_code == 1
    assert "takes 2 images of a case" in " ".join(done.output.split())
