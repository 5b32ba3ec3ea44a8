import numpy as np
import pytest
from PIL import Image
from runs_made import TINY
from scans_made import FALSE_BOX, MASS, seeing

from panlesion.bench import untouched
from panlesion.bench.held_out_report import OperatingPoint
from panlesion.bench.untouched import SCANS, RealRow, check_files, findings_table, read_rows, run_untouched, table
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.organs import V2_LABELS
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.errors import StoreError
from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.classes import lesion_class, pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo

NODULE = (slice(8, 20), slice(8, 20), slice(8, 20))


@pytest.fixture
def root(tmp_path):
    """The three scans in their places: noise, in one a nodule of 12 voxels' side, in one a map of a single organ."""
    shape = (48, 40, 32)
    grid = standard_grid(shape, 2.5)
    hu = np.random.default_rng(0).normal(0, 300, shape).clip(-1000, 1500).astype(np.int16)
    nodule = np.zeros(shape, dtype=np.uint8)
    nodule[NODULE] = 1
    organs = np.full(shape, V2_LABELS["spleen"], dtype=np.uint8)
    for name in ("lidc_0314", "totalseg", "acrin_001"):
        (tmp_path / "data" / name).mkdir(parents=True)
        write_volume(tmp_path / "data" / name / "ct.nii.gz", Volume(hu=hu, grid=grid))
    write_labels(tmp_path / "data" / "lidc_0314" / "nodule.nii.gz", LabelMap(labels=nodule, grid=grid))
    write_labels(tmp_path / "data" / "totalseg" / "organs_v2.nii.gz", LabelMap(labels=organs, grid=grid))
    return tmp_path / "data"


@pytest.fixture
def model():
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=5.0, patch_voxels=16)).eval()


@pytest.fixture(autouse=True)
def predicted(monkeypatch):
    """The network finds the nodule, whose box is half as many voxels at 5 mm, and is surer of a mass elsewhere."""
    half = tuple(slice(side.start // 2, side.stop // 2) for side in NODULE)
    tumour = lesion_class(LesionType.LUNG_TUMOR)
    calls = []

    def predict(_model, ct, overlap):
        calls.append(overlap)
        return seeing(ct, (half, tumour, 0.7), (FALSE_BOX, MASS, 0.9))

    monkeypatch.setattr(untouched, "find_lesions", predict)
    return calls


def test_the_nodule_is_found_at_its_rank_and_the_rest_is_false(root, model, tmp_path):
    rows = run_untouched(root, model, tmp_path / "out")
    lidc, totalseg, acrin = rows
    assert (lidc.own_dice, lidc.inside) == (pytest.approx(1.0, abs=0.01), pytest.approx(0.7))
    assert (totalseg.own_dice, totalseg.inside) == (None, None)
    assert totalseg.places == ("spleen", "spleen")
    assert acrin.places == ("liver (predicted)", "liver (predicted)")
    head, cells = table(rows)
    by_name = {line[0]: dict(zip(head, line, strict=True)) for line in cells}
    assert by_name["lidc_0314"]["lesion"] == "found 1 of 1"
    assert by_name["lidc_0314"]["rank by certainty"] == "2 of 2"
    assert by_name["lidc_0314"]["types of the false positives"] == "other_mass 1"
    assert (by_name["totalseg"]["false positives"], by_name["totalseg"]["lesion"]) == ("2", "none known")
    assert by_name["acrin_001"]["their ml"] == f"{(216 + 8) * 0.125:.1f}"


def test_an_operating_point_can_lose_the_nodule_or_the_mass(root, model, tmp_path):
    rows = run_untouched(root, model, tmp_path / "out", scans=["lidc_0314"])
    head, cells = table(rows, OperatingPoint(least_ml=2.0))
    assert dict(zip(head, cells[0], strict=True))["rank by certainty"] == "1 of 1"
    lost = dict(zip(head, table(rows, OperatingPoint(least_score=0.8))[1][0], strict=True))
    assert (lost["lesion"], lost["Dice"], lost["rank by certainty"]) == ("found 0 of 1", "0.00", "")
    assert [line[1] for line in findings_table(rows[0])[1]] == ["other_mass", "lung_tumor"]
    assert [line[1] for line in findings_table(rows[0], OperatingPoint(least_ml=2.0))[1]] == ["lung_tumor"]


def test_rows_are_kept_and_pictures_written(root, model, predicted, tmp_path):
    rows = run_untouched(root, model, tmp_path / "out")
    again = run_untouched(root, model, tmp_path / "out")
    assert again == rows == read_rows(tmp_path / "out")
    assert len(predicted) == 3
    assert isinstance(again[0], RealRow)
    widths = []
    for name in SCANS:
        with Image.open(tmp_path / "out" / f"{name}_findings.png") as sheet:
            widths.append(sheet.width)
    assert widths[0] > widths[1] == widths[2]  # the nodule beside two findings


def test_missing_files_are_all_named_with_their_source(root):
    check_files(root)
    (root / "totalseg" / "organs_v2.nii.gz").unlink()
    (root / "lidc_0314" / "nodule.nii.gz").unlink()
    with pytest.raises(StoreError, match=r"lidc_0314/nodule.nii.gz \(LIDC-IDRI.*totalseg/organs_v2.nii.gz \(.*Get these"):
        check_files(root)
    check_files(root, ["acrin_001"])


def test_an_unknown_scan_is_refused(root, model, tmp_path):
    with pytest.raises(ValueError, match=r"has lidc_9; there are lidc_0314"):
        run_untouched(root, model, tmp_path, scans=["lidc_9"])


@pytest.mark.realdata
def test_the_real_files_are_where_they_are_looked_for(shared_data):
    check_files(shared_data)
