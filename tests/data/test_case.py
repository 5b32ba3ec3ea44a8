import json

import numpy as np
import pytest
from cases_made import make_case_in, make_host

from panlesion.data.case import PASTA_FILES, RECORD_FILE, json_text, read_case, read_json, voxel_checks, write_case
from panlesion.errors import StoreError


def test_what_is_written_is_read_back(tmp_path):
    case, _ = make_case_in(*make_host())
    write_case(tmp_path / "one", case)
    again = read_case(tmp_path / "one")
    assert np.array_equal(again.image.hu, case.image.hu)
    assert np.array_equal(again.label.labels, case.label.labels)
    assert np.array_equal(again.organs.labels, case.organs.labels)
    assert again.image.grid.same_as(case.image.grid)
    assert (again.report, again.record) == (case.report, case.record)


def test_equal_cases_give_equal_bytes_and_the_five_files_of_the_layout(tmp_path):
    case, _ = make_case_in(*make_host())
    for name in ("one", "two"):
        write_case(tmp_path / name, case)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted([*PASTA_FILES, RECORD_FILE])
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("name", PASTA_FILES)
def test_a_missing_file_is_named(tmp_path, name):
    case, _ = make_case_in(*make_host())
    write_case(tmp_path / "one", case)
    (tmp_path / "one" / name).unlink()
    with pytest.raises(StoreError, match=name):
        read_case(tmp_path / "one")


def test_a_foreign_case_has_no_record(tmp_path):
    case, _ = make_case_in(*make_host())
    write_case(tmp_path / "one", case)
    (tmp_path / "one" / RECORD_FILE).unlink()
    assert read_case(tmp_path / "one").record == {}


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_file_that_is_no_json_object_is_named(tmp_path, text):
    (tmp_path / "type.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"type\.json"):
        read_json(tmp_path / "type.json")


def test_json_keeps_order_and_numbers_and_refuses_nan():
    content = {"b": 0.1 + 0.2, "a": [1, None, "Ösophagus"]}
    assert json.loads(json_text(content)) == content
    assert list(json.loads(json_text(content))) == ["b", "a"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"a": float("nan")})


def test_checks_do_not_depend_on_memory_layout():
    case, _ = make_case_in(*make_host())
    arrays = (case.image.hu, case.label.labels, case.organs.labels)
    assert voxel_checks(*arrays) == voxel_checks(*(np.asfortranarray(array) for array in arrays))
    other = case.image.hu.copy()
    other[0, 0, 0] += 1
    assert voxel_checks(other, *arrays[1:])[0] != voxel_checks(*arrays)[0]
