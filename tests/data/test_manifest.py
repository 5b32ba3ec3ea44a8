import pytest
from cases_made import make_case_in, make_host

from panlesion.data.case import write_case
from panlesion.data.manifest import (
    Failure,
    build_manifest,
    read_cohort,
    read_manifest,
    write_cohort,
    write_failures,
    write_manifest,
)
from panlesion.errors import StoreError


def test_the_manifest_tells_each_complete_case_in_order(tmp_path):
    case, _ = make_case_in(*make_host())
    for name in ("b", "a", "broken"):
        write_case(tmp_path / "Liver" / "Tumor" / name, case)
    (tmp_path / "Liver" / "Tumor" / "broken" / "img.nii.gz").unlink()
    rows = write_manifest(tmp_path)
    assert [row["id"] for row in rows] == ["a", "b"]
    first = rows[0]
    assert (first["folder"], first["host"], first["phase"], first["lesions"]) == ("Liver/Tumor/a", "h1", "portal", "1")
    assert (first["seat"], first["diameter_mm"], first["features"]) == ("segment VIII", "8.2", "capsule; rim")
    assert read_manifest(tmp_path) == rows == build_manifest(tmp_path)


def test_foreign_cases_have_a_row_too(tmp_path):
    write_case(tmp_path / "Liver" / "Tumor" / "a", make_case_in(*make_host())[0])
    (tmp_path / "Liver" / "Tumor" / "a" / "record.json").unlink()
    (row,) = build_manifest(tmp_path)
    assert (row["id"], row["host"], row["lesions"]) == ("a", "", "0")


def test_failures_are_sorted_and_quoted(tmp_path):
    failures = [
        Failure(what="host", id="h2", error="ReadError", cause="no ct"),
        Failure(what="case", id="c1", type="liver_cyst", host="h1", error="PlacementError", cause='no room, "full"'),
    ]
    write_failures(tmp_path, failures)
    assert (tmp_path / "failures.csv").read_text().splitlines() == [
        "what,id,type,host,error,cause",
        'case,c1,liver_cyst,h1,PlacementError,"no room, ""full"""',
        "host,h2,,,ReadError,no ct",
    ]


def test_the_recipe_is_read_back(tmp_path):
    write_cohort(tmp_path, {"seed": 1, "types": ["liver_cyst"]})
    assert read_cohort(tmp_path) == {"seed": 1, "types": ["liver_cyst"]}


@pytest.mark.parametrize("read", [read_manifest, read_cohort])
def test_a_folder_without_tables_says_so(tmp_path, read):
    with pytest.raises(StoreError, match="is missing"):
        read(tmp_path)
