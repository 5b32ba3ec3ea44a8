import pytest

from panlesion.bench.predictions import PREDICTIONS, Said, read_predictions, write_predictions
from panlesion.errors import StoreError

HEAD = "case,patient,arm,truth,evidence,time,event,question\n"


def test_predictions_come_back_as_they_were_written(tmp_path):
    said = [
        Said(case="a, b", patient="p", arm="x", evidence=0.25, truth=True),
        Said(case="c", patient="p", arm="x", evidence=-1e-9, time=12.5, event=False, question="how long"),
    ]
    write_predictions(tmp_path, said)
    assert read_predictions(tmp_path) == said


def test_a_folder_without_predictions_has_none(tmp_path):
    assert read_predictions(tmp_path) == []


def test_columns_may_stand_in_any_order_and_optional_ones_may_lack(tmp_path):
    (tmp_path / PREDICTIONS).write_text("evidence,truth,arm,patient,case\n0.5,0,x,p,c\n")
    assert read_predictions(tmp_path) == [Said(case="c", patient="p", arm="x", evidence=0.5, truth=False)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "lacks the columns case, patient, arm, evidence"),
        ("case,patient,arm\n", "lacks the columns evidence"),
        (HEAD + "c,p,x,1,high,,,\n", "line 2: evidence is 'high'"),
        (HEAD + "c,p,x,1,nan,,,\n", "evidence is 'nan'; it must be a finite"),
        (HEAD + "c,p,x,yes,1,,,\n", "truth is 'yes'; it must be 0, 1 or blank"),
        (HEAD + "c,p,x,,1,,,\n", "neither truth nor time"),
        (HEAD + "c,p,x,,1,5,,\n", "both or none"),
        (HEAD + "c,p,x,,1,-5,1,\n", "time 0 or more"),
        (HEAD + ",p,x,1,1,,,\n", "case is empty"),
        (HEAD + "c,p,x,1,1,,,\nc,p,x,0,1,,,\n", "x answers twice for c"),
        (HEAD + "c,p,x,1\n", "line 2 has more or fewer cells"),
        (HEAD + "c,p,x,1,1,,,,,9\n", "line 2 has more or fewer cells"),
    ],
)
def test_a_damaged_file_is_refused_with_line_and_rule(tmp_path, content, says):
    (tmp_path / PREDICTIONS).write_text(content)
    with pytest.raises(StoreError, match=says):
        read_predictions(tmp_path)


def test_a_file_in_no_utf8_is_refused(tmp_path):
    (tmp_path / PREDICTIONS).write_bytes(b"case\xff")
    with pytest.raises(StoreError, match="no CSV in UTF-8"):
        read_predictions(tmp_path)
