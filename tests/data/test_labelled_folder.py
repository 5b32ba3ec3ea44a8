import numpy as np
import pytest
from cases_made import make_case_in, make_host
from dicom_making import write_series
from labelled_made import annotated, write_folders, write_nnunet, write_pairs

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap
from panlesion.data.case import write_case
from panlesion.data.sources.labelled_folder import Layout, find_labelled, parse_classes
from panlesion.data.standins.drawn import draw_case
from panlesion.data.standins.own import write_own
from panlesion.errors import ReadError, StoreError


def ids(found):
    return [case.id for case in found.cases]


def test_images_and_labels_of_the_same_names_are_pairs(tmp_path):
    found = find_labelled(write_pairs(tmp_path, 2))
    assert (found.layout, ids(found), found.problems) == (Layout.PAIRS, ["case_0", "case_1"], ())
    opened, (ct, label) = found.read(found.cases[1]), annotated(1)
    np.testing.assert_array_equal(opened.ct.hu, ct.hu)
    np.testing.assert_array_equal(opened.label.labels, label.labels)


def test_a_stand_in_of_ones_own_data_is_pairs(tmp_path):
    cases = [draw_case(f"c{n}", ("lesion",), n, shape=(16, 18, 14)) for n in range(2)]
    found = find_labelled(write_own(tmp_path, cases))
    assert (found.layout, len(found.cases), found.problems) == (Layout.PAIRS, 2, ())
    opened = found.read(found.cases[1])
    np.testing.assert_array_equal(opened.ct.hu, cases[1].ct.hu)
    np.testing.assert_array_equal(opened.label.labels, cases[1].label.labels)


def test_packed_and_plain_files_are_the_same_name(tmp_path):
    write_pairs(tmp_path, 1)
    ct, _ = annotated(0)
    (tmp_path / "images" / "case_0.nii.gz").unlink()
    write_volume(tmp_path / "images" / "case_0.nii", ct)
    assert ids(find_labelled(tmp_path)) == ["case_0"]


def test_nnunets_layout_tells_its_classes(tmp_path):
    found = find_labelled(write_nnunet(tmp_path, labels={"background": 0, "dense": 1, "airy": 3, "ignore": 4}))
    assert (found.layout, ids(found)) == (Layout.NNUNET, ["case_0", "case_1"])
    assert (found.names, found.ignore, found.problems) == ({1: "dense", 3: "airy"}, 4, ())


def test_the_first_nnunet_wrote_labels_the_other_way_round(tmp_path):
    found = find_labelled(write_nnunet(tmp_path, labels={"0": "background", "1": "dense", "3": "airy"}))
    assert found.names == {1: "dense", 3: "airy"}


def test_the_decathlons_files_have_no_channel(tmp_path):
    found = find_labelled(write_pairs(tmp_path, 2, images="imagesTr", labels="labelsTr"))
    assert (ids(found), found.problems) == (["case_0", "case_1"], ())
    assert "named after their values" in found.notes[0]


@pytest.mark.parametrize(
    ("labels", "says"),
    [({"whole": [1, 2]}, "region of several values"), (["a"], "must map names"), ({"a": 1, "b": 300}, "1 … 254")],
)
def test_a_dataset_json_that_says_something_else_is_a_problem(tmp_path, labels, says):
    assert says in " ".join(find_labelled(write_nnunet(tmp_path, labels=labels)).problems)


def test_several_channels_are_a_problem(tmp_path):
    write_nnunet(tmp_path, channel_names={"0": "CT", "1": "PET"})
    (tmp_path / "imagesTr" / "case_0_0001.nii.gz").write_bytes(b"")
    problems = " ".join(find_labelled(tmp_path).problems)
    assert "case_0: has channels 0000, 0001" in problems
    assert "2 channels (CT, PET)" in problems


def test_a_folder_for_each_case(tmp_path):
    found = find_labelled(write_folders(tmp_path))
    assert (found.layout, ids(found), found.problems) == (Layout.CASES, ["patient_0", "patient_1"], ())


def test_a_case_may_have_its_ct_as_dicom(tmp_path):
    write_folders(tmp_path, 1)
    folder = tmp_path / "patient_9"
    (folder / "ct").mkdir(parents=True)
    write_series(folder / "ct")
    write_labels(folder / "label.nii.gz", annotated(0)[1])
    found = find_labelled(tmp_path)
    assert found.cases[1].ct == folder / "ct"
    assert found.read(found.cases[1]).ct.hu.ndim == 3


def test_a_cohort_of_ours_is_one_class_a_type_and_one_patient_a_host(tmp_path):
    ct, organs = make_host()
    for index in range(2):
        case, _ = make_case_in(ct, organs, seed=index)
        write_case(tmp_path / "Liver" / "Tumor" / f"{index:06d}", case)
    found = find_labelled(tmp_path)
    assert (found.layout, found.names, found.problems) == (Layout.COHORT, {1: "liver_tumor"}, ())
    opened = found.read(found.cases[0])
    np.testing.assert_array_equal(opened.label.labels == 1, make_case_in(ct, organs, seed=0)[0].label.labels == 2)


def test_missing_partners_are_all_named_and_what_is_no_case_is_noted(tmp_path):
    write_pairs(tmp_path, 3)
    (tmp_path / "labels" / "case_0.nii.gz").unlink()
    (tmp_path / "images" / "case_2.nii.gz").unlink()
    (tmp_path / "images" / "readme.txt").write_text("hello")
    found = find_labelled(tmp_path)
    assert ids(found) == ["case_1"]
    assert [problem.split(":")[0] for problem in found.problems] == ["case_0", "case_2"]
    assert "readme.txt is no NIfTI file; left out" in found.notes[0]


def test_a_missing_folder_or_file_is_named(tmp_path):
    (tmp_path / "a" / "images").mkdir(parents=True)
    assert "labels is missing" in find_labelled(tmp_path / "a").problems[0]
    write_folders(tmp_path / "b", 2)
    (tmp_path / "b" / "patient_1" / "label.nii.gz").unlink()
    assert "has no label.nii.gz" in find_labelled(tmp_path / "b").problems[0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda root: root.rmdir(), "is no folder"),
        (lambda _: None, "it is empty. Looked for: images/"),
        (lambda root: (root / "notes.txt").write_text(""), "there are notes.txt"),
        (
            lambda root: [p.rename(root / p.name) for p in (write_folders(root / "x", 1) / "patient_0").iterdir()],
            "folder above",
        ),
        (lambda root: [(root / name).mkdir() for name in ("images", "labels")], "no case in it"),
    ],
)
def test_what_is_no_folder_of_cases_is_refused(tmp_path, make, says):
    root = tmp_path / "data"
    root.mkdir()
    make(root)
    with pytest.raises(StoreError, match=says):
        find_labelled(root)


def test_cases_of_one_patient_are_told_by_a_table(tmp_path):
    write_pairs(tmp_path, 3)
    (tmp_path / "patients.csv").write_text("case,patient\ncase_0,anna\ncase_2,anna\n")
    assert [case.patient for case in find_labelled(tmp_path).cases] == ["anna", "case_1", "anna"]
    (tmp_path / "patients.csv").write_text("case,patient\ncase_9,anna\n")
    assert "case_9" in find_labelled(tmp_path).problems[0]
    (tmp_path / "patients.csv").write_text("id;who\n1;2\n")
    with pytest.raises(StoreError, match="columns case and patient"):
        find_labelled(tmp_path)


def test_what_cannot_be_read_is_said_with_its_case(tmp_path):
    write_pairs(tmp_path, 1)
    path = tmp_path / "images" / "case_0.nii.gz"
    path.write_bytes(path.read_bytes()[:900])
    found = find_labelled(tmp_path)
    with pytest.raises(ReadError, match=r"case_0: .*truncated"):
        found.read(found.cases[0])


def test_classes_are_numbered_or_given_values():
    assert parse_classes("liver, tumour") == {1: "liver", 2: "tumour"}
    assert parse_classes("liver=1,tumour=3") == {1: "liver", 3: "tumour"}


@pytest.mark.parametrize("text", ["", "a,,b", "a=x", "a=1,b=1", "a,a", "a=0", "a=255", "none"])
def test_classes_that_make_no_sense_are_refused(text):
    with pytest.raises(ValueError, match=r"write liver|must differ"):
        parse_classes(text)


def test_labels_stay_as_they_are_on_disk(tmp_path):
    write_pairs(tmp_path, 1)
    label = annotated(0)[1]
    write_labels(tmp_path / "labels" / "case_0.nii.gz", LabelMap(labels=label.labels * np.uint8(7), grid=label.grid))
    found = find_labelled(tmp_path)
    assert set(np.unique(found.read(found.cases[0]).label.labels)) == {0, 7, 21}
    assert found.names == {}
