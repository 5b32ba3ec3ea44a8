import gzip

import numpy as np
import pytest
from server_made import serve

from panlesion.aid.reads.masks import MaskError, pack, read_mask, same_label, unpack, with_planes, without, write_mask
from panlesion.aid.settings import Settings
from panlesion.errors import ReadError

SHAPE = (7, 5, 4)


@pytest.fixture
def labels():
    return np.random.default_rng(3).integers(0, 3, SHAPE).astype(np.uint8)


def test_a_kept_mask_is_gzip_of_bytes_with_i_fastest(labels):
    assert gzip.decompress(pack(labels)) == labels.tobytes(order="F")
    assert pack(labels) == pack(np.asfortranarray(labels))
    assert (unpack(pack(labels), SHAPE) == labels).all()
    assert gzip.decompress(pack(np.zeros(SHAPE, np.uint8))) == bytes(7 * 5 * 4)


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"", "end early"),
        (b"no gzip at all", "not gzip"),
        (gzip.compress(bytes(139), mtime=0), "139 bytes; 7x5x4 voxels have 140"),
        (gzip.compress(bytes(141), mtime=0), "more than the 140"),
        (gzip.compress(bytes(50_000_000), mtime=0), "more than the 140"),
        (gzip.compress(bytes(140), mtime=0)[:-3], "end early"),
        (gzip.compress(bytes(140), mtime=0) + b"more", "4 bytes follow"),
        (gzip.compress(bytes(140), mtime=0)[:20] + b"\xff" * 20, "not gzip|end early"),
    ],
)
def test_what_is_no_mask_of_this_size_is_refused(packed, says):
    with pytest.raises(MaskError, match=says):
        unpack(packed, SHAPE)


def test_a_bomb_is_not_unpacked():
    import tracemalloc

    bomb = gzip.compress(bytes(200_000_000))
    tracemalloc.start()
    with pytest.raises(MaskError, match="more than"):
        unpack(bomb, SHAPE)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_file_is_kept_for_each_version_and_a_damaged_one_is_told(tmp_path, labels):
    settings = Settings(data=tmp_path)
    study = serve(tmp_path).user("reader").id  # any id
    kept = [write_mask(settings, study, 1, labels) for _ in range(2)]
    assert kept[0] != kept[1] and kept[0].startswith(f"readings/{study}/mask-1-")
    assert (read_mask(settings, kept[0], SHAPE) == labels).all()
    (tmp_path / kept[0]).write_bytes(b"\x1f\x8b")
    with pytest.raises(ReadError, match="damaged"):
        read_mask(settings, kept[0], SHAPE)
    (tmp_path / kept[1]).unlink()
    with pytest.raises(ReadError, match="cannot be read"):
        read_mask(settings, kept[1], SHAPE)


def test_planes_are_put_in_and_only_labels_that_changed_are_told(labels):
    before = unpack(pack(labels), SHAPE)
    planes = labels[:, :, 1:3].copy(order="F")
    planes[planes == 2] = 7
    after, touched = with_planes(before, planes, 1, {1, 2, 7})
    assert touched == {2, 7}
    assert (after[:, :, 1:3] == planes).all() and (after[:, :, [0, 3]] == labels[:, :, [0, 3]]).all()
    assert (before == labels).all()
    assert with_planes(before, labels[:, :, 1:3], 1, {1, 2})[1] == frozenset()
    with pytest.raises(MaskError, match="label 7, which is no finding"):
        with_planes(before, planes, 1, {1, 2})


def test_labels_leave_and_are_compared(labels):
    mask = unpack(pack(labels), SHAPE)
    left = without(mask, {1})
    assert (left == np.where(labels == 1, 0, labels)).all()
    assert same_label(mask, left, 2) and not same_label(mask, left, 1)
