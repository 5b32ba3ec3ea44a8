import json

import pytest
from records_made import findings, lesion

from panlesion.errors import ReadError
from panlesion.infer.record import Findings, Reading, read_findings, write_findings


def test_a_document_comes_back_as_it_was(tmp_path):
    made = findings(lesion(1), lesion(2, side="left", organ_mean_hu=None))
    write_findings(tmp_path / "findings.json", made)
    assert read_findings(tmp_path / "findings.json") == made


def test_nothing_found_is_a_document_too(tmp_path):
    made = findings(lesions=(), doubts=(), plain=None)
    assert isinstance(made, Findings)
    write_findings(tmp_path / "findings.json", made)
    assert read_findings(tmp_path / "findings.json").lesions == ()


def test_disagreement_needs_two_answers():
    assert Reading(read="a", measured="b").disagree
    assert not Reading(read="a", measured="a").disagree
    assert not Reading(read="a").disagree and not Reading(measured="b").disagree


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["lesions"][0].update(volume_ml="much"), "lesions.0.volume_ml"),
        (lambda d: d.pop("algorithm"), "algorithm"),
        (lambda d: d.update(schema=99), "schema 99"),
        (lambda d: d["lesions"][0]["long"].update(ends_ijk=[[1, 2]]), "lesions.0.long.ends_ijk"),
    ],
)
def test_a_document_that_is_none_is_refused_with_the_field(tmp_path, change, says):
    path = tmp_path / "findings.json"
    write_findings(path, findings())
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(ReadError, match=says):
        read_findings(path)


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / "findings.json"
    path.write_text(content)
    with pytest.raises(ReadError, match=r"findings\.json"):
        read_findings(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReadError, match=r"no\.json: No such file"):
        read_findings(tmp_path / "no.json")
