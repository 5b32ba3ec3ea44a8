import pickle
from dataclasses import replace

import numpy as np
import pytest
from bench_sources_made import Tracked, made_case, made_source

from panlesion.bench.case_readers import SourceReader
from panlesion.bench.case_store import DONE, EMPTY, HU, INDEX, LeftOut, fill, opened, resampled, written
from panlesion.errors import StoreError

SETTINGS = {"task": "made"}


def cases(count=4):
    return (made_case(f"c{n}") for n in range(count))


def test_what_was_stored_comes_back_whole(tmp_path):
    store = fill(tmp_path, SETTINGS, cases())
    assert len(store) == 4
    for stored, given in zip(store, cases(), strict=True):
        assert (stored.id, stored.patient) == (given.id, given.patient)
        assert np.array_equal(stored.ct.hu, given.ct.hu)
        assert np.array_equal(stored.label.labels, given.label.labels)
        assert stored.ct.grid.same_as(given.ct.grid)
    assert [case.id for case in store.of(["c2", "c0", "nobody"])] == ["c2", "c0"]
    assert [case.id for case in store[1:3]] == ["c1", "c2"]


def test_hundreds_of_cases_never_sit_in_memory_together(tmp_path):
    tracked = Tracked()
    reader = SourceReader(source=made_source(300, tracked=tracked), keep=("tumor",))
    store = fill(tmp_path, SETTINGS, reader(tmp_path, spacing_mm=3.0))
    assert len(store) == 300
    # the one that is being read, and the one before it whose name is still bound
    assert tracked.most <= 2
    assert len(list((tmp_path).glob("*.bin"))) == 2
    case = store[299]
    assert not case.ct.hu.flags.owndata


def test_filling_goes_on_behind_what_is_there(tmp_path):
    def broken():
        yield from cases(2)
        raise StoreError("the disk is gone")

    with pytest.raises(StoreError, match="gone"):
        fill(tmp_path, SETTINGS, broken())
    with pytest.raises(StoreError, match="not filled to the end"):
        opened(tmp_path)
    with (tmp_path / HU).open("ab") as stream:  # voxels of a case that a kill left without its line
        stream.write(b"\0" * 7)
    assert written(tmp_path) == {"c0", "c1"}
    store = fill(tmp_path, SETTINGS, (case for case in cases() if case.id not in written(tmp_path)))
    assert [case.id for case in store] == ["c0", "c1", "c2", "c3"]
    assert np.array_equal(store[3].ct.hu, made_case("c3").ct.hu)


def test_a_filled_store_reads_nothing_again(tmp_path):
    fill(tmp_path, SETTINGS, cases())

    def never():
        raise AssertionError("read again")
        yield

    assert len(fill(tmp_path, SETTINGS, never())) == 4


def test_cases_without_the_lesion_are_left_out_and_listed(tmp_path):
    some = [made_case("c0"), made_case("c1", values=()), LeftOut(id="c2", patient="p", why="not annotated")]
    store = fill(tmp_path, SETTINGS, iter(some))
    assert [case.id for case in store] == ["c0"]
    assert [(one.id, one.left_out) for one in store.left_out] == [("c1", EMPTY), ("c2", "not annotated")]
    assert len(fill(tmp_path / "all", SETTINGS, iter(some[:2]), keep_empty=True)) == 2


def test_other_settings_and_doubled_names_are_refused(tmp_path):
    fill(tmp_path, SETTINGS, cases())
    with pytest.raises(StoreError, match="another task"):
        fill(tmp_path, {"task": "other"}, cases())
    with pytest.raises(StoreError, match="c0 occurs twice"):
        fill(tmp_path / "new", SETTINGS, iter([made_case("c0"), made_case("c0")]))


def test_a_file_that_lost_bytes_is_named(tmp_path):
    store = fill(tmp_path, SETTINGS, cases())
    (tmp_path / HU).write_bytes((tmp_path / HU).read_bytes()[:-2])
    with pytest.raises(StoreError, match=r"hu\.bin has \d+ bytes, its index says"):
        replace(store)[0]
    (tmp_path / DONE).unlink()
    with pytest.raises(StoreError, match=r"hu\.bin has"):
        fill(tmp_path, SETTINGS, cases())
    (tmp_path / INDEX).write_text('{"id": \n{}\n')
    with pytest.raises(StoreError, match="line 1 is damaged"):
        fill(tmp_path, SETTINGS, cases())


def test_a_store_goes_to_workers_without_its_maps(tmp_path):
    store = fill(tmp_path, SETTINGS, cases())
    first = store[0]
    again = pickle.loads(pickle.dumps(store))
    assert np.array_equal(again[0].ct.hu, first.ct.hu)
    assert len(pickle.dumps(store)) < first.ct.hu.nbytes


def test_a_store_at_another_spacing_holds_the_same_cases(tmp_path):
    store = fill(tmp_path / "a", SETTINGS, cases())
    coarse = resampled(store, tmp_path / "b", 6.0, SETTINGS)
    assert [case.id for case in coarse] == [case.id for case in store]
    assert coarse[0].ct.grid.spacing_mm == pytest.approx((6.0,) * 3)
    volume = [np.count_nonzero(one[0].label.labels > 0) * one[0].label.grid.voxel_ml for one in (store, coarse)]
    assert volume[1] == pytest.approx(volume[0], rel=0.2)
