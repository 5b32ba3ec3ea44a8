import numpy as np
import pytest
from cases_made import LIVER, make_case_in, make_host
from hypothesis import given, settings
from hypothesis import strategies as st

from panlesion.ct.volume import Box, LabelMap, Volume
from panlesion.data.case import write_case
from panlesion.data.delta import DELTA_FILE, Delta, read_delta, restore_case, write_delta_case
from panlesion.errors import StoreError

LABELS = frozenset({LIVER})
CROPS = [
    Box(start=(0, 0, 0), stop=(30, 28, 26)),
    Box(start=(-4, 2, 0), stop=(28, 26, 30)),
]


def delta_of(ct, organs, crop):
    part, map_ = ct.crop(crop), organs.crop(crop)
    case, box = make_case_in(part, map_, crop=crop)
    delta = Delta.between("h1", part, map_, case=case, crop=crop, changed=box, organ_labels=LABELS)
    return delta, case


@pytest.mark.parametrize("crop", CROPS)
def test_a_restored_case_has_the_bytes_of_the_full_one(tmp_path, crop):
    ct, organs = make_host()
    delta, case = delta_of(ct, organs, crop)
    write_case(tmp_path / "full", case)
    write_delta_case(tmp_path / "delta", delta, case)
    write_case(tmp_path / "restored", restore_case(tmp_path / "delta", ct, organs))
    for file in (tmp_path / "full").iterdir():
        assert file.read_bytes() == (tmp_path / "restored" / file.name).read_bytes(), file.name


@given(start=st.tuples(*[st.integers(-12, 8)] * 3), seed=st.integers(0, 2**16))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_host_and_delta_make_the_case_for_any_crop_that_holds_the_change(start, seed):
    """Also where the crop leaves the host, and for any two of its voxel values."""
    ct, organs = make_host(seed)
    hu = np.random.default_rng(seed).integers(-32768, 32767, ct.grid.shape, dtype=np.int16, endpoint=True)
    crop = Box(start=start, stop=tuple(n + 4 for n in ct.grid.shape))
    part, map_ = Volume(hu=hu, grid=ct.grid).crop(crop), organs.crop(crop)
    case, box = make_case_in(part, map_, crop=crop, seed=seed)
    delta = Delta.between("h1", part, map_, case=case, crop=crop, changed=box, organ_labels=LABELS)
    image, label, changed = delta.restore(part, map_)
    assert np.array_equal(image.hu, case.image.hu)
    assert np.array_equal(label.labels, case.label.labels)
    assert np.array_equal(changed.labels, case.organs.labels)


def test_equal_deltas_give_equal_bytes(tmp_path):
    delta, case = delta_of(*make_host(), CROPS[0])
    for name in ("one", "two"):
        write_delta_case(tmp_path / name, delta, case)
    assert (tmp_path / "one" / DELTA_FILE).read_bytes() == (tmp_path / "two" / DELTA_FILE).read_bytes()


def test_the_lesion_is_found_in_the_changed_box():
    delta, case = delta_of(*make_host(), CROPS[0])
    assert np.array_equal(delta.lesion, case.label.labels[delta.changed.slices] == 2)


def test_extreme_differences_survive(tmp_path):
    ct, organs = make_host()
    hu = ct.hu.copy()
    hu[12, 12, 12] = 32767
    ct = Volume(hu=hu, grid=ct.grid)
    case, box = make_case_in(ct, organs)
    changed = case.image.hu.copy()
    changed[12, 12, 12] = -32768
    case = type(case)(
        image=Volume(hu=changed, grid=ct.grid), label=case.label, organs=case.organs, report=case.report, record=case.record
    )
    delta = Delta.between("h1", ct, organs, case=case, crop=CROPS[0], changed=box, organ_labels=LABELS)
    write_delta_case(tmp_path / "one", delta, case)
    assert restore_case(tmp_path / "one", ct, organs).image.hu[12, 12, 12] == -32768


def test_a_box_that_misses_a_change_is_refused():
    ct, organs = make_host()
    case, box = make_case_in(ct, organs)
    small = Box(start=box.start, stop=(box.stop[0] - 1, *box.stop[1:]))
    with pytest.raises(ValueError, match="outside"):
        Delta.between("h1", ct, organs, case=case, crop=CROPS[0], changed=small, organ_labels=LABELS)


def test_another_host_is_refused(tmp_path):
    delta, case = delta_of(*make_host(), CROPS[0])
    write_delta_case(tmp_path / "one", delta, case)
    ct, organs = make_host(seed=9)
    with pytest.raises(StoreError, match="h1 is not the one"):
        restore_case(tmp_path / "one", ct, organs)


def test_another_organ_map_is_refused(tmp_path):
    ct, organs = make_host()
    delta, case = delta_of(ct, organs, CROPS[0])
    write_delta_case(tmp_path / "one", delta, case)
    other = organs.labels.copy()
    other[0, 0, 0] = 7
    with pytest.raises(StoreError, match="not the one"):
        restore_case(tmp_path / "one", ct, LabelMap(labels=other, grid=organs.grid))


@pytest.mark.parametrize("damage", [b"", b"PK not a zip", None])
def test_a_damaged_file_is_named(tmp_path, damage):
    delta, case = delta_of(*make_host(), CROPS[0])
    write_delta_case(tmp_path / "one", delta, case)
    path = tmp_path / "one" / DELTA_FILE
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with pytest.raises(StoreError, match=r"delta\.npz"):
        read_delta(tmp_path / "one")
