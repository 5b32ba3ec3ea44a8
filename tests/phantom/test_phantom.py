import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from panlesion.ct.nifti import read_labels, read_volume
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.phase import Phase
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.errors import StoreError
from panlesion.phantom import phantom as module
from panlesion.phantom.phantom import Phantom, make_phantom, save_phantom
from panlesion.phantom.tissue import Tissue


@dataclass(frozen=True)
class Physique:
    age: float


@dataclass(frozen=True)
class Body:
    physique: Physique
    liver_mm: float


def draw_body(rng, **_):
    return Body(physique=Physique(age=55.0), liver_mm=float(rng.uniform(28, 34)))


def torso_grid(_, spacing_mm):
    n = round(240 / spacing_mm)
    return standard_grid((n, n, n // 2), spacing_mm, (120.0, 120.0, -60.0))


def render_body(body, grid):
    """A cylinder of fat with an aorta, and a ball of liver on the patient's right; the rest is air."""
    xyz = grid.to_xyz(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    tissues = np.where(np.hypot(xyz[..., 0], xyz[..., 1]) < 100, Tissue.FAT, Tissue.AIR).astype(np.uint8)
    organs = np.zeros(grid.shape, dtype=np.uint8)
    for label, tissue, centre, radius in (
        ("liver", Tissue.LIVER, (45, 10, 0), body.liver_mm),
        ("aorta", Tissue.ARTERIAL_BLOOD, (-10, -40, 0), 14),
    ):
        ball = np.linalg.norm(xyz - centre, axis=-1) < radius
        tissues[ball], organs[ball] = tissue, V1_LABELS[label]
    return SimpleNamespace(tissues=tissues, organs=LabelMap(labels=organs, grid=grid))


@pytest.fixture
def simple_body(monkeypatch):
    """The painting is tested here on a body of three tissues; the real one has its own tests."""
    monkeypatch.setattr(module, "draw_body", draw_body)
    monkeypatch.setattr(module, "render_body", render_body)
    monkeypatch.setattr(module, "standard_grid_for", torso_grid)


def mean_of(phantom, organ):
    return phantom.ct.hu[phantom.organs.labels == V1_LABELS[organ]].mean()


@pytest.mark.usefixtures("simple_body")
def test_same_seed_same_bits_and_another_seed_another_patient():
    a, b, c = (make_phantom(seed, spacing_mm=4.0) for seed in (3, 3, 4))
    assert np.array_equal(a.ct.hu, b.ct.hu)
    assert np.array_equal(a.organs.labels, b.organs.labels)
    assert a.record == b.record
    assert not np.array_equal(a.ct.hu, c.ct.hu)


@pytest.mark.usefixtures("simple_body")
def test_the_record_is_json_and_names_what_was_drawn():
    record = json.loads(json.dumps(make_phantom(3, spacing_mm=4.0, phase=Phase.DELAYED).record))
    assert record["phase"] == "delayed"
    assert set(record) == {"kind", "seed", "phase", "grid", "body", "paint", "scanner"}


@pytest.mark.usefixtures("simple_body")
def test_the_phase_does_not_change_the_body():
    plain, arterial = (make_phantom(3, spacing_mm=4.0, phase=phase) for phase in (Phase.NON_CONTRAST, Phase.ARTERIAL))
    assert np.array_equal(plain.organs.labels, arterial.organs.labels)
    assert mean_of(arterial, "aorta") > mean_of(plain, "aorta") + 120


@pytest.mark.usefixtures("simple_body")
def test_arterial_portal_and_plain_aorta_come_in_order():
    means = [
        np.mean([mean_of(make_phantom(seed, spacing_mm=5.0, phase=phase), "aorta") for seed in range(3)])
        for phase in (Phase.ARTERIAL, Phase.PORTAL, Phase.NON_CONTRAST)
    ]
    assert means[0] > means[1] + 40
    assert means[1] > means[2] + 40


@pytest.mark.usefixtures("simple_body")
def test_a_box_lies_around_the_organ_asked_for():
    box = make_phantom(3, spacing_mm=3.0, shape=(30, 32, 20), centre="liver")
    assert box.ct.grid.shape == (30, 32, 20)
    assert box.ct.grid.axes == "LPS"
    found = np.argwhere(box.organs.labels == V1_LABELS["liver"])
    assert np.abs(found.mean(axis=0) - (np.array(box.ct.grid.shape) - 1) / 2).max() < 3
    at = make_phantom(3, spacing_mm=3.0, shape=(31, 31, 21), centre=(-10.0, -40.0, 0.0))
    assert at.organs.labels[15, 15, 10] == V1_LABELS["aorta"]


@pytest.mark.usefixtures("simple_body")
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"spacing_mm": 0.0}, "spacing_mm"),
        ({"shape": (280, 280, 2)}, "shape"),
        ({"centre": "liver"}, "centre"),
        ({"centre": "lever", "shape": (20, 20, 20)}, "centre"),
        ({"centre": "spleen", "shape": (20, 20, 20)}, "spleen"),
    ],
)
def test_impossible_arguments_are_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        make_phantom(1, **arguments)


def small_phantom():
    grid = standard_grid((8, 9, 10), 2.0)
    hu = np.arange(720, dtype=np.int16).reshape(grid.shape)
    organs = LabelMap(labels=(hu % 5).astype(np.uint8), grid=grid)
    return Phantom(ct=Volume(hu=hu, grid=grid), organs=organs, record={"seed": 1})


def test_a_host_folder_holds_ct_organs_and_record(tmp_path):
    phantom = small_phantom()
    folder = save_phantom(phantom, tmp_path / "hosts" / "a")
    assert sorted(path.name for path in folder.iterdir()) == ["ct.nii.gz", "organs.nii.gz", "record.json"]
    assert np.array_equal(read_volume(folder / "ct.nii.gz").hu, phantom.ct.hu)
    found = read_labels(folder / "organs.nii.gz")
    assert np.array_equal(found.labels, phantom.organs.labels)
    assert found.grid.same_as(phantom.organs.grid)


def test_a_host_folder_is_whole_or_absent(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(module, "write_labels", fail)
    with pytest.raises(StoreError, match="no space left"):
        save_phantom(small_phantom(), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path):
    folder = save_phantom(small_phantom(), tmp_path / "a")
    before = (folder / "record.json").stat().st_mtime_ns
    with pytest.raises(StoreError, match="exists already"):
        save_phantom(small_phantom(), folder)
    assert (folder / "record.json").stat().st_mtime_ns == before


def test_a_real_body_is_painted_as_its_record_says():
    phantom = make_phantom(11, spacing_mm=5.0, phase=Phase.ARTERIAL)
    hu = phantom.record["paint"]["hu"]
    assert mean_of(phantom, "spleen") == pytest.approx(hu[Tissue.SPLEEN], abs=25)
    assert mean_of(phantom, "aorta") > mean_of(phantom, "inferior_vena_cava") + 50
    assert mean_of(phantom, "lung_lower_lobe_left") < -650
    assert (phantom.ct.hu[[0, -1]] < -850).mean() > 0.95
    json.dumps(phantom.record, allow_nan=False)
