import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from few_shot_made import TASK, made_cases

from panlesion.bench import nnunet as room
from panlesion.bench.nnunet import DATASET, NnUNet, Schedule, fit_nnunet, read_masks, write_cases
from panlesion.ct.nifti import read_labels, read_volume, write_labels
from panlesion.ct.volume import LabelMap, standard_grid
from panlesion.errors import MissingExtraError, StoreError, TrainingError

CASES = [replace(case, id=f"patient/{n} (x)") for n, case in enumerate(made_cases(None, spacing_mm=3.0))]


def test_its_raw_folder_holds_the_training_cases_and_no_test_case_among_them(tmp_path):
    write_cases(tmp_path, CASES[:2], CASES[2:5], ("box",))
    raw = tmp_path / "raw" / DATASET
    about = json.loads((raw / "dataset.json").read_text())
    assert about == {
        "channel_names": {"0": "CT"}, "labels": {"background": 0, "box": 1}, "numTraining": 2, "file_ending": ".nii.gz",
    }  # fmt: skip
    assert sorted(path.name for path in (raw / "imagesTr").iterdir()) == ["case_0000_0000.nii.gz", "case_0001_0000.nii.gz"]
    for number, case in enumerate(CASES[:2]):
        ct = read_volume(raw / "imagesTr" / f"case_{number:04d}_0000.nii.gz")
        label = read_labels(raw / "labelsTr" / f"case_{number:04d}.nii.gz")
        assert np.array_equal(ct.hu, case.ct.hu)
        assert np.array_equal(label.labels, case.label.labels)
        assert ct.grid.same_as(case.ct.grid)
        assert label.grid.same_as(case.ct.grid)
    asked = [read_volume(path).hu for path in sorted((tmp_path / "test").iterdir())]
    assert all(np.array_equal(hu, case.ct.hu) for hu, case in zip(asked, CASES[2:5], strict=True))
    assert len(list((tmp_path / "trainer").iterdir())) == 1


def test_labels_that_are_no_class_and_no_case_at_all_are_refused(tmp_path):
    odd = replace(CASES[0], label=LabelMap(labels=CASES[0].label.labels * 3, grid=CASES[0].label.grid))
    with pytest.raises(StoreError, match=r"patient/0 \(x\): label value 3; the task has the classes 1 … 1"):
        write_cases(tmp_path / "a", [odd], CASES[1:2], ("box",))
    with pytest.raises(ValueError, match="at least one"):
        write_cases(tmp_path / "b", [], CASES[1:2], ("box",))


def test_masks_are_read_back_to_the_case_they_are_of(tmp_path):
    for number, case in enumerate(CASES[:3]):
        write_labels(tmp_path / f"case_{number:04d}.nii.gz", case.label)
    found = read_masks(tmp_path, CASES[:3])
    assert list(found) == [case.id for case in CASES[:3]]
    assert all(np.array_equal(found[case.id], case.label.labels > 0) for case in CASES[:3])


def test_a_missing_a_cut_and_a_displaced_mask_are_refused_with_the_case_and_the_log(tmp_path):
    folder = tmp_path / "predicted"
    folder.mkdir()
    path = folder / "case_0000.nii.gz"
    with pytest.raises(TrainingError, match=r"patient/0 \(x\): nnU-Net left no usable mask.*log\.txt"):
        read_masks(folder, CASES[:1])
    write_labels(path, CASES[0].label)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(TrainingError, match="no usable mask"):
        read_masks(folder, CASES[:1])
    shape = CASES[0].label.labels.shape
    write_labels(path, LabelMap(labels=CASES[0].label.labels, grid=standard_grid(shape, 3.0, origin_xyz=(3.0, 0.0, 0.0))))
    with pytest.raises(TrainingError, match="must lie on the CT's grid"):
        read_masks(folder, CASES[:1])


@pytest.mark.parametrize(
    ("steps", "epochs", "total"), [(300, None, 300), (7, None, 7), (25, None, 30), (1, None, 1), (300, 3, 750)]
)
def test_iterations_are_the_steps_rounded_up_or_its_own_epochs(steps, epochs, total):
    found = Schedule.of(steps, epochs)
    assert found.epochs * found.iterations == total
    assert epochs is None or found == Schedule(epochs=epochs, iterations=250)


def test_what_is_no_environment_of_nnunet_is_refused_with_how_to_make_one(tmp_path):
    with pytest.raises(MissingExtraError, match=r"needs nnU-Net in an environment of its own.*--nnunet-venv VENV"):
        NnUNet.found_in(None)
    with pytest.raises(MissingExtraError, match=r"bin/python is not there"):
        NnUNet.found_in(tmp_path)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("no program")
    python.chmod(0o755)
    with pytest.raises(MissingExtraError, match="cannot be started"):
        NnUNet.found_in(tmp_path)
    python.write_text("#!/bin/sh\necho 'No module named nnunetv2' >&2\nexit 1\n")
    with pytest.raises(MissingExtraError, match=r"cannot be used there \(No module named nnunetv2\)"):
        NnUNet.found_in(tmp_path)


def test_a_command_that_fails_is_named_with_its_last_lines_and_the_folder_stays(tmp_path):
    """What stands for Python here is a shell: it cannot run nnU-Net's commands, as a broken environment cannot."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/bin/sh")
    (tmp_path / "bin" / "nnUNetv2_plan_and_preprocess").write_text("echo out of memory; exit 3\n")
    broken = NnUNet(venv=tmp_path, version="0", torch="0", device="cpu")
    folder = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"nnUNetv2_plan_and_preprocess of .* ended with code 3.*\n(.*\n)*out of memory"):
        fit_nnunet(broken, CASES[:1], CASES[1:2], ("box",), schedule=Schedule.of(1, None), seed=0, folder=folder)
    assert "out of memory" in (folder / "log.txt").read_text()


def test_nothing_of_our_environment_and_no_other_folders_of_nnunet_come_along(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("nnUNet_results", "/others")
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    given = room._environment(tmp_path, Schedule.of(20, None), seed=4)
    assert "PYTHONPATH" not in given
    assert "nnUNet_wandb_enabled" not in given
    assert Path(given["nnUNet_results"]).parent == tmp_path
    assert (given["PANLESION_EPOCHS"], given["PANLESION_ITERATIONS"], given["PANLESION_SEED"]) == ("2", "10", "4")
    assert given["OMP_NUM_THREADS"] == "1"


def test_nnunet_itself_is_planned_trained_and_asked(tmp_path):
    """The real thing, minutes long, where PANLESION_NNUNET_VENV names an environment that holds it."""
    venv = os.environ.get("PANLESION_NNUNET_VENV")
    if not venv:
        pytest.skip("PANLESION_NNUNET_VENV is not set: give a virtual environment that holds nnunetv2")
    found, again = (
        fit_nnunet(
            NnUNet.found_in(Path(venv)), CASES[:1], CASES[1:3], TASK.classes, schedule=Schedule.of(2, None), seed=1,
            folder=tmp_path / name,
        )
        for name in ("a", "b")
    )  # fmt: skip
    assert list(found) == [case.id for case in CASES[1:3]]
    assert all(
        mask.shape == case.ct.hu.shape and mask.dtype == bool for mask, case in zip(found.values(), CASES[1:3], strict=True)
    )
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert not (tmp_path / "a").exists()
