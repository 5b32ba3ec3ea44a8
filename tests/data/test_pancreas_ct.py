import shutil

import numpy as np
import pytest
from sources_made import crop, relabel, tiny

from panlesion.ct.nifti import read_labels, write_labels
from panlesion.ct.standardise import restore
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.sources.pancreas_ct import PANCREAS_CT
from panlesion.data.standins.pancreas_ct import write_pancreas_ct
from panlesion.errors import ReadError, StoreError

LABELS = "TCIA_pancreas_labels-02-05-2017"


@pytest.fixture
def root(tmp_path):
    return write_pancreas_ct(tmp_path / "tree", tiny(PANCREAS_CT.classes))


def test_withdrawn_cases_are_passed_over_in_old_downloads_too(root):
    images = root / "Pancreas-CT"
    shutil.copytree(images / "PANCREAS_0001", images / "PANCREAS_0025", dirs_exist_ok=True)
    shutil.copytree(images / "PANCREAS_0002", images / "PANCREAS_0070")
    assert [case.id for case in PANCREAS_CT.find(root)] == ["PANCREAS_0001", "PANCREAS_0002"]


def test_placed_by_its_header_a_label_would_be_mirrored_front_to_back(root):
    read = PANCREAS_CT.read(PANCREAS_CT.find(root)[0])
    by_header = restore(read_labels(root / LABELS / "label0001.nii.gz"), read.ct.grid)
    np.testing.assert_array_equal(by_header.labels, read.label.labels[:, ::-1])
    assert (by_header.labels != read.label.labels).any()


@pytest.mark.parametrize("affine", [np.diag([0.7, 0.7, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])])
def test_whatever_the_header_says_the_array_counts(root, affine):
    path = root / LABELS / "label0001.nii.gz"
    before = PANCREAS_CT.read(PANCREAS_CT.find(root)[0])
    labels = read_labels(path).labels
    write_labels(path, LabelMap(labels=labels, grid=Grid(shape=labels.shape, affine=affine)))
    after = PANCREAS_CT.read(PANCREAS_CT.find(root)[0])
    np.testing.assert_array_equal(after.label.labels, before.label.labels)
    assert after.label.grid.same_as(after.ct.grid)


def test_images_and_labels_may_lie_deeper_or_side_by_side(root):
    expected = [case.id for case in PANCREAS_CT.find(root)]
    (root / "manifest-1").mkdir()
    shutil.move(root / "Pancreas-CT", root / "manifest-1" / "Pancreas-CT")
    assert [case.id for case in PANCREAS_CT.find(root)] == expected
    for path in (root / "manifest-1" / "Pancreas-CT").iterdir():
        shutil.move(path, root / path.name)
    for path in (root / LABELS).iterdir():
        shutil.move(path, root / path.name)
    assert [case.id for case in PANCREAS_CT.find(root)] == expected


def spoil_label(root):
    (root / LABELS / "label0002.nii.gz").unlink()


def spoil_image(root):
    shutil.rmtree(root / "Pancreas-CT" / "PANCREAS_0001")


def spoil_labels(root):
    shutil.rmtree(root / LABELS)


def spoil_images(root):
    shutil.rmtree(root / "Pancreas-CT")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_label, "no label for PANCREAS_0002"),
        (spoil_image, "no image for label0001.nii.gz"),
        (spoil_labels, r"holds no label\*.nii\*"),
        (spoil_images, r"holds no PANCREAS_\*"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        PANCREAS_CT.find(root)


def series(root):
    return root / "Pancreas-CT" / "PANCREAS_0001" / "study" / "series"


def spoil_slice(root):
    (series(root) / "1-004.dcm").unlink()


def spoil_last_slice(root):
    max(series(root).iterdir()).unlink()


def spoil_doubled(root):
    shutil.copytree(root / "Pancreas-CT" / "PANCREAS_0002" / "study", root / "Pancreas-CT" / "PANCREAS_0001" / "again")


def spoil_copied(root):
    shutil.copytree(series(root), series(root).parent / "copy")


def spoil_dicom(root):
    for path in series(root).iterdir():
        path.write_bytes(b"x" * 100)


def spoil_nothing_there(root):
    for path in series(root).iterdir():
        path.unlink()


def spoil_value(root):
    relabel(root / LABELS / "label0001.nii.gz", 6)


def spoil_shape(root):
    crop(root / LABELS / "label0001.nii.gz")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_slice, ""),
        (spoil_last_slice, "they must be equal"),
        (spoil_doubled, "2 CT series"),
        (spoil_copied, ""),
        (spoil_dicom, ""),
        (spoil_nothing_there, ""),
        (spoil_value, "label0001.nii.gz: label value 6; this set has 0 background, 1 pancreas"),
        (spoil_shape, r"label0001.nii.gz: \(14, 16, 11\) voxels, the DICOM in .*PANCREAS_0001 has \(14, 16, 12\)"),
    ],
)
def test_a_case_that_breaks_a_rule_is_refused_by_its_name(root, spoil, says):
    spoil(root)
    with pytest.raises(ReadError, match=rf"PANCREAS_0001: (.|\n)*{says}"):
        PANCREAS_CT.read(PANCREAS_CT.find(root)[0])
