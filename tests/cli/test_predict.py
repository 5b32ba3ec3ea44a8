import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from panlesion.cli.main import app
from panlesion.ct.nifti import read_labels, write_volume
from panlesion.ct.volume import Volume
from panlesion.infer.record import read_findings
from panlesion.phantom.phantom import make_phantom


def run(*words):
    done = CliRunner().invoke(app, ["predict", *map(str, words)])
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Two small drawn CTs and a file that is none."""
    folder = tmp_path_factory.mktemp("scans")
    for name, seed in (("one", 1), ("two", 2)):
        write_volume(folder / f"{name}.nii.gz", make_phantom(seed, spacing_mm=4.0, shape=(48, 44, 40), centre="liver").ct)
    (folder / "broken.nii.gz").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def done(scans, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, *run(scans / "one.nii.gz", scans / "broken.nii.gz", out, "--probability", 0.2)


def test_what_can_be_predicted_is_and_the_rest_is_listed(done):
    out, code, told = done
    assert code == 3
    assert "broken" in told and "1 of 2 CTs failed" in told and "no DICOM SEG and SR" in told
    assert [path.name for path in out.iterdir()] == ["one"]
    findings = read_findings(out / "one" / "findings.json")
    lesions = read_labels(out / "one" / "lesions.nii.gz")
    assert lesions.grid.shape == findings.shape == (48, 44, 40)
    assert set(np.unique(lesions.labels)) - {0} == {one.number for one in findings.lesions}
    assert all(one.probability >= 0.2 for one in findings.lesions)
    assert findings.algorithm.checkpoint == "nano" and len(findings.algorithm.weights_sha256) == 64
    assert findings.impression


def test_what_is_there_is_not_predicted_again(done, scans):
    out, _, _ = done
    before = (out / "one" / "findings.json").stat().st_mtime_ns
    code, told = run(scans / "one.nii.gz", out, "--probability", 0.2)
    assert code == 0 and "there already" in told
    assert (out / "one" / "findings.json").stat().st_mtime_ns == before


def test_other_settings_are_not_mixed_unless_asked(done, scans):
    out, _, _ = done
    code, told = run(scans / "one.nii.gz", out, "--probability", 0.99)
    assert code == 1 and "--overwrite" in told
    assert read_findings(out / "one" / "findings.json").operating_point.least_probability == 0.2


def test_nothing_done_is_told_by_the_exit_code(scans, tmp_path):
    code, told = run(scans / "broken.nii.gz", tmp_path / "out")
    assert code == 1 and "1 of 1 CTs failed" in told


def test_the_same_patient_again_is_stable(done, scans, tmp_path):
    out, _, _ = done
    before = read_findings(out / "one" / "findings.json")
    code, told = run(scans / "one.nii.gz", tmp_path, "--probability", 0.2, "--prior", out / "one" / "findings.json")
    assert code == 0, told
    now = read_findings(tmp_path / "one" / "findings.json")
    assert now.follow_up is not None and now.follow_up.prior_case == "one"
    assert len(now.lesions) == len(before.lesions)
    strip = {"tracking_uid": ""}
    assert [replace(one, **strip) for one in now.lesions] == [replace(one, **strip) for one in before.lesions]


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (("absent.nii.gz", "out"), "absent", 1),
        (("a.nii.gz", "b.nii.gz", "out", "--organs", "o.nii.gz"), "belongs to one CT", 2),
        (("a.nii.gz", "b.nii.gz", "out", "--prior", "f.json"), "belongs to one CT", 2),
        (("a/x.nii.gz", "b/x.nii.gz", "out"), "would both be called", 2),
        (("a.nii.gz", "out", "--sensitivity", "0.5", "--probability", "0.5"), "give one of them", 2),
        (("a.nii.gz", "out", "--sensitivity", "7"), "sensitivity is 7", 2),
        (("a.nii.gz", "out", "--checkpoint", "no_such"), "no_such", 1),
        (("a.nii.gz", "out", "--organ-labels", "v9"), "v9", 2),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_written(tmp_path, monkeypatch, words, says, code):
    monkeypatch.chdir(tmp_path)
    found, told = run(*words)
    assert found == code, told
    assert says in told
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_an_mr_needs_a_checkpoint_that_was_taught_mr(scans, tmp_path):
    code, told = run(scans / "one.nii.gz", tmp_path, "--mr")
    assert code == 1 and "taught CT, the images are MR" in told and not list(tmp_path.iterdir())


def test_help_shows_how_it_is_called():
    code, told = run("--help")
    assert code == 0 and "Example: panlesion predict" in told


def test_a_batch_that_is_killed_leaves_whole_cases_and_the_rerun_does_the_rest(scans, tmp_path):
    out = tmp_path / "out"
    words = [str(scans / "one.nii.gz"), str(scans / "two.nii.gz"), str(out), "--probability", "0.2"]
    start = "import sys; from panlesion.cli.main import app; app(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", start, "predict", *words], stdout=subprocess.DEVNULL)
    for _ in range(1200):
        if (out / "one").exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for folder in out.iterdir():
        if not folder.name.startswith("."):
            assert {"lesions.nii.gz", "organs.nii.gz", "findings.json", "report.html"} <= {f.name for f in folder.iterdir()}
    first = json.loads((out / "one" / "findings.json").read_text())
    code, told = run(*words)
    assert code == 0 and "one: there already" in told
    assert json.loads((out / "one" / "findings.json").read_text()) == first
    assert (out / "two" / "findings.json").exists()


def test_a_volume_of_nothing_is_refused_with_the_rule(tmp_path):
    air = make_phantom(1, spacing_mm=4.0, shape=(24, 24, 24), centre="liver").ct
    write_volume(tmp_path / "air.nii.gz", Volume(hu=np.full(air.hu.shape, -1000, np.int16), grid=air.grid))
    code, told = run(tmp_path / "air.nii.gz", tmp_path / "out")
    assert code == 1 and "a CT spans more than 50 HU" in told
