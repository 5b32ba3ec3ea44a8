import numpy as np
from typer.testing import CliRunner

from panlesion.cli.main import app
from panlesion.ct.nifti import write_volume
from panlesion.ct.volume import Volume, standard_grid
from panlesion.nets.refiner import load_refiner


def run(*words):
    done = CliRunner().invoke(app, ["train-refiner", *map(str, words)])
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


def write_bodies(folder, count=2, shape=(40, 40, 36)):
    for n in range(count):
        rng = np.random.default_rng(n)
        hu = np.full(shape, 40) + rng.normal(0, 12, shape)
        hu[:4] = -1000
        (folder / f"h{n}").mkdir(parents=True)
        write_volume(
            folder / f"h{n}" / "ct.nii.gz", Volume(hu=hu.astype(np.int16), grid=standard_grid(shape, 3.0, (0.0, 0.0, 0.0)))
        )


def test_a_run_leaves_a_refiner_that_names_its_data(tmp_path):
    write_bodies(tmp_path / "mine")
    code, told = run(
        "--hosts", tmp_path / "mine", "--spacing", 3, "--steps", 2, "--accelerator", "cpu", "--out", tmp_path / "r"
    )
    assert code == 0, told
    assert "Trained 2 steps" in told
    refiner, _ = load_refiner(tmp_path / "r" / "refiner.safetensors")
    assert refiner.info.spacing_mm == 3.0
    assert refiner.info.provenance["data"] == "2 CTs of mine"
    assert refiner.info.licence != "Apache-2.0"  # made from the user's CTs


def test_an_unreadable_host_is_listed_and_the_others_are_used(tmp_path):
    write_bodies(tmp_path / "mine")
    (tmp_path / "mine" / "h1" / "ct.nii.gz").write_bytes(b"no image")
    code, told = run(
        "--hosts", tmp_path / "mine", "--spacing", 3, "--steps", 1, "--accelerator", "cpu", "--out", tmp_path / "r"
    )
    assert code == 1
    assert "1 hosts were left out" in told
    assert "h1" in (tmp_path / "r" / "unusable.txt").read_text()
    assert load_refiner(tmp_path / "r" / "refiner.safetensors")[0].info.provenance["data"] == "1 CTs of mine"


def test_a_folder_that_is_none_or_holds_no_host_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "empty"):
        code, told = run("--hosts", tmp_path / name, "--steps", 1, "--out", tmp_path / "r")
        assert code == 1
        assert name in told
        assert not (tmp_path / "r" / "refiner.safetensors").exists()


def test_help_shows_how_it_is_called():
    code, told = run("--help")
    assert code == 0
    assert "Example: panlesion train-refiner --hosts my_cts" in told
