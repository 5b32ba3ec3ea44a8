import json
import re

import numpy as np
import pytest
from sources_made import crop, empty, foreign, gone, halve, move, relabel, tiny, turn

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.data.sources._layout import every, folder_with, json_of, known, listed, matching, partners, read_published
from panlesion.data.sources.source import FoundCase
from panlesion.errors import PanlesionError, ReadError, StoreError

VALUES = {1: "liver", 2: "tumor"}


@pytest.fixture
def case(tmp_path):
    (drawn,) = tiny(tuple(VALUES.values()), 1)
    write_volume(tmp_path / "image.nii.gz", drawn.ct)
    write_labels(tmp_path / "label.nii.gz", drawn.label)
    return FoundCase(id="case_7", patient="p", image=tmp_path / "image.nii.gz", label=tmp_path / "label.nii.gz")


@pytest.mark.parametrize(
    ("spoil", "file", "says"),
    [
        (halve, "image", "truncated"),
        (halve, "label", "truncated"),
        (foreign, "image", "no NIfTI file"),
        (foreign, "label", "no NIfTI file"),
        (empty, "image", "no NIfTI file"),
        (empty, "label", "no NIfTI file"),
        (gone, "image", "No such file"),
        (gone, "label", "No such file"),
        (move, "label", "mm apart"),
        (crop, "label", "voxels"),
        (lambda path: relabel(path, 9), "label", r"label\.nii\.gz: label value 9; this set has 0 background, 1 liver, 2 tumor"),
    ],
)
def test_a_broken_file_is_refused_with_its_case_and_name(case, spoil, file, says):
    path = getattr(case, file)
    spoil(path)
    with pytest.raises(ReadError, match=says) as caught:
        read_published(case, values=VALUES)
    assert str(caught.value).startswith("case_7: ")
    assert path.name in str(caught.value)


def test_a_label_turned_in_its_array_lies_on_the_image(case):
    before = read_published(case, values=VALUES)
    turn(case.label)
    after = read_published(case, values=VALUES)
    np.testing.assert_array_equal(after.label.labels, before.label.labels)
    assert after.label.grid.same_as(after.ct.grid)


def test_without_an_annotation_the_label_is_zero(case):
    read = read_published(FoundCase(id="a", patient="a", image=case.image), values=VALUES)
    assert not read.label.labels.any()
    assert read.label.grid.same_as(read.ct.grid)


def test_a_ct_is_no_mr_and_a_label_no_ct(case):
    with pytest.raises(PanlesionError, match=r"case_7: .*below 0"):
        read_published(FoundCase(id="case_7", patient="p", image=case.image, modality=Modality.MR), values=VALUES)
    with pytest.raises(ReadError, match=r"case_7: .*mask"):
        read_published(FoundCase(id="case_7", patient="p", image=case.label), values=VALUES)


@pytest.mark.parametrize("values", [{1: "a", 2: "b"}, {2: "b", 1: "a"}, {1: "a", 2: "b", 5: "c"}, {7: "c", 2: "b", 1: "a"}])
def test_value_v_becomes_the_place_of_v(case, values):
    (drawn,) = tiny(("a", "b"), 1)
    classes = list(values)
    expected = np.array([0, *(classes.index(value) + 1 for value in (1, 2))], dtype=np.uint8)[drawn.label.labels]
    np.testing.assert_array_equal(known(drawn.label, values, case.label).labels, expected)


def test_names_are_listed_in_part():
    assert listed("abc") == "a, b, c"
    assert listed("abcde") == "a, b, c and 2 more"


def test_files_of_macos_are_passed_over(tmp_path):
    for name in ("x_2.nii.gz", "._x_2.nii.gz", "x_1.nii.gz", "x_1.nii", "READ.me", ".DS_Store"):
        (tmp_path / name).touch()
    found = matching(tmp_path, re.compile(r"(.+)\.nii\.gz"))
    assert list(found) == ["x_1", "x_2"]
    assert matching(tmp_path / "none", re.compile("(.*)")) == {}


def test_a_case_under_another_name_is_not_passed_over(tmp_path):
    pattern = re.compile(r"(case_\d{2})")
    with pytest.raises(StoreError, match="there is no case in it"):
        every(tmp_path, "case_*", pattern, "here")
    for name in ("case_01", "._case_01", "README"):
        (tmp_path / name).touch()
    assert list(every(tmp_path, "case_*", pattern, "here")) == ["case_01"]
    (tmp_path / "case_02 (copy)").touch()
    with pytest.raises(StoreError, match=r"case_02 \(copy\) not named as the set names its cases.* It should look like: here"):
        every(tmp_path, "case_*", pattern, "here")


def test_the_folder_may_be_given_or_one_above_it(tmp_path):
    (tmp_path / "set" / "deep").mkdir(parents=True)
    (tmp_path / "set" / "deep" / "index.json").touch()
    for root in (tmp_path / "set" / "deep", tmp_path / "set"):
        assert folder_with(root, "index.json", ("*",), "…") == tmp_path / "set" / "deep"
    with pytest.raises(
        StoreError, match=r"holds no index.json, nor does \* below it; there is set\. It should look like: here"
    ):
        folder_with(tmp_path, "index.json", ("*",), "here")
    with pytest.raises(StoreError, match="is no folder"):
        folder_with(tmp_path / "nowhere", "index.json", ("*",), "here")


def test_a_file_of_macos_is_no_sign_of_the_folder(tmp_path):
    (tmp_path / "._index.json").touch()
    with pytest.raises(StoreError, match="there is nothing"):
        folder_with(tmp_path, "*index.json", (), "here")


def test_pairs_must_be_whole(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert partners(tmp_path, {"a": one}, {"a": two}, "…") == [("a", one, two)]
    with pytest.raises(StoreError, match="no label for one"):
        partners(tmp_path, {"a": one}, {}, "…")
    with pytest.raises(StoreError, match="no image for two"):
        partners(tmp_path, {}, {"a": two}, "…")
    with pytest.raises(StoreError, match="no case"):
        partners(tmp_path, {}, {}, "…")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b""])
def test_a_damaged_table_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"x.json cannot be read"):
        json_of(tmp_path / "x.json")
    with pytest.raises(StoreError, match=r"y.json cannot be read"):
        json_of(tmp_path / "y.json")
    (tmp_path / "z.json").write_text(json.dumps({"a": 1}))
    assert json_of(tmp_path / "z.json") == {"a": 1}
