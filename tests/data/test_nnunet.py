import json

import numpy as np
import pytest
from labelled_made import write_folders, write_nnunet
from sources_made import relabel, tiny

from panlesion.ct.modality import Modality
from panlesion.data.sources.nnunet import nnunet_source
from panlesion.data.standins import nifti
from panlesion.errors import ReadError, StoreError


def test_values_become_classes_in_their_order(tmp_path):
    write_nnunet(tmp_path, 2, labels={"background": 0, "airy": 3, "dense": 1})
    source = nnunet_source(tmp_path, lesions={"airy"})
    assert (source.classes, source.lesions) == (("dense", "airy"), ("airy",))
    cases = list(source.stream(tmp_path))
    assert [case.id for case in cases] == ["case_0", "case_1"]
    assert all(set(np.unique(case.label.labels)) == {0, 1, 2} for case in cases)


def test_what_a_stand_in_writes_is_read_back(tmp_path):
    drawn = tiny(("liver", "tumor"))
    source = nnunet_source(nifti.write_nnunet(tmp_path, drawn, classes=("liver", "tumor")), id="mine")
    assert (source.id, source.lesions) == ("mine", source.classes)
    for read, original in zip(source.stream(tmp_path), drawn, strict=True):
        np.testing.assert_array_equal(read.label.labels, original.label.labels)
        np.testing.assert_array_equal(read.ct.hu, original.ct.hu)


def test_its_images_may_be_mr(tmp_path):
    nifti.write_nnunet(tmp_path, tiny(("liver",), 1, modality=Modality.MR), classes=("liver",))
    (read,) = nnunet_source(tmp_path, modality=Modality.MR).stream(tmp_path)
    assert read.ct.hu.max() == 1000


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"background": 0, "dense": 1, "airy": 3, "ignore": 4}, r"voxels to ignore \(value 4\)"),
        ({}, "names the classes"),
    ],
)
def test_what_a_source_cannot_tell_is_refused(tmp_path, labels, says):
    write_nnunet(tmp_path, 1, labels=labels)
    with pytest.raises(StoreError, match=says):
        nnunet_source(tmp_path)


def test_a_lesion_must_be_a_class(tmp_path):
    write_nnunet(tmp_path, 1)
    with pytest.raises(ValueError, match="lesions has tumor; the classes are dense, airy"):
        nnunet_source(tmp_path, lesions={"tumor"})


def test_a_missing_partner_is_a_problem_of_the_folder(tmp_path):
    source = nnunet_source(write_nnunet(tmp_path, 2))
    (tmp_path / "labelsTr" / "case_1.nii.gz").unlink()
    with pytest.raises(StoreError, match=r"case_1: .*has no label"):
        source.find(tmp_path)


def test_another_folder_must_name_the_same_classes(tmp_path):
    source = nnunet_source(write_nnunet(tmp_path / "a", 1))
    assert len(source.find(write_nnunet(tmp_path / "b", 1))) == 1
    with pytest.raises(StoreError, match="this source was made for"):
        source.find(write_nnunet(tmp_path / "c", 1, labels={"background": 0, "dense": 1}))


def test_a_value_without_a_name_is_refused(tmp_path):
    source = nnunet_source(write_nnunet(tmp_path, 1))
    relabel(tmp_path / "labelsTr" / "case_0.nii.gz", 2)
    with pytest.raises(ReadError, match=r"case_0: .*label value 2; this set has 0 background, 1 dense, 3 airy"):
        list(source.stream(tmp_path))


def test_other_layouts_serve_where_they_name_their_classes(tmp_path):
    write_folders(tmp_path)
    with pytest.raises(StoreError, match=r"no dataset.json names the classes"):
        nnunet_source(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "dense": 1, "airy": 3}}))
    assert len(list(nnunet_source(tmp_path).stream(tmp_path))) == 2
