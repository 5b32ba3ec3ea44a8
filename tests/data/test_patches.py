import errno
import os
import pickle
import sys
import time

import numpy as np
import pytest

from panlesion.data.patches import Block, open_block, write_block
from panlesion.data.publish import DiskFullError
from panlesion.errors import MissingExtraError, StoreError


def make_block(patches=3, size=12, groups=2, seed=0):
    rng = np.random.default_rng(seed)
    return Block(
        hu=rng.integers(-1024, 3000, (patches, size, size, size), dtype=np.int16),
        targets=rng.integers(0, 18, (patches, groups, size, size, size), dtype=np.uint8),
        rows=[{"case": f"c{n}", "type": None, "spec": {"diameter_mm": 8.5 + n}} for n in range(patches)],
    )


def test_what_is_written_is_read_patch_by_patch(tmp_path):
    block = make_block()
    write_block(tmp_path / "a.block", block)
    opened = pickle.loads(pickle.dumps(open_block(tmp_path / "a.block")))
    assert (len(opened), opened.groups, opened.size, list(opened.rows)) == (3, 2, 12, block.rows)
    for n in (2, 0, 1):
        hu, targets = opened.read(n)
        assert hu.dtype == np.int16 and targets.dtype == np.uint8 and hu.flags.writeable
        assert np.array_equal(hu, block.hu[n]) and np.array_equal(targets, block.targets[n])
    with pytest.raises(IndexError, match="patch 3"):
        opened.read(3)


def test_equal_blocks_give_equal_bytes_and_replace_the_old_file(tmp_path):
    for name in ("a.block", "b.block"):
        write_block(tmp_path / name, make_block(seed=9))
        write_block(tmp_path / name, make_block())
    assert (tmp_path / "a.block").read_bytes() == (tmp_path / "b.block").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.block", "b.block"]


def test_views_of_larger_arrays_are_stored_as_they_look(tmp_path):
    big = make_block(size=16)
    block = Block(hu=big.hu[:, ::2, 8:, 4:12], targets=big.targets[:, :, ::-2, :8, ::2], rows=big.rows)
    write_block(tmp_path / "a.block", block)
    hu, targets = open_block(tmp_path / "a.block").read(1)
    assert np.array_equal(hu, block.hu[1]) and np.array_equal(targets, block.targets[1])


def test_every_way_of_cutting_a_file_short_is_told(tmp_path):
    path = tmp_path / "a.block"
    write_block(path, make_block(size=8))
    whole = path.read_bytes()
    for length in (0, 5, 12, 21, 200, len(whole) // 2, len(whole) - 1, len(whole) + 1):
        path.write_bytes((whole + b"x")[:length])
        with pytest.raises(StoreError, match=r"a\.block"):
            open_block(path)


def test_one_changed_byte_anywhere_is_told(tmp_path):
    path = tmp_path / "a.block"
    write_block(path, make_block(patches=2, size=8))
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(StoreError, match=r"a\.block .*(damaged|begins with)"):
            opened = open_block(path)
            [opened.read(n) for n in range(2)]


def test_foreign_missing_and_vanished_files_are_named(tmp_path):
    (tmp_path / "a.block").write_bytes(b"\x9e\xa8b2frame\x00" + bytes(200))
    with pytest.raises(StoreError, match=r"begins with .* a block of patches begins with"):
        open_block(tmp_path / "a.block")
    with pytest.raises(StoreError, match="cannot be read"):
        open_block(tmp_path / "none.block")
    write_block(tmp_path / "a.block", make_block())
    opened = open_block(tmp_path / "a.block")
    (tmp_path / "a.block").unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        opened.read(0)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def no_room(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(DiskFullError, match=r"a\.block"):
        write_block(tmp_path / "a.block", make_block())
    assert list(tmp_path.iterdir()) == []


def test_rows_that_json_cannot_hold_are_refused_before_anything_is_written(tmp_path):
    block = make_block(patches=1)
    for value in (float("nan"), np.float32(1), {1, 2}):
        block.rows[0] = {"value": value}
        with pytest.raises(ValueError, match="JSON-able"):
            write_block(tmp_path / "a.block", block)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"hu": np.zeros((3, 8, 8, 8), np.int32)},
        {"hu": np.zeros((3, 8, 8, 9), np.int16)},
        {"targets": np.zeros((3, 8, 8, 8), np.uint8)},
        {"targets": np.zeros((2, 2, 8, 8, 8), np.uint8)},
        {"rows": [{}]},
    ],
)
def test_arrays_that_do_not_belong_together_are_no_block(change):
    good = {"hu": np.zeros((3, 8, 8, 8), np.int16), "targets": np.zeros((3, 2, 8, 8, 8), np.uint8), "rows": [{}, {}, {}]}
    Block(**good)
    with pytest.raises(ValueError, match="must be"):
        Block(**(good | change))


def test_without_blosc2_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "blosc2", None)
    with pytest.raises(MissingExtraError, match=r"panlesion\[model\]"):
        write_block(tmp_path / "a.block", make_block())


def test_a_patch_of_64_voxels_is_read_within_5_ms(tmp_path):
    rng = np.random.default_rng(0)
    hu = (rng.normal(0, 20, (2, 64, 64, 64)) + 40).astype(np.int16)
    targets = np.zeros((2, 2, 64, 64, 64), np.uint8)
    targets[:, 0, 20:40, 20:40, 20:40] = 5
    write_block(tmp_path / "a.block", Block(hu=hu, targets=targets, rows=[{}, {}]))
    opened, spent = open_block(tmp_path / "a.block"), []
    for n in range(20):
        start = time.thread_time()
        opened.read(n % 2)
        spent.append(time.thread_time() - start)
    assert np.median(spent) < 0.005
