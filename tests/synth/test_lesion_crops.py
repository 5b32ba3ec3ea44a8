from dataclasses import replace

import numpy as np
import pytest

from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import READINGS, Invasion, Surface
from panlesion.synth.lesion_crops import LesionCrops, known_readings
from panlesion.synth.plan import from_json

CROPS = LesionCrops(
    seed=4, types=(LesionType.LIVER_CYST, LesionType.KIDNEY_STONE), spacing_mm=(4.0, 4.0), size_voxels=24, scans=1,
    lesions_per_scan=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def block():
    return CROPS.make(0)


def test_a_block_has_the_crops_it_promises_each_with_its_lesion_in_the_middle(block):
    assert block.hu.shape == (CROPS.patches, 24, 24, 24)
    for mask in block.targets[:, 0]:
        where = np.argwhere(mask)
        assert len(where)
        assert np.abs((where.min(axis=0) + where.max(axis=0)) / 2 - 12).max() <= 1


def test_rows_say_what_the_plans_say_in_class_indices(block):
    assert {row["type"] for row in block.rows} == {"liver_cyst", "kidney_stone"}
    for row in block.rows:
        spec = from_json(row["plan"]).spec
        assert row["body"] == 0
        for name, index in row["attributes"].items():
            assert index is None or list(READINGS[name])[index] is getattr(spec, name)


def test_stones_have_no_relation(block):
    for row in block.rows:
        assert (row["attributes"]["invasion"] is None) or row["type"] == "liver_cyst"
    assert any(row["attributes"]["invasion"] is not None for row in block.rows)


def test_a_reading_that_the_voxels_contradict_is_unknown(block):
    from types import SimpleNamespace

    spec = from_json(next(row for row in block.rows if row["type"] == "liver_cyst")["plan"]).spec
    spec = replace(spec, surface=Surface.WELL_DEFINED, invasion=Invasion.CLOSE)
    seen = SimpleNamespace(**{name: getattr(spec, name) for name in READINGS} | {"surface": Surface.ILL_DEFINED})
    found = known_readings(SimpleNamespace(plan=SimpleNamespace(spec=spec)), SimpleNamespace(attributes=seen))
    assert found["surface"] is None
    assert found["invasion"] == list(Invasion).index(Invasion.CLOSE)
    assert found["shape"] == list(READINGS["shape"]).index(spec.shape)


def test_the_same_number_gives_the_same_block(block):
    again = CROPS.make(0)
    assert np.array_equal(again.hu, block.hu)
    assert again.rows == block.rows


def test_a_body_without_room_is_said(monkeypatch):
    def nowhere(*_, **__):
        raise PlacementError("no place")

    monkeypatch.setattr("panlesion.synth.lesion_crops.draw_lesion", nowhere)
    with pytest.raises(PlacementError, match="had room for 0 of 4 lesions"):
        CROPS.make(0)
