import numpy as np
import pytest

from panlesion.aid.reads import proposal
from panlesion.aid.reads.asking import NotInScanError
from panlesion.aid.reads.proposal import Looker, proposed
from panlesion.aid.schemas.reading import ProposeIn
from panlesion.ct.volume import Box, Grid, LabelMap, Volume
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.measure.overlap import dice
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import LESIONS
from panlesion.nets.engines import TorchEngine


@pytest.fixture(scope="module")
def looker():
    model = load_model("nano")
    return Looker(model=model, engine=TorchEngine(model, bf16=False))


@pytest.fixture(scope="module")
def patient():
    """A body of soft tissue, its axes not the network's, with two cysts (1, 2) in it."""
    grid = Grid(shape=(112, 96, 60), affine=np.array([[1.4, 0, 0, -80], [0, -1.4, 0, 60], [0, 0, 2.5, -70], [0, 0, 0, 1.0]]))
    i, j, k = np.indices(grid.shape)
    hu = np.full(grid.shape, -1000.0)
    hu[((i - 56) / 50) ** 2 + ((j - 48) / 42) ** 2 <= 1] = 90
    lesions = np.zeros(grid.shape, dtype=np.uint8)
    for number, (at, radius_mm) in enumerate((((40, 50, 30), 14.0), ((75, 45, 25), 9.0)), 1):
        away = [(axis - c) * mm for axis, c, mm in zip((i, j, k), at, grid.spacing_mm, strict=True)]
        lesions[np.linalg.norm(away, axis=0) <= radius_mm] = number
    hu[lesions > 0] = 8
    hu += np.random.default_rng(6).normal(0, 12, grid.shape)
    return Volume(hu=hu.astype(np.int16), grid=grid), LabelMap(labels=lesions, grid=grid)


def full(out, shape):
    mask = np.zeros(shape, dtype=bool)
    stop = tuple(a + n for a, n in zip(out.start_ijk, out.shape, strict=True))
    flat = np.repeat(np.arange(len(out.runs)) % 2 == 1, out.runs)
    mask[Box(start=out.start_ijk, stop=stop).slices] = flat.reshape(out.shape, order="F")
    return mask


def middle(mask):
    where = np.argwhere(mask)
    return tuple(where[np.linalg.norm(where - where.mean(axis=0), axis=1).argmin()].tolist())


@pytest.mark.parametrize("number", [1, 2])
def test_a_click_finds_the_lesion_it_is_in_on_the_cts_own_grid(looker, patient, number):
    ct, lesions = patient
    truth = lesions.labels == number
    out = proposed(looker, ct, ProposeIn(point_ijk=middle(truth)))
    assert dice(full(out, ct.grid.shape), truth) > 0.8
    assert out.type in looker.model.classes.group(LESIONS).classes and 0 <= out.probability <= 1


def test_a_box_holds_its_answer(looker, patient):
    ct, lesions = patient
    truth = lesions.labels == 2
    box = Box.of(truth).grown(2)
    mask = full(proposed(looker, ct, ProposeIn(box_ijk=(box.start, box.stop))), ct.grid.shape)
    inside = np.zeros_like(mask)
    inside[box.slices] = True
    assert not (mask & ~inside).any() and dice(mask, truth) > 0.8


@pytest.mark.parametrize("corner", [(0, 0, 0), (111, 95, 95), (0, 95, 40)])
def test_a_click_at_the_scans_edge_or_in_air_has_an_answer(looker, corner):
    rng = np.random.default_rng(2)
    grid = Grid(shape=(112, 96, 96), affine=np.diag([-0.9, 1.0, 1.1, 1.0]))
    ct = Volume(hu=rng.normal(-1000, 5, grid.shape).astype(np.int16), grid=grid)
    mask = full(proposed(looker, ct, ProposeIn(point_ijk=corner)), grid.shape)
    assert mask.any()


def test_a_scan_of_one_thick_plane_and_a_box_of_one_voxel_have_answers(looker):
    grid = Grid(shape=(64, 64, 1), affine=np.diag([1.0, 1.0, 5.0, 1.0]))
    hu = np.full(grid.shape, 60, np.int16)
    hu[20:40, 20:40] = 0
    ct = Volume(hu=hu, grid=grid)
    assert full(proposed(looker, ct, ProposeIn(point_ijk=(30, 30, 0))), grid.shape)[30, 30, 0]
    mask = full(proposed(looker, ct, ProposeIn(box_ijk=((5, 6, 0), (6, 7, 1)))), grid.shape)
    assert mask[5, 6, 0] and mask.sum() == 1


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"point_ijk": (1, 1, 1), "box_ijk": ((0, 0, 0), (1, 1, 1))},
        {"point_ijk": (-1, 0, 0)},
        {"point_ijk": (0, 0, 60)},
        {"box_ijk": ((0, 0, 0), (0, 1, 1))},
        {"box_ijk": ((5, 5, 5), (4, 6, 6))},
        {"box_ijk": ((0, 0, 0), (113, 1, 1))},
    ],
)
def test_what_is_not_in_the_scan_is_refused(looker, patient, told):
    with pytest.raises(NotInScanError):
        proposed(looker, patient[0], ProposeIn(**told))


def test_a_type_is_told_that_lives_where_the_outline_is(looker, patient, monkeypatch):
    ct, lesions = patient
    monkeypatch.setattr(proposal, "_organ", lambda *_: "liver")
    out = proposed(looker, ct, ProposeIn(point_ijk=middle(lesions.labels == 2)))
    assert out.type == "other_mass" or TYPES[LesionType(out.type)].system.value == "Liver"
