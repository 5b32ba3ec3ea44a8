import re
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from labelled_made import SHAPE, annotated, write_nnunet, write_pairs

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.data.sources import labelled_check
from panlesion.data.sources.labelled_check import UNKNOWN, LabelClasses, check_labelled, on_one_grid, prepared
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.labelled_folder import find_labelled
from panlesion.errors import StoreError


def check(root, names=None, spacing_mm=4.0, **options):
    return check_labelled(find_labelled(root), names=names or {}, spacing_mm=spacing_mm, **options)


def said(checked):
    return " | ".join(checked.problems)


def relabel(root, number, change):
    path = root / "labels" / f"case_{number}.nii.gz"
    label = annotated(number)[1]
    labels = label.labels.copy()
    write_labels(path, LabelMap(labels=np.asarray(change(labels), dtype=np.uint8), grid=label.grid))


def test_sound_cases_have_no_problem_and_values_with_gaps_become_classes(tmp_path):
    checked = check(write_pairs(tmp_path, 2))
    assert checked.problems == ()
    assert (checked.classes.names, checked.classes.values) == (("class_1", "class_3"), (1, 3))
    assert [case.values for case in checked.cases] == [(1, 3), (1, 3)]


def test_all_problems_are_listed_at_once(tmp_path):
    write_pairs(tmp_path, 6)
    ct, label = annotated(0)
    moved = label.grid.affine.copy()
    moved[0, 3] += 3
    write_labels(tmp_path / "labels" / "case_0.nii.gz", LabelMap(labels=label.labels, grid=Grid(shape=SHAPE, affine=moved)))
    relabel(tmp_path, 1, lambda labels: labels * 0)
    write_volume(
        tmp_path / "images" / "case_2.nii.gz", Volume(hu=np.clip(ct.hu, 0, 255).astype(np.int16), grid=annotated(2)[0].grid)
    )
    (tmp_path / "images" / "case_3.nii.gz").write_bytes(b"nothing")
    (tmp_path / "labels" / "case_4.nii.gz").unlink()
    small = LabelMap(labels=label.labels[:30], grid=Grid(shape=(30, *SHAPE[1:]), affine=label.grid.affine))
    write_labels(tmp_path / "labels" / "case_5.nii.gz", small)
    text = said(check(tmp_path))
    for part in (
        "case_0: CT and label lie 3.00 mm apart",
        "case_1: the label is all zero",
        "case_2: .*no value below 0",
        "case_3: .*no NIfTI",
        "case_4: .*no label of the same name",
        "case_5: the CT has 40 x 36 x 32 voxels, its label 30 x 36 x 32",
    ):
        assert re.search(part, text), part


def test_values_without_a_name_are_unexpected(tmp_path):
    assert "case_0: label value 3 unexpected; the classes are 0 background, 1 dense, 2 airy" in said(
        check(write_pairs(tmp_path, 1), {1: "dense", 2: "airy"})
    )


def test_the_names_of_the_folder_hold_unless_others_are_given(tmp_path):
    write_nnunet(tmp_path)
    assert check(tmp_path).classes.names == ("dense", "airy")
    assert check(tmp_path, {1: "a", 3: "b"}).classes.names == ("a", "b")


def test_a_class_in_no_label_is_a_problem(tmp_path):
    assert "cyst (value 7): in no label" in said(check(write_pairs(tmp_path, 1), {1: "dense", 3: "airy", 7: "cyst"}))


def test_fractions_are_no_labels(tmp_path):
    write_pairs(tmp_path, 1)
    label = annotated(0)[1]
    nib.save(nib.Nifti1Image(label.labels * np.float32(0.4), label.grid.affine), tmp_path / "labels" / "case_0.nii.gz")
    assert "case_0: " in said(check(tmp_path))
    assert "no whole number" in said(check(tmp_path))


def test_an_organ_map_is_not_taken_for_classes(tmp_path):
    write_pairs(tmp_path, 1)
    relabel(tmp_path, 0, lambda labels: np.arange(labels.size).reshape(labels.shape) // 1000)
    assert "different values: an organ map" in said(check(tmp_path, spacing_mm=2.0))


def test_a_healthy_ct_may_be_meant(tmp_path):
    write_pairs(tmp_path, 2)
    relabel(tmp_path, 1, lambda labels: labels * 0)
    assert check(tmp_path, allow_empty=True).problems == ()
    relabel(tmp_path, 0, lambda labels: labels * 0)
    assert "all labels are empty" in said(check(tmp_path, allow_empty=True))


def test_a_lesion_that_vanishes_at_the_spacing_is_a_problem_and_a_class_that_does_a_note(tmp_path):
    def dot(labels, value):
        labels[labels == value] = 0
        labels[20, 20, 20] = value
        return labels

    write_pairs(tmp_path, 2)
    relabel(tmp_path, 0, lambda labels: dot(labels * (labels == 1), 1))
    relabel(tmp_path, 1, lambda labels: dot(labels, 3))
    checked = check(tmp_path, {1: "dense"} | {3: "airy"})
    assert "case_0: nothing of the label is left at 4 mm" in said(checked)
    assert any("case_1: value 3 is smaller" in note for note in checked.notes)


def test_a_copy_of_a_ct_is_noticed(tmp_path):
    write_pairs(tmp_path, 1)
    for folder in ("images", "labels"):
        (tmp_path / folder / "copy.nii.gz").write_bytes((tmp_path / folder / "case_0.nii.gz").read_bytes())
    assert "copy: the same CT as case_0" in said(check(tmp_path))


def test_an_annotation_cut_by_the_edge_or_inside_out_is_noted(tmp_path):
    write_pairs(tmp_path, 2)
    relabel(tmp_path, 0, lambda labels: np.where(np.arange(SHAPE[0])[:, None, None] < 6, 1, labels))
    relabel(tmp_path, 1, lambda labels: 1 - np.minimum(labels, 1))
    notes = " | ".join(check(tmp_path).notes)
    assert "case_0: the annotation reaches the image's edge" in notes
    assert "case_1: the label covers 9" in notes


def test_a_volume_that_does_not_fit_in_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    write_pairs(tmp_path, 1)
    monkeypatch.setattr(labelled_check.psutil, "virtual_memory", lambda: SimpleNamespace(available=1e5))
    monkeypatch.setattr(type(find_labelled(tmp_path)), "read", lambda *_: pytest.fail("it was read"))
    assert "need about 0.0 GB of memory; 0.0 GB are free" in said(check(tmp_path))


def test_a_label_turned_against_its_ct_means_the_same_voxels():
    ct, label = annotated(3)
    affine = label.grid.affine.copy()
    affine[:, 3] = affine @ [SHAPE[0] - 1, 0, 0, 1]
    affine[:, 0] *= -1
    swapped = affine[:, [1, 0, 2, 3]]
    turned = np.ascontiguousarray(label.labels[::-1].transpose(1, 0, 2))
    other = LabelMap(labels=turned, grid=Grid(shape=turned.shape, affine=swapped))
    back = on_one_grid(LabelledCT(id="a", patient="a", ct=ct, label=other))
    np.testing.assert_array_equal(back.label.labels, label.labels)


def test_the_same_extent_with_other_voxels_is_another_grid():
    ct, label = annotated(0)
    affine = label.grid.affine.copy()
    affine[:3, :3] *= 1.1
    with pytest.raises(StoreError, match="apart"):
        on_one_grid(
            LabelledCT(id="a", patient="a", ct=ct, label=LabelMap(labels=label.labels, grid=Grid(shape=SHAPE, affine=affine)))
        )


def test_a_prepared_case_has_class_indices_and_unknown_voxels():
    ct, label = annotated(0)
    case = LabelledCT(id="a", patient="a", ct=ct, label=label)
    hu, target = prepared(case, LabelClasses(names=("airy",), values=(3,), ignore=1), 4.0)
    assert hu.shape == target.shape == (20, 18, 16)
    assert set(np.unique(target)) == {0, 1, UNKNOWN}
    assert hu[target == 1].mean() < hu[target == UNKNOWN].mean() - 100
