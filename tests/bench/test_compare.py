import json
import re
import shutil
from dataclasses import replace

import pytest
from results_made import few_shot, survival

from panlesion.bench.about import ABOUT, read_about, write_about
from panlesion.bench.compare import RAN, beside, compare_folders, lines_of, markdown, read_results, shown, what_differs
from panlesion.bench.scores import SCORES, Score, write_scores
from panlesion.errors import StoreError

WORDS = {"row": "a", "arm": "x", "metric": "m", "value": "0.5", "low": 0, "high": 1, "n": 3}
OTHER = {"row": "other", "title": "", "protocol": "", "data": ""}


def test_a_score_stands_beside_the_papers_with_its_error(tmp_path):
    (result,) = read_results([few_shot(tmp_path / "a")])
    at = {(one.arm, one.shots): beside(result, one) for one in result.quoted}
    assert at["scratch", 1] == ("0.25 ± 0.01", "0.08", "+0.050 (within the interval)")
    assert at["fine-tuned", 2] == ("0.30 ± 0.01", "0.13", "+0.200")
    assert len(result.differences) == 3


def test_a_number_of_shots_the_paper_does_not_have_stands_alone(tmp_path):
    few_shot(tmp_path / "a")
    write_scores(
        tmp_path / "a", [Score(row="kidney_tumor-few", arm="x", metric="dice", value=0.5, low=0.4, high=0.6, n=3, shots=3)]
    )
    (result,) = read_results([tmp_path / "a"])
    assert beside(result, result.scores[0]) == ("", "", "")


def test_what_differs_from_the_paper_is_said_in_words(tmp_path):
    (kidney,) = read_results([few_shot(tmp_path / "a")])
    words = " ".join(what_differs(kidney))
    told = ("KiTS23", "20 here; 489 in the paper", "2.5 mm here", "1.5 M parameters", "240.3 M in the paper", "100 steps here")
    for word in (*told, "35 %", "shots [1, 2, 4]"):
        assert word in words
    (private,) = read_results([few_shot(tmp_path / "b", "gallstone-few", about=False)])
    assert "in place of the authors'" in " ".join(what_differs(private))
    assert "an unknown number of steps" in " ".join(what_differs(private))
    (ours,) = read_results([few_shot(tmp_path / "c", "sts")])
    assert what_differs(ours) == ["The paper has no such row: nothing published stands beside it."]


def test_a_stand_in_ran_and_shows_no_number(tmp_path):
    (result,) = read_results([few_shot(tmp_path / "a", stand_in=True)])
    assert [line[1] for line in lines_of(result)] == [RAN]
    page = markdown([result])
    assert RAN in page
    assert "0.300" not in page
    assert "0.150" not in page


def test_a_suite_on_stand_ins_ran_and_shows_no_number_of_any_row(tmp_path):
    few_shot(tmp_path / "suite" / "kidney_tumor-few", stand_in=True)
    empty = few_shot(tmp_path / "suite" / "sts", "sts")  # what its scores forgot to say, the run says
    write_about(empty, replace(read_about(empty), row="sts", stand_in=True))
    for path in compare_folders([tmp_path / "suite"], tmp_path / "out"):
        text = path.read_text()
        assert text.count(RAN) == 2
        assert "nothing was measured" in text
        assert not re.search(r"0\.\d\d", text.replace(html_style(text), ""))


def html_style(text):
    return "".join(re.findall(r"<style>.*?</style>", text, re.DOTALL)) or "\0"


def test_a_single_scan_gets_no_interval():
    one = Score(row="real", arm="argmax", metric="false positives", value=3, low=3, high=3, n=1, unit="scans")
    assert shown(one) == "3.000 (no interval, n = 1 scans)"


def test_a_suite_is_all_of_its_rows_and_equal_names_are_told_apart(tmp_path):
    few_shot(tmp_path / "one" / "kidney")
    few_shot(tmp_path / "one" / "sts", "sts")
    few_shot(tmp_path / "two" / "kidney")
    results = read_results([tmp_path / "one", tmp_path / "two"])
    assert [one.row for one in results] == ["kidney_tumor-few", "sts", "kidney_tumor-few"]
    assert [one.name for one in results] == [str(tmp_path / "one" / "kidney"), "sts", str(tmp_path / "two" / "kidney")]


def test_both_pages_are_written_and_hold_every_row(tmp_path):
    folders = [few_shot(tmp_path / "a"), survival(tmp_path / "b")]
    paths = compare_folders(folders, tmp_path / "out")
    assert [path.name for path in paths] == ["compare.md", "compare.html"]
    for path in paths:
        text = path.read_text()
        assert "0.700 ± 0.005" in text  # the paper's survival AUC, as many digits as were published
        assert "fine-tuned over scratch" in text
    again = [path.read_text() for path in compare_folders(folders, tmp_path / "out")]
    assert again == [path.read_text() for path in paths]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda out: (out / SCORES).write_text("["), "holds no scores"),
        (lambda out: (out / SCORES).write_text(json.dumps([WORDS])), "are numbers"),
        (lambda out: (out / SCORES).unlink(), r"holds no scores\.json"),
        (lambda out: (out / ABOUT).write_text("{}"), "tells of no run"),
        (lambda out: (out / ABOUT).write_text(json.dumps(OTHER)), "of one row"),
        (lambda out: (out / SCORES).write_text("[]") and (out / ABOUT).unlink(), "of no row"),
        (lambda out: (out / "predictions.csv").write_text("x"), "lacks the columns"),
        (shutil.rmtree, "holds no"),
    ],
)  # fmt: skip
def test_damaged_folders_are_refused_by_name(tmp_path, spoil, says):
    spoil(few_shot(tmp_path / "a"))
    with pytest.raises(StoreError, match=says):
        compare_folders([tmp_path / "a"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_named_twice_and_none_at_all_are_refused(tmp_path):
    few_shot(tmp_path / "a")
    with pytest.raises(StoreError, match="shown twice"):
        read_results([tmp_path / "a", tmp_path / "a" / ".." / "a"])
    with pytest.raises(ValueError, match="no folder is given"):
        read_results([])


def test_what_a_run_was_about_is_read_back(tmp_path):
    about = read_about(few_shot(tmp_path / "a"))
    assert (about.row, about.parameters, about.choices["steps"]) == ("kidney_tumor-few", 1_500_000, 100)
    assert about.version
    assert read_about(tmp_path) is None
