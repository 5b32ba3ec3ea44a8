import json

import numpy as np
import pytest
from typer.testing import CliRunner

from panlesion.cli.main import app
from panlesion.ct.nifti import read_labels, read_volume, write_labels
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.phantom import phantom as module
from panlesion.phantom.phantom import Phantom

runner = CliRunner()


def fake_phantom(seed, **arguments):
    """What `make_phantom` gives, without the seconds it takes."""
    grid = standard_grid((8, 8, 8), 2.0)
    hu = np.random.default_rng(seed).integers(-100, 100, grid.shape, dtype=np.int16)
    record = {"seed": seed, "asked": {name: str(value) for name, value in arguments.items()}}
    return Phantom(
        ct=Volume(hu=hu, grid=grid), organs=LabelMap(labels=np.zeros(grid.shape, np.uint8), grid=grid), record=record
    )


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "make_phantom", fake_phantom)


@pytest.fixture
def map_file(tmp_path):
    labels = np.zeros((40, 40, 40), dtype=np.uint8)
    labels[10:20, 10:25, 10:30] = V1_LABELS["liver"]
    labels[24:29, 24:29, 5:35] = V1_LABELS["vertebrae_L1"]
    write_labels(tmp_path / "organs.nii.gz", LabelMap(labels=labels, grid=standard_grid(labels.shape, 4.0)))
    return tmp_path / "organs.nii.gz"


@pytest.mark.usefixtures("quick")
def test_draw_writes_one_host_folder_each_and_keeps_complete_ones(tmp_path):
    out = tmp_path / "hosts"
    first = runner.invoke(app, ["phantom", "draw", str(out), "--n", "2", "--seed", "7", "--phase", "portal"])
    assert first.exit_code == 0, first.output
    assert sorted(path.name for path in out.iterdir()) == ["phantom_00000", "phantom_00001"]
    before = (out / "phantom_00000" / "ct.nii.gz").read_bytes()
    second = runner.invoke(app, ["phantom", "draw", str(out), "--n", "3", "--seed", "7", "--phase", "portal"])
    assert "2 complete" in second.output
    assert len(list(out.iterdir())) == 3
    assert (out / "phantom_00000" / "ct.nii.gz").read_bytes() == before
    seeds = {json.loads((folder / "record.json").read_text())["seed"] for folder in out.iterdir()}
    assert len(seeds) == 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--phase", "venous"], "venous"),
        (["--shape", "280x280"], "280x280"),
        (["--centre", "liver"], "--shape"),
        (["--centre", "kidney", "--shape", "20x20x20"], "kidney_left"),
    ],
)
def test_wrong_options_are_named(tmp_path, arguments, word):
    result = runner.invoke(app, ["phantom", "draw", str(tmp_path / "out"), *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert word in result.output
    assert not (tmp_path / "out").exists()


def test_from_map_writes_a_host_folder(tmp_path, map_file):
    out = tmp_path / "host"
    arguments = ["phantom", "from-map", str(map_file), str(out), "--organ-labels", "v1", "--spacing", "4", "--phase", "portal"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    labels = read_labels(out / "organs.nii.gz").labels
    assert 80 < np.median(read_volume(out / "ct.nii.gz").hu[labels == V1_LABELS["liver"]]) < 150
    assert runner.invoke(app, arguments).exit_code == 1


def test_help_shows_an_example():
    for command in ("draw", "from-map"):
        result = runner.invoke(app, ["phantom", command, "--help"])
        assert result.exit_code == 0
        assert f"panlesion phantom {command}" in result.output
