from dataclasses import replace

import pytest
from PIL import Image
from runs_made import TINY
from scans_made import FALSE_BOX, LESION_BOX, MASS, made_scan, seeing

from panlesion.bench import held_out
from panlesion.bench.held_out import NO_ORGAN, HeldOut, organs_of, read_rows, run_held_out, write_sheets
from panlesion.bench.held_out_scans import Split
from panlesion.ct.volume import LabelMap
from panlesion.errors import PanlesionError, PlacementError, StoreError
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.detection import components, tally
from panlesion.nets.classes import lesion_class, pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo

TYPES = (LesionType.LIVER_TUMOR, LesionType.LIVER_CYST)
PLAN = HeldOut(types=TYPES, per_type=2, lesion_free=2, validation_per_type=1, validation_lesion_free=1)


@pytest.fixture
def model():
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=5.0, patch_voxels=16)).eval()


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """Drawn scans are replaced by boxes; the network calls every lesion a cyst and sees a mass elsewhere."""
    seen = []

    def predict(_model, ct, overlap):
        seen.append(overlap)
        return seeing(ct, (LESION_BOX, lesion_class(LesionType.LIVER_CYST), 0.9), (FALSE_BOX, MASS, 0.6))

    monkeypatch.setattr(held_out, "make_scan", made_scan)
    monkeypatch.setattr(held_out, "find_lesions", predict)
    return seen


def test_what_is_found_missed_and_false(model, tmp_path):
    rows = run_held_out(model, PLAN, tmp_path)
    assert [row.id for row in rows] == [job.id for job in PLAN.jobs(5.0)]
    assert [row.split for row in rows] == [Split.VALIDATION] * 3 + [Split.TEST] * 6
    by_id = {row.id: row for row in rows}
    cyst, tumour = by_id["test_liver_cyst_001"], by_id["test_liver_tumor_000"]
    for row in (cyst, tumour):
        counts = tally([row.any])
        assert (counts.hits, counts.missed, counts.false) == (1, 0, 1)
        assert row.any.dice == pytest.approx(2 * 180 / (216 + 180 + 8))
        assert [one.type for one in row.findings] == ["liver_cyst", "other_mass"]
        assert row.organs == ("liver", "liver")
    assert cyst.named.dice == pytest.approx(2 * 180 / (216 + 180))
    assert tally([cyst.named]).false == 0
    assert (tumour.named.dice, tally([tumour.named]).missed) == (0, 1)
    healthy = by_id["test_healthy_000"]
    assert tally([healthy.any]).false == 2
    assert not healthy.named.parts


def test_what_is_there_is_not_run_again_and_a_larger_plan_goes_on(made, model, tmp_path):
    rows = run_held_out(model, replace(PLAN, per_type=1), tmp_path)
    said = len(made)
    told = []
    more = run_held_out(model, PLAN, tmp_path, watch=lambda *what: told.append(what))
    assert len(made) - said == 2
    assert told == [("test_liver_tumor_001", 0, 2), ("test_liver_cyst_001", 1, 2), ("done", 2, 2)]
    assert {row.id for row in rows} < {row.id for row in more}
    assert sorted(read_rows(tmp_path), key=lambda row: row.id) == sorted(more, key=lambda row: row.id)
    assert run_held_out(model, replace(PLAN, per_type=1), tmp_path) == rows


def test_a_run_that_was_killed_gives_the_same_rows(model, tmp_path):
    whole = run_held_out(model, PLAN, tmp_path / "whole", pictures=False)
    run_held_out(model, PLAN, tmp_path / "cut", pictures=False)
    path = tmp_path / "cut" / "results.jsonl"
    path.write_text(path.read_text()[:-700])
    assert run_held_out(model, PLAN, tmp_path / "cut", pictures=False) == whole


def test_rows_of_another_model_are_not_mixed(model, tmp_path):
    run_held_out(model, replace(PLAN, per_type=1), tmp_path, pictures=False)
    with pytest.raises(StoreError, match="another overlap"):
        run_held_out(model, replace(PLAN, overlap=0.5), tmp_path)
    model.unet.state_dict()["heads.0.weight"].add_(1)
    with pytest.raises(StoreError, match="another model"):
        run_held_out(model, PLAN, tmp_path)


def test_a_scan_that_cannot_be_made_ends_the_run_with_its_name(model, tmp_path, monkeypatch):
    def fail(_job):
        raise PlacementError("no room")

    monkeypatch.setattr(held_out, "make_scan", fail)
    with pytest.raises(PanlesionError, match=r"validation_liver_tumor_000 .*no room"):
        run_held_out(model, PLAN, tmp_path)


def height(path):
    with Image.open(path) as image:
        return image.height


def test_every_test_scan_is_on_a_sheet(model, tmp_path):
    rows = run_held_out(model, PLAN, tmp_path)
    lesions, free = write_sheets(tmp_path, rows, columns=2)
    assert (lesions.name, free.name) == ("lesions.png", "lesion_free.png")
    assert height(lesions) > 2 * height(tmp_path / "tiles" / "test_healthy_000.png") > height(free)
    assert write_sheets(tmp_path, []) == []


def test_organs_are_those_of_most_voxels():
    scan = made_scan(PLAN.jobs(5.0)[0])
    organs = scan.organs.labels.copy()
    organs[:8] = 0
    map_ = LabelMap(labels=organs, grid=scan.ct.grid)
    labels, count = components(scan.lesion)
    assert organs_of(labels, count, map_) == [NO_ORGAN]
    organs[:7] = 1
    assert organs_of(labels, count, LabelMap(labels=organs, grid=scan.ct.grid)) == ["spleen"]
    assert organs_of(labels * 0, 0, map_) == []
