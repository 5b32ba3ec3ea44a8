"""Organ maps of both TotalSegmentator versions, as one file or as a folder of masks."""

import numpy as np
import pytest

from panlesion.ct.nifti import read_grid, write_labels
from panlesion.ct.organ_files import OrganNumbering, read_organs
from panlesion.ct.organs import V1_LABELS, V1_NAMES, V2_LABELS
from panlesion.ct.volume import Grid, LabelMap
from panlesion.errors import OrganMapError, ReadError

GRID = Grid(shape=(12, 10, 8), affine=np.diag([-1.5, -1.5, 2.0, 1.0]))


def label_file(path, labels, grid=GRID):
    write_labels(path, LabelMap(labels=np.asarray(labels, np.uint8), grid=grid))
    return path


def blocks(**where) -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8)
    for name, part in where.items():
        labels[part] = V2_LABELS[name]
    return labels


def test_v1_labels_stay_as_they_are(tmp_path):
    labels = np.zeros(GRID.shape, np.uint8)
    labels.flat[: len(V1_NAMES)] = list(V1_NAMES)
    organs = read_organs(label_file(tmp_path / "o.nii.gz", labels), numbering="v1", like=GRID)
    np.testing.assert_array_equal(organs.labels, labels)


def test_v2_labels_are_translated_by_name(tmp_path):
    labels = blocks(liver=np.s_[:3], prostate=np.s_[3:5], kidney_cyst_left=np.s_[5:6], kidney_left=np.s_[6:8], heart=np.s_[8:9])
    organs = read_organs(label_file(tmp_path / "o.nii.gz", labels), numbering=OrganNumbering.V2)
    assert (organs.labels[:3] == V1_LABELS["liver"]).all()
    assert not organs.labels[3:5].any()
    assert (organs.labels[5:8] == V1_LABELS["kidney_left"]).all()
    assert (organs.labels[8] == V1_LABELS["heart_myocardium"]).all()


def test_a_folder_of_masks_equals_the_map_made_of_them(tmp_path):
    labels = blocks(liver=np.s_[:3], spleen=np.s_[4:6], aorta=np.s_[8:9], thyroid_gland=np.s_[10:])
    for name in ("liver", "spleen", "aorta", "thyroid_gland", "pancreas"):
        label_file(tmp_path / f"{name}.nii.gz", labels == V2_LABELS[name])
    (tmp_path / "statistics.json").write_text("{}")
    from_masks = read_organs(tmp_path, numbering="v2", like=GRID)
    from_map = read_organs(label_file(tmp_path / "map.nii.gz", labels), numbering="v2")
    np.testing.assert_array_equal(from_masks.labels, from_map.labels)


def test_v1_names_in_a_folder_work_too(tmp_path):
    label_file(tmp_path / "heart_ventricle_left.nii.gz", np.ones(GRID.shape))
    assert (read_organs(tmp_path, numbering="v1").labels == V1_LABELS["heart_ventricle_left"]).all()


def test_few_shared_voxels_stay_with_the_first_mask_and_many_are_refused(tmp_path):
    liver, stomach = np.zeros(GRID.shape), np.zeros(GRID.shape)
    liver[:8], stomach[8:] = 1, 1
    stomach[7, 0, :3] = 1
    label_file(tmp_path / "liver.nii.gz", liver)
    label_file(tmp_path / "stomach.nii.gz", stomach)
    np.testing.assert_array_equal(read_organs(tmp_path, numbering="v2").labels == V1_LABELS["liver"], liver > 0)
    stomach[6:8] = 1
    label_file(tmp_path / "stomach.nii.gz", stomach)
    with pytest.raises(OrganMapError, match=r"stomach.*also liver's"):
        read_organs(tmp_path, numbering="v2")


def test_labels_outside_the_numbering_are_refused(tmp_path):
    file = label_file(tmp_path / "o.nii.gz", np.full(GRID.shape, 117))
    with pytest.raises(OrganMapError, match=r"labels 117 are not in TotalSegmentator v1 numbering \(1 … 104\)"):
        read_organs(file, numbering="v1")


@pytest.mark.parametrize("label", [0, V2_LABELS["prostate"]])
def test_an_empty_map_is_refused(tmp_path, label):
    with pytest.raises(OrganMapError, match="empty"):
        read_organs(label_file(tmp_path / "o.nii.gz", np.full(GRID.shape, label)), numbering="v2")


def moved(affine_change=None, shape=GRID.shape):
    affine = GRID.affine.copy()
    if affine_change is not None:
        affine_change(affine)
    return Grid(shape=shape, affine=affine)


def shift(affine):
    affine[0, 3] += 3.0


def flip(affine):
    affine[0, 0] *= -1


def stretch(affine):
    affine[2, 2] = 2.5


@pytest.mark.parametrize(
    ("like", "difference"),
    [
        (moved(shift), "position, by up to 3.00 mm"),
        (moved(flip), "axes LPS against RPS"),
        (moved(stretch), r"spacing \[1.5, 1.5, 2.0\] against \[1.5, 1.5, 2.5\]"),
        (moved(shape=(12, 10, 9)), r"shape \(12, 10, 8\) against \(12, 10, 9\)"),
    ],
)
def test_another_grid_than_the_cts_is_refused_with_the_difference(tmp_path, like, difference):
    file = label_file(tmp_path / "o.nii.gz", np.ones(GRID.shape))
    with pytest.raises(OrganMapError, match=difference):
        read_organs(file, numbering="v1", like=like)


def test_masks_of_one_folder_must_share_a_grid(tmp_path):
    label_file(tmp_path / "liver.nii.gz", np.ones(GRID.shape))
    label_file(tmp_path / "spleen.nii.gz", np.ones(GRID.shape), moved(shift))
    with pytest.raises(OrganMapError, match=r"spleen.nii.gz: not on the grid of liver.nii.gz"):
        read_organs(tmp_path, numbering="v2")


def test_unknown_masks_label_maps_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(OrganMapError, match=r"no \.nii\.gz file"):
        read_organs(tmp_path, numbering="v2")
    label_file(tmp_path / "liver.nii.gz", np.random.default_rng(0).integers(0, 5, GRID.shape))
    with pytest.raises(OrganMapError, match="4 labels"):
        read_organs(tmp_path, numbering="v2")
    label_file(tmp_path / "ct.nii.gz", np.ones(GRID.shape))
    with pytest.raises(OrganMapError, match="unknown masks ct"):
        read_organs(tmp_path, numbering="v2")


def test_a_wrong_numbering_is_the_callers_mistake_and_a_missing_file_is_not(tmp_path):
    with pytest.raises(ValueError, match="v3"):
        read_organs(tmp_path, numbering="v3")
    with pytest.raises(ReadError, match="cannot be read"):
        read_organs(tmp_path / "none.nii.gz", numbering="v2")


@pytest.mark.realdata
def test_the_real_v2_map_lies_on_its_ct(shared_data):
    folder = shared_data / "totalseg"
    organs = read_organs(folder / "organs_v2.nii.gz", numbering="v2", like=read_grid(folder / "ct.nii.gz"))
    assert {V1_LABELS[name] for name in ("liver", "spleen", "kidney_left", "colon")} <= set(np.unique(organs.labels).tolist())


@pytest.mark.realdata
def test_a_real_v1_map_is_read_and_an_mr_map_does_not_fit_the_ct(shared_data):
    (map_file, *_) = sorted((shared_data / "pastagen_samples").rglob("total.nii.gz"))
    assert read_organs(map_file, numbering="v1").grid.axes == "LPS"
    folder = shared_data / "totalseg"
    with pytest.raises(OrganMapError, match="not on the grid"):
        read_organs(folder / "mr_organs.nii.gz", numbering="v2", like=read_grid(folder / "ct.nii.gz"))
