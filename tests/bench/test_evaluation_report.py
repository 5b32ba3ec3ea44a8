import csv
import json

import pytest
from masks_made import drawn, write_folders

from panlesion.bench import evaluation_report
from panlesion.bench.evaluate import evaluate
from panlesion.bench.evaluation_report import PAGE_FILE, SCORES_FILE, SUMMARY_FILE, refuse_out, write_evaluation
from panlesion.bench.mask_pairs import check_pairs, find_pairs
from panlesion.ct.nifti import write_labels
from panlesion.errors import StoreError
from panlesion.measure.detection import HitRule, Overlap


def made(tmp_path, count=4, missed=0, **more):
    folders = write_folders(tmp_path / "data", count)
    for n in range(missed):
        write_labels(folders[0] / f"case_{n}.nii.gz", drawn(n, values=()))
    pairs, _ = find_pairs(*folders)
    return evaluate(check_pairs(pairs, {1: "tumour", 2: "a|b"}), predicted=folders[0], truth=folders[1], **more)


def test_the_three_files_tell_the_same(tmp_path):
    found = made(tmp_path, missed=1)
    write_evaluation(tmp_path / "out", found)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted((SCORES_FILE, SUMMARY_FILE, PAGE_FILE))
    rows = list(csv.DictReader((tmp_path / "out" / SCORES_FILE).read_text(encoding="utf-8").splitlines()))
    record = json.loads((tmp_path / "out" / SUMMARY_FILE).read_text(encoding="utf-8"))
    page = (tmp_path / "out" / PAGE_FILE).read_text(encoding="utf-8")
    assert len(rows) == 8 and record["patients"] == 4
    for one in record["classes"]:
        mine = [float(row["dice"]) for row in rows if row["class"] == one["name"]]
        told = one["metrics"]["dice"]
        assert told["mean"] == pytest.approx(sum(mine) / 4, abs=1e-5)
        assert f"{told['mean']:.3f} ({told['low']:.3f}-{told['high']:.3f}, n = 4)" in page
        assert one["metrics"]["hd95_mm"]["left_out"] == 1
    assert rows[0]["hd95_mm"] == "inf" and rows[0]["lesion_precision"] == ""
    assert "a\\|b" in page and "NSD at 2 mm" in page and "intersection over union of at least 0.1" in page


def test_one_patient_has_no_interval(tmp_path):
    write_evaluation(tmp_path / "out", made(tmp_path, 1))
    record = json.loads((tmp_path / "out" / SUMMARY_FILE).read_text(encoding="utf-8"))
    told = record["classes"][0]["metrics"]["dice"]
    assert (told["low"], told["high"], told["patients"]) == (None, None, 1)
    assert "(n = 1)" in (tmp_path / "out" / PAGE_FILE).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (HitRule(overlap=Overlap.ANY), "any voxel in common"),
        (HitRule(overlap=Overlap.DICE, at_least=0.2), "a Dice of at least 0.2"),
    ],
)
def test_the_page_says_what_a_hit_is(tmp_path, rule, says):
    write_evaluation(tmp_path / "out", made(tmp_path, 1, rule=rule))
    assert says in (tmp_path / "out" / PAGE_FILE).read_text(encoding="utf-8")


def test_results_are_replaced_only_when_asked(tmp_path):
    found = made(tmp_path, 1)
    out = tmp_path / "deep" / "out"
    write_evaluation(out, found)
    with pytest.raises(StoreError, match="--overwrite"):
        write_evaluation(out, found)
    (out / SCORES_FILE).write_text("old")
    write_evaluation(out, found, overwrite=True)
    assert (out / SCORES_FILE).read_text() != "old"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_what_is_not_ours_is_never_replaced(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    refuse_out(out, overwrite=False)  # an empty folder is fine
    (out / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(StoreError, match=r"thesis\.tex, which is no result of evaluate"):
            write_evaluation(out, made(tmp_path / str(overwrite), 1), overwrite=overwrite)
    assert (out / "thesis.tex").read_text() == "years of work"
    with pytest.raises(StoreError, match="is no folder"):
        refuse_out(out / "thesis.tex", overwrite=True)


@pytest.mark.parametrize("before", [False, True])
def test_a_writer_that_dies_leaves_what_was_there(tmp_path, monkeypatch, before):
    found, out = made(tmp_path, 1), tmp_path / "out"
    if before:
        write_evaluation(out, found)
    held = {path.name: path.read_bytes() for path in out.iterdir()} if before else None

    def dies(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evaluation_report, "_page", dies)
    with pytest.raises(StoreError, match="No space left"):
        write_evaluation(out, found, overwrite=True)
    assert ({path.name: path.read_bytes() for path in out.iterdir()} if out.exists() else None) == held
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
