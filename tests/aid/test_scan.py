import json

import numpy as np
import pytest
from dicom_made import read_series
from dicom_making import SLICES, body
from study_made import study_slice

from panlesion.aid.reads.scan import CT_FILE, GRID_FILE, grid_of, keep_scan, open_scan
from panlesion.ct.dicom import read_dicom
from panlesion.ct.read import read_ct_with_source
from panlesion.errors import ReadError


@pytest.fixture
def kept(tmp_path):
    images, folder = tmp_path / "images", tmp_path / "results"
    read_series(images)
    folder.mkdir()
    ct, source = read_ct_with_source(images)
    keep_scan(folder, ct, source)
    return images, folder, ct, source


def test_the_kept_ct_is_the_one_that_was_read_and_lies_as_planes(kept):
    images, folder, ct, source = kept
    opened = open_scan(folder, images, source.series_uid)
    assert (opened.hu == ct.hu).all() and opened.grid.same_as(ct.grid) and grid_of(folder).same_as(ct.grid)
    assert np.load(folder / CT_FILE).shape == ct.grid.shape[::-1]
    assert json.loads((folder / GRID_FILE).read_text())["sops"] == [one.sop_instance for one in source.slices]


@pytest.mark.parametrize("damage", [b"", b"no array", None, "short", "other"])
def test_a_ct_that_is_not_whole_is_made_again(kept, damage):
    images, folder, ct, source = kept
    path = folder / CT_FILE
    if damage is None:
        path.unlink()
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "other":
        np.save(path, np.zeros((3, 4, 5), np.int16))
    else:
        path.write_bytes(damage)
    assert (open_scan(folder, images, source.series_uid).hu == ct.hu).all()
    assert (np.load(path) == ct.hu.transpose(2, 1, 0)).all()


def test_images_that_are_no_longer_those_that_were_analysed_are_not_taken_for_them(kept, tmp_path):
    images, folder, _, _ = kept
    (folder / CT_FILE).unlink()
    other = read_series(tmp_path / "other")
    with pytest.raises(ReadError, match="no longer those"):
        open_scan(folder, tmp_path / "other", other.series_uid)
    next(images.iterdir()).unlink()
    with pytest.raises(ReadError):
        open_scan(folder, images, "1.2.3")


def test_an_image_that_came_later_is_no_part_of_what_is_read(kept):
    images, folder, ct, source = kept
    (folder / CT_FILE).unlink()
    late = study_slice(SLICES, study="1.2.3", series=source.series_uid, hu=body()[0])
    late.save_as(images / "late", enforce_file_format=True)
    assert read_dicom(images).volume.grid.shape[2] == SLICES + 1
    assert (open_scan(folder, images, source.series_uid).hu == ct.hu).all()


@pytest.mark.parametrize("text", ["", "{}", '{"shape": [1, 2]}', None])
def test_a_damaged_grid_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / GRID_FILE).write_text(text)
    with pytest.raises(ReadError, match=GRID_FILE):
        grid_of(tmp_path)
