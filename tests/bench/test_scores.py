import pytest

from panlesion.bench.scores import SCORES, Score, read_scores, write_scores
from panlesion.errors import StoreError


def test_scores_come_back_as_they_were_written(tmp_path):
    scores = [Score(row="sts", arm="scratch", metric="dice", value=0.5, low=0.4, high=0.6, n=22, shots=4, repetitions=5)]
    write_scores(tmp_path, scores)
    assert read_scores(tmp_path) == scores


@pytest.mark.parametrize("content", ["", "[{}]", '[{"row": "sts", "colour": 1}]', "[1]"])
def test_a_file_that_holds_no_scores_is_named(tmp_path, content):
    (tmp_path / SCORES).write_text(content)
    with pytest.raises(StoreError, match=SCORES):
        read_scores(tmp_path)


def test_a_folder_without_results_says_which_file_is_missing(tmp_path):
    with pytest.raises(StoreError, match="is missing"):
        read_scores(tmp_path)
