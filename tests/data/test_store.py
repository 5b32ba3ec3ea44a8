import numpy as np
import pytest
from cases_made import make_case_in, make_host, write_delta_cohort

from panlesion.data.case import RECORD_FILE, write_case
from panlesion.data.store import CaseReader, StoredAs, iterate_cases, order_by_host
from panlesion.errors import StoreError
from panlesion.lesion.taxonomy import LesionType


def test_a_pasta_gen_folder_is_found_with_its_types(tmp_path):
    case, _ = make_case_in(*make_host())
    for folder in ("Liver/Tumor/b", "Liver/Tumor/a", "Kidney/Stone/c"):
        write_case(tmp_path / folder, case)
        (tmp_path / folder / RECORD_FILE).unlink()
    found = list(iterate_cases(tmp_path))
    assert [(case.id, case.type, case.complete) for case in found] == [
        ("c", LesionType.KIDNEY_STONE, True),
        ("a", LesionType.LIVER_TUMOR, True),
        ("b", LesionType.LIVER_TUMOR, True),
    ]


def test_the_type_is_known_from_any_level_of_the_folder(tmp_path):
    write_case(tmp_path / "Liver" / "Cyst" / "a", make_case_in(*make_host())[0])
    for root in (tmp_path, tmp_path / "Liver", tmp_path / "Liver" / "Cyst", tmp_path / "Liver" / "Cyst" / "a"):
        assert [case.type for case in iterate_cases(root)] == [LesionType.LIVER_CYST], root


def test_incomplete_cases_are_listed_with_what_they_lack(tmp_path):
    write_case(tmp_path / "Liver" / "Tumor" / "a", make_case_in(*make_host())[0])
    (tmp_path / "Liver" / "Tumor" / "a" / "img.nii.gz").unlink()
    (found,) = iterate_cases(tmp_path)
    assert found.missing == ("img.nii.gz",)
    with pytest.raises(StoreError, match=r"img\.nii\.gz is missing"):
        CaseReader(tmp_path).read(found)


def test_hosts_hidden_folders_and_stray_files_are_no_cases(tmp_path):
    write_delta_cohort(tmp_path)
    (tmp_path / "README.md").write_text("card")
    (tmp_path / "Liver" / "Tumor" / ".x.partial-1").mkdir()
    (tmp_path / "Liver" / "Tumor" / ".x.partial-1" / "type.json").write_text("{}")
    found = list(iterate_cases(tmp_path))
    assert [case.id for case in found] == ["liver_tumor_00000", "liver_tumor_00001"]
    assert {case.stored_as for case in found} == {StoredAs.DELTA}


def test_full_and_delta_cases_read_the_same(tmp_path):
    write_delta_cohort(tmp_path)
    reader = CaseReader(tmp_path)
    for number, found in enumerate(order_by_host(list(iterate_cases(tmp_path)))):
        expected, _ = make_case_in(*make_host(seed=number), seed=number)
        case = reader.read(found)
        assert np.array_equal(case.image.hu, expected.image.hu)
        assert np.array_equal(case.label.labels, expected.label.labels)
        assert np.array_equal(case.organs.labels, expected.organs.labels)


def test_a_delta_without_its_host_says_which(tmp_path):
    write_delta_cohort(tmp_path, hosts=("h1",))
    (tmp_path / "hosts" / "h1" / "ct.nii.gz").unlink()
    (found,) = iterate_cases(tmp_path)
    with pytest.raises(StoreError, match=r"h1.ct\.nii\.gz is missing"):
        CaseReader(tmp_path).read(found)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="is no folder"):
        list(iterate_cases(tmp_path / "nothing"))


@pytest.mark.realdata
def test_the_public_samples_are_found_but_lack_their_image(shared_data):
    found = list(iterate_cases(shared_data / "pastagen_samples"))
    assert [(case.id, case.missing) for case in found] == [("Bladder", ("img.nii.gz",)), ("Liver", ("img.nii.gz",))]
