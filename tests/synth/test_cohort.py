import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import fake_compose
import numpy as np
import pytest
from hosts_made import SPACING_MM, write_hosts

from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import Volume
from panlesion.data.check import check_cases
from panlesion.data.expand import expand_cohort
from panlesion.data.manifest import TIMING_FILE, read_manifest
from panlesion.data.publish import DiskFullError
from panlesion.data.store import CaseReader, StoredAs, iterate_cases
from panlesion.errors import ReadError, StoreError
from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.cohort import synth_cohort
from panlesion.synth.recipe import Recipe


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    write_hosts(folder)
    return folder


@pytest.fixture
def recipe(hosts):
    types = (LesionType.LIVER_TUMOR, LesionType.KIDNEY_CYST)
    return Recipe(hosts=str(hosts), types=types, per_type=4, seed=5, spacing_mm=SPACING_MM, size_voxels=40)


def contents(root):
    """Every file but the timing, by path."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != TIMING_FILE
    }


def test_a_cohort_has_the_layout_of_pasta_gen_and_its_tables(recipe, tmp_path):
    steps = []
    summary = synth_cohort(recipe, tmp_path / "out", compose=fake_compose.compose, progress=lambda *step: steps.append(step))
    assert (summary.made_now, summary.failures, len(summary.rows)) == (8, [], 8)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "Kidney", "Liver", "README.md", "cohort.json", "failures.csv", "hosts", "manifest.csv", "timing.csv",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out" / "Liver" / "Tumor" / "liver_tumor_00002").iterdir()) == [
        "img.nii.gz", "label.nii.gz", "record.json", "total.nii.gz", "type.json",
    ]  # fmt: skip
    assert {row["host"] for row in read_manifest(tmp_path / "out")} == {"h0", "h1", "h2"}
    assert steps[0] == ("hosts", 0, 3)
    assert steps[-1] == ("cases", 8, 8)


def test_cases_have_the_asked_size_in_the_standard_frame(recipe, tmp_path):
    synth_cohort(recipe, tmp_path, compose=fake_compose.compose)
    for found in iterate_cases(tmp_path):
        case = CaseReader(tmp_path).read(found)
        assert case.image.grid.shape == (40, 40, 40)
        assert case.image.grid.axes == "LPS"
        assert case.image.grid.spacing_mm == pytest.approx((SPACING_MM,) * 3)
        assert set(np.unique(case.label.labels)) == {0, 1, 2}


def test_a_host_smaller_than_the_cube_is_padded_with_air(recipe, tmp_path):
    synth_cohort(replace(recipe, size_voxels=80, per_type=1), tmp_path, compose=fake_compose.compose)
    for found in iterate_cases(tmp_path):
        case = CaseReader(tmp_path).read(found)
        assert case.image.grid.shape == (80, 80, 80)
        assert case.image.hu[0, 0, 0] == Volume.AIR_HU
        whole = read_labels(tmp_path / "hosts" / case.record["host"] / "organs.nii.gz")
        assert np.count_nonzero(case.organs.labels) == np.count_nonzero(whole.labels)


def test_the_whole_field_of_view_can_be_kept(recipe, tmp_path):
    synth_cohort(replace(recipe, size_voxels=0, per_type=1), tmp_path, compose=fake_compose.compose)
    for found in iterate_cases(tmp_path):
        case = CaseReader(tmp_path).read(found)
        assert case.image.grid.same_as(read_labels(tmp_path / "hosts" / case.record["host"] / "organs.nii.gz").grid)


def test_several_lesions_are_asked_of_one_case(recipe, tmp_path):
    synth_cohort(replace(recipe, lesions=(1, 3), per_type=6), tmp_path, compose=fake_compose.compose)
    assert {row["lesions"] for row in read_manifest(tmp_path)} == {"1", "2", "3"}


def test_bytes_do_not_depend_on_the_number_of_workers(recipe, tmp_path):
    synth_cohort(recipe, tmp_path / "one", compose=fake_compose.picky_compose)
    synth_cohort(recipe, tmp_path / "two", workers=2, compose=fake_compose.picky_compose)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_expanded_delta_cohort_is_the_full_one(recipe, tmp_path):
    synth_cohort(recipe, tmp_path / "full", compose=fake_compose.picky_compose)
    synth_cohort(replace(recipe, stored_as=StoredAs.DELTA), tmp_path / "delta", compose=fake_compose.picky_compose)
    assert expand_cohort(tmp_path / "delta", tmp_path / "expanded") == []
    assert contents(tmp_path / "full") == contents(tmp_path / "expanded")


def run_of(recipe, out, workers):
    code = (
        "import fake_compose\nfrom pathlib import Path\nfrom panlesion.synth.cohort import synth_cohort\n"
        "from panlesion.synth.recipe import Recipe\nfrom panlesion.lesion.taxonomy import LesionType\n"
        "if __name__ == '__main__':\n"
        f"    recipe = Recipe(hosts={recipe.hosts!r}, types={tuple(map(str, recipe.types))!r}, per_type={recipe.per_type},"
        f" seed={recipe.seed}, spacing_mm={recipe.spacing_mm}, size_voxels={recipe.size_voxels})\n"
        f"    synth_cohort(recipe, Path({str(out)!r}), workers={workers}, compose=fake_compose.slow_compose)\n"
    )
    script = out.parent / "run.py"
    script.write_text(code)
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen([sys.executable, str(script)], env=os.environ | {"PYTHONPATH": paths})


def finished(out):
    return len([path for path in out.glob("*/*/*_0*") if not path.name.startswith(".")])


def test_a_run_killed_at_any_moment_goes_on_to_the_same_bytes(recipe, tmp_path):
    synth_cohort(recipe, tmp_path / "whole", compose=fake_compose.slow_compose)
    moments = random.Random(3)
    out = tmp_path / "killed"
    for workers in (1, 2):
        process = run_of(recipe, out, workers)
        deadline = time.monotonic() + 20
        wanted = finished(out) + 1
        while process.poll() is None and time.monotonic() < deadline:
            if finished(out) >= wanted:
                time.sleep(moments.uniform(0, 0.06))
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    summary = synth_cohort(recipe, out, workers=2, compose=fake_compose.slow_compose)
    assert summary.made_now < 8
    assert contents(tmp_path / "whole") == contents(out)


def test_a_finished_cohort_is_left_as_it_is(recipe, tmp_path):
    synth_cohort(recipe, tmp_path, compose=fake_compose.compose)
    before = contents(tmp_path)
    assert synth_cohort(recipe, tmp_path, compose=fake_compose.compose).made_now == 0
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [({"seed": 6}, "seed was 5, is now 6"), ({"per_type": 5}, "per_type"), ({"stored_as": StoredAs.DELTA}, "format")],
)
def test_another_recipe_in_the_same_folder_is_refused(recipe, tmp_path, change, told):
    small = replace(recipe, per_type=1)
    synth_cohort(small, tmp_path, compose=fake_compose.compose)
    with pytest.raises(StoreError, match=told):
        synth_cohort(replace(small, **change), tmp_path, compose=fake_compose.compose)


def test_other_hosts_in_the_same_folder_are_refused(recipe, hosts, tmp_path):
    mine = tmp_path / "hosts"
    shutil.copytree(hosts, mine)
    one = replace(recipe, hosts=str(mine), per_type=1)
    synth_cohort(one, tmp_path / "out", compose=fake_compose.compose)
    shutil.rmtree(mine / "h1")
    with pytest.raises(StoreError, match="sources differ in h1"):
        synth_cohort(one, tmp_path / "out", compose=fake_compose.compose)


def test_a_foreign_folder_is_not_written_into(recipe, tmp_path):
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(StoreError, match=r"not empty \(thesis"):
        synth_cohort(recipe, tmp_path, compose=fake_compose.compose)


def failures_of(root):
    with (root / "failures.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_a_case_without_room_is_tried_in_other_hosts_and_else_listed(recipe, tmp_path):
    summary = synth_cohort(replace(recipe, per_type=12, seed=1), tmp_path, compose=fake_compose.picky_compose)
    attempts = {row["attempts"] for row in summary.rows}
    assert {"1", "2"} <= attempts
    assert summary.failures
    assert [row["id"] for row in failures_of(tmp_path)] == sorted(failure.id for failure in summary.failures)
    assert all("no room" in row["cause"] for row in failures_of(tmp_path))
    assert len(summary.rows) + len(summary.failures) == 24


def test_a_case_that_kills_its_worker_is_listed_and_the_others_are_made(recipe, tmp_path):
    summary = synth_cohort(recipe, tmp_path, workers=2, compose=fake_compose.fatal_compose)
    assert summary.failures
    assert all(failure.error == "WorkerDied" and "memory" in failure.cause for failure in summary.failures)
    assert len(summary.rows) + len(summary.failures) == 8


def test_a_bug_in_one_case_is_listed_with_its_place(recipe, tmp_path):
    summary = synth_cohort(recipe, tmp_path, compose=fake_compose.buggy_compose)
    assert "fake_compose.py" in summary.failures[0].cause
    assert len(summary.rows) + len(summary.failures) == 8


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_stops_the_run_and_the_same_command_goes_on(recipe, tmp_path, workers):
    with pytest.raises(DiskFullError, match="No space left"):
        synth_cohort(recipe, tmp_path, workers=workers, compose=fake_compose.full_disk_compose)
    assert all(case.complete for case in iterate_cases(tmp_path))
    assert len(synth_cohort(recipe, tmp_path, compose=fake_compose.compose).rows) == 8


def test_broken_hosts_are_listed_and_the_others_used(recipe, hosts, tmp_path):
    mine = tmp_path / "hosts"
    shutil.copytree(hosts, mine)
    (mine / "h1" / "ct.nii.gz").write_bytes(b"no nifti")
    (mine / "h3").mkdir()
    summary = synth_cohort(replace(recipe, hosts=str(mine)), tmp_path / "out", compose=fake_compose.compose)
    assert [failure.id for failure in summary.failures] == ["h3", "h1"]
    assert {row["host"] for row in summary.rows} == {"h0", "h2"}


def test_no_usable_host_is_an_error(recipe, tmp_path):
    with pytest.raises(ReadError, match="is no folder"):
        synth_cohort(replace(recipe, hosts=str(tmp_path / "none")), tmp_path / "out")
    (tmp_path / "hosts" / "a").mkdir(parents=True)
    (tmp_path / "hosts" / "a" / "ct.nii.gz").write_bytes(b"")
    (tmp_path / "hosts" / "a" / "organs.nii.gz").write_bytes(b"")
    with pytest.raises(StoreError, match="none of the 1 hosts can be used"):
        synth_cohort(replace(recipe, hosts=str(tmp_path / "hosts")), tmp_path / "out")


def test_a_type_no_host_can_hold_is_listed(recipe, tmp_path):
    types = (LesionType.LIVER_TUMOR, LesionType.LUNG_TUMOR)
    summary = synth_cohort(replace(recipe, types=types, per_type=1), tmp_path, compose=fake_compose.compose)
    (failure,) = summary.failures
    assert (failure.what, failure.id) == ("type", "lung_tumor")
    assert "13, 14, 15, 16, 17" in failure.cause


def test_a_second_run_at_the_same_time_is_refused(recipe, tmp_path):
    process = run_of(replace(recipe, per_type=30), tmp_path / "out", 1)
    try:
        while process.poll() is None and not (tmp_path / "out" / "cohort.json").exists():
            time.sleep(0.01)
        with pytest.raises(StoreError, match="being written by another"):
            synth_cohort(replace(recipe, per_type=30), tmp_path / "out", compose=fake_compose.compose)
    finally:
        process.kill()
        process.wait()


@pytest.mark.realdata
def test_on_a_real_ct_the_real_composer_makes_checkable_cases_that_expand_to_the_same_bytes(shared_data, tmp_path):
    host = tmp_path / "hosts" / "real"
    host.mkdir(parents=True)
    (host / "ct.nii.gz").symlink_to(shared_data / "totalseg" / "ct.nii.gz")
    (host / "organs.nii.gz").symlink_to(shared_data / "totalseg" / "organs_v2.nii.gz")
    types = (LesionType.LIVER_CYST, LesionType.KIDNEY_TUMOR)
    recipe = Recipe(hosts=str(host.parent), types=types, per_type=2, seed=1, spacing_mm=2.0, size_voxels=140)
    full = synth_cohort(recipe, tmp_path / "full")
    assert len(full.rows) + len(full.failures) == 4
    assert len(full.rows) >= 3
    cases = list(iterate_cases(tmp_path / "full"))
    assert [problem for _, problems in check_cases(cases, tmp_path / "full") for problem in problems] == []
    synth_cohort(replace(recipe, stored_as=StoredAs.DELTA), tmp_path / "delta")
    assert expand_cohort(tmp_path / "delta", tmp_path / "expanded") == []
    assert contents(tmp_path / "full") == contents(tmp_path / "expanded")
    size = {name: sum(f.stat().st_size for f in (tmp_path / name).rglob("*/*_0*/*")) for name in ("full", "delta")}
    assert size["delta"] < 0.05 * size["full"]
