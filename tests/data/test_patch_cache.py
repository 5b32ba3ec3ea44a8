import numpy as np
import pytest
from cases_made import make_case_in, make_host, write_delta_cohort

from panlesion.data.case import write_case
from panlesion.data.patch_cache import CACHE_FILE, cache_cases
from panlesion.data.patches import open_block
from panlesion.data.store import CaseReader, iterate_cases
from panlesion.errors import StoreError


def targets_of(case, _type):
    return np.stack([case.organs.labels, case.label.labels])


def run(root, out, **change):
    settings = {"size": 16, "spacing_mm": 1.5, "targets_of": targets_of, "targets_name": "organs, label", "seed": 4}
    return cache_cases(root, out, **(settings | change))


@pytest.fixture
def cohort(tmp_path):
    write_delta_cohort(tmp_path / "cases")
    return tmp_path / "cases"


def test_every_case_becomes_a_block_with_the_lesion_in_most_patches(cohort, tmp_path):
    calls = []
    cached = run(cohort, tmp_path / "out", progress=lambda done, all_: calls.append((done, all_)))
    assert [path.relative_to(tmp_path / "out").as_posix() for path in cached.blocks] == [
        "Liver/Tumor/liver_tumor_00000.block",
        "Liver/Tumor/liver_tumor_00001.block",
    ]
    assert cached.failures == [] and calls == [(1, 2), (2, 2)]
    block = open_block(cached.blocks[0])
    assert (len(block), block.size, block.groups) == (4, 16, 2)
    assert [row["on_lesion"] for row in block.rows] == [True, True, True, False]
    assert block.rows[0]["case"] == "liver_tumor_00000" and block.rows[0]["type"] == "liver_tumor"
    for n in range(3):
        hu, targets = block.read(n)
        assert (targets[1] == 2).any()
        assert hu[targets[1] == 1].mean() > 30 and hu[targets[0] == 0].mean() < -50  # cut at the same place


def test_full_and_delta_cases_give_the_same_blocks(cohort, tmp_path):
    (folder, _) = iterate_cases(cohort)
    full = tmp_path / "full" / folder.path.relative_to(cohort)
    write_case(full, CaseReader(cohort).read(folder))
    ours, foreign = run(cohort, tmp_path / "out").blocks[0], run(tmp_path / "full", tmp_path / "out_full").blocks[0]
    assert ours.read_bytes() == foreign.read_bytes()


def test_a_second_run_leaves_finished_blocks_and_makes_the_missing_ones_alike(cohort, tmp_path):
    out = tmp_path / "out"
    first, second = run(cohort, out).blocks
    before, stamp = second.read_bytes(), first.stat().st_mtime_ns
    second.unlink()
    (second.parent / f".{second.name}.1-0123abcd.part").write_bytes(b"left by a killed run")
    run(cohort, out)
    assert second.read_bytes() == before
    assert first.stat().st_mtime_ns == stamp
    assert not list(second.parent.glob(".*"))


def test_a_cache_made_with_other_arguments_is_not_mixed(cohort, tmp_path):
    run(cohort, tmp_path / "out")
    for change in ({"size": 20}, {"spacing_mm": 2.0}, {"seed": 5}, {"targets_name": "others"}):
        with pytest.raises(StoreError, match=CACHE_FILE):
            run(cohort, tmp_path / "out", **change)


def test_a_damaged_case_is_listed_and_the_others_go_on(cohort, tmp_path):
    (cohort / "Liver/Tumor/liver_tumor_00000/delta.npz").write_bytes(b"no archive")
    (cohort / "Liver/Tumor/liver_tumor_00001/type.json").unlink()
    case, _ = make_case_in(*make_host())
    write_case(cohort / "Liver/Cyst/b", case)
    cached = run(cohort, tmp_path / "out")
    assert [path.name for path in cached.blocks] == ["b.block"]
    assert [case for case, _ in cached.failures] == ["liver_tumor_00000", "liver_tumor_00001"]
    assert all(case in cause for case, cause in cached.failures)


def test_cubes_larger_than_the_scan_are_filled_with_air_and_background(cohort, tmp_path):
    block = open_block(run(cohort, tmp_path / "out", size=40).blocks[0])
    hu, targets = block.read(0)
    assert hu.min() == -1024 and not targets[:, hu == -1024].any()
    assert (targets[1] == 2).sum() > 0


def test_targets_of_a_wrong_shape_are_the_callers_mistake(cohort, tmp_path):
    with pytest.raises(ValueError, match="targets_of made"):
        run(cohort, tmp_path / "out", targets_of=lambda case, _type: case.organs.labels)
    with pytest.raises(ValueError, match="on_lesion"):
        run(cohort, tmp_path / "out", on_lesion=2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="no case"):
        run(tmp_path / "empty", tmp_path / "out2")
