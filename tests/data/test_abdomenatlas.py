import numpy as np
import pytest
from sources_made import move, relabel, tiny

from panlesion.ct.nifti import read_labels, write_labels
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.abdomenatlas import ABDOMENATLAS, ABDOMENATLAS_LESION_FREE, LESION_FREE
from panlesion.data.standins.nifti import write_abdomenatlas
from panlesion.errors import ReadError, StoreError

COMBINED, MASKS = "BDMAP_00000001", "BDMAP_00000002"


@pytest.fixture
def root(tmp_path):
    return write_abdomenatlas(tmp_path, tiny(ABDOMENATLAS.classes))


def test_single_masks_say_what_one_label_map_says(root):
    case = ABDOMENATLAS.find(root)[1]
    from_masks = ABDOMENATLAS.read(case)
    write_labels(root / MASKS / "combined_labels.nii.gz", from_masks.label)
    from_map = ABDOMENATLAS.read(ABDOMENATLAS.find(root)[1])
    np.testing.assert_array_equal(from_masks.label.labels, from_map.label.labels)
    assert set(np.unique(from_map.label.labels)) == set(range(26))


def test_a_voxel_of_two_masks_belongs_to_the_later_class(root):
    liver, spleen = (root / MASKS / "segmentations" / f"{name}.nii.gz" for name in ("liver", "spleen"))
    both = LabelMap(
        labels=np.maximum(read_labels(liver).labels, read_labels(spleen).labels), grid=read_labels(liver).grid
    )  # fmt: skip
    write_labels(liver, both)
    read = ABDOMENATLAS.read(ABDOMENATLAS.find(root)[1])
    spleen_value = ABDOMENATLAS.classes.index("spleen") + 1
    assert (read.label.labels[read_labels(spleen).labels > 0] == spleen_value).all()


def test_the_first_nine_values_are_those_of_the_mini_version():
    assert ABDOMENATLAS.classes[:9] == (
        "aorta", "gall_bladder", "kidney_left", "kidney_right", "liver", "pancreas", "postcava", "spleen", "stomach",
    )  # fmt: skip
    assert ABDOMENATLAS.lesions == ()


def test_only_listed_cases_are_free_of_lesions(root):
    (root / LESION_FREE).write_text(f"case\n{MASKS}\n")
    assert [case.id for case in ABDOMENATLAS_LESION_FREE.find(root)] == [MASKS]
    assert [case.id for case in ABDOMENATLAS.find(root)] == [COMBINED, MASKS]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "lesion_free.csv is missing: nothing here tells"),
        ("case\nBDMAP_00000009\n", "names BDMAP_00000009, not there"),
        (f"case\n{MASKS}\n{MASKS}\n", "names a case twice"),
        ("case\n", "is empty"),
        (f"name\n{MASKS}\n", "column case"),
    ],
)
def test_a_list_that_lists_nothing_of_the_folder_is_refused(root, text, says):
    (root / LESION_FREE).unlink()
    if text is not None:
        (root / LESION_FREE).write_text(text)
    with pytest.raises(StoreError, match=says):
        ABDOMENATLAS_LESION_FREE.find(root)


def spoil_image(root):
    (root / MASKS / "ct.nii.gz").unlink()


def spoil_label(root):
    (root / COMBINED / "combined_labels.nii.gz").unlink()


def spoil_names(root):
    for path in (root / COMBINED, root / MASKS):
        path.rename(root / path.name.replace("0000000", ""))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_image, r"1 of 2 cases lack ct.nii.gz \(BDMAP_00000002\)"),
        (spoil_label, "BDMAP_00000001 has neither combined_labels.nii.gz nor segmentations/"),
        (spoil_names, "BDMAP_1, BDMAP_2 not named as the set names its cases"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        ABDOMENATLAS.find(root)


def masks(root):
    return root / MASKS / "segmentations"


def spoil_unknown(root):
    (masks(root) / "liver.nii.gz").rename(masks(root) / "liver_lesion.nii.gz")


def spoil_grid(root):
    move(masks(root) / "liver.nii.gz")


def spoil_all_grids(root):
    for path in masks(root).iterdir():
        move(path)


def spoil_empty(root):
    for path in masks(root).iterdir():
        path.unlink()


def spoil_value(root):
    relabel(masks(root) / "liver.nii.gz", 5)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_unknown, "masks liver_lesion; known are"),
        (spoil_grid, "liver.nii.gz: not on the grid of the other masks"),
        (spoil_all_grids, "mm apart"),
        (spoil_empty, "no mask in it"),
        (spoil_value, "liver.nii.gz: label value 5"),
    ],
)
def test_masks_that_break_a_rule_are_refused(root, spoil, says):
    case = ABDOMENATLAS.find(root)[1]
    spoil(root)
    with pytest.raises(ReadError, match=f"{MASKS}: .*{says}"):
        ABDOMENATLAS.read(case)


def test_a_value_above_25_is_refused(root):
    relabel(root / COMBINED / "combined_labels.nii.gz", 26)
    with pytest.raises(ReadError, match=f"{COMBINED}: .*label value 26"):
        list(ABDOMENATLAS.stream(root))
