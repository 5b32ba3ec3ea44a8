import numpy as np
import pytest
from cohorts_made import make_cohort
from PIL import Image
from typer.testing import CliRunner

from panlesion.cli.main import app
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap, Volume, standard_grid

runner = CliRunner()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture
def plain_ct(tmp_path):
    grid = standard_grid((40, 36, 32), 2.0)
    rng = np.random.default_rng(0)
    # what the reader takes for HU of a body: air around, soft tissue, fat and bone within
    hu = np.full(grid.shape, -1000, dtype=np.int16)
    hu[5:35, 5:31] = rng.integers(20, 70, (30, 26, 32), dtype=np.int16)
    hu[5:35, 5:8] = -100
    hu[18:24, 22:28] = 700
    mask = np.zeros(grid.shape, dtype=np.uint8)
    mask[10:16, 12:18, 12:18] = 1
    write_volume(tmp_path / "scan.nii.gz", Volume(hu=hu, grid=grid))
    write_labels(tmp_path / "mask.nii.gz", LabelMap(labels=mask, grid=grid))
    return tmp_path


def size_of(picture):
    with Image.open(picture) as image:
        return image.size


def run(*args):
    return runner.invoke(app, ["show", *map(str, args)])


@pytest.mark.parametrize("case", ["Liver/Tumor/000000", "Liver/Cyst/000000"])
def test_a_full_and_a_delta_case_become_a_sheet_with_healthy_columns(cohort, tmp_path, case):
    out = tmp_path / "case.png"
    result = run(cohort / case, "-o", out)
    assert result.exit_code == 0, result.output
    assert size_of(out) == (2096, 1096)


def test_a_foreign_case_without_record_is_shown_too(cohort, tmp_path):
    foreign = tmp_path / "Kidney" / "Cyst" / "7"
    foreign.mkdir(parents=True)
    for name in ("img.nii.gz", "label.nii.gz", "total.nii.gz", "type.json"):
        (foreign / name).write_bytes((cohort / "Liver" / "Tumor" / "000000" / name).read_bytes())
    out = tmp_path / "foreign.png"
    assert run(foreign, "-o", out).exit_code == 0
    assert size_of(out)[0] < 2096  # no healthy columns


def test_a_folder_of_cases_becomes_a_folder_of_sheets_the_first_of_every_type(cohort, tmp_path):
    result = run(cohort, "-o", tmp_path / "pictures", "--most", "2")
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["Liver_Cyst_000000.png", "Liver_Tumor_000000.png"]
    assert "2 pictures of 3" in result.output


def test_a_folder_of_cases_becomes_a_gallery(cohort, tmp_path):
    assert run(cohort, "--gallery", "-o", tmp_path / "g.html").exit_code == 0
    assert (tmp_path / "g.html").stat().st_size > 20_000


def test_a_plain_ct_is_shown_with_and_without_its_mask(plain_ct):
    for extra in ([], ["--mask", plain_ct / "mask.nii.gz", "--window", "40/300"]):
        out = plain_ct / f"{len(extra)}.png"
        result = run("--ct", plain_ct / "scan.nii.gz", *extra, "-o", out)
        assert result.exit_code == 0, result.output
        assert size_of(out)[1] > 500


def test_a_host_folder_is_shown_with_its_organs(cohort, tmp_path):
    result = run(cohort / "hosts" / "h1", "-o", tmp_path / "host.png")
    assert result.exit_code == 0, result.output
    assert size_of(tmp_path / "host.png")[1] > 800


def test_a_folder_of_hosts_becomes_a_folder_of_sheets(cohort, tmp_path):
    result = run(cohort / "hosts", "-o", tmp_path / "pictures")
    assert result.exit_code == 0, result.output
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["h1.png"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "either a case folder or --ct"),
        (["x", "--ct", "y"], "either a case folder or --ct"),
        (["x", "--mask", "y"], "--mask needs --ct"),
        (["x", "--window", "dark"], "centre/width"),
        (["x", "--lesion", "0"], "--lesion"),
    ],
)
def test_a_command_line_that_contradicts_itself_exits_with_2(args, words):
    result = run(*args)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.replace("│", " ").split())


def test_a_lesion_that_is_not_there_is_a_mistake_on_the_command_line(cohort):
    result = run(cohort / "Liver" / "Tumor" / "000000", "--lesion", "4")
    assert result.exit_code == 2
    assert "holds 1" in result.stderr


def test_a_folder_without_cases_is_an_error_of_the_data(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "no complete case" in result.stderr


def test_a_mask_of_another_grid_is_refused(plain_ct):
    grid = standard_grid((8, 8, 8), 2.0)
    write_labels(plain_ct / "other.nii.gz", LabelMap(labels=np.ones(grid.shape, dtype=np.uint8), grid=grid))
    result = run("--ct", plain_ct / "scan.nii.gz", "--mask", plain_ct / "other.nii.gz")
    assert result.exit_code == 1
    assert "on its CT's grid" in result.stderr


@pytest.mark.realdata
def test_a_real_nodule_is_bright_in_the_middle_of_its_close_ups(shared_data, tmp_path):
    folder = shared_data / "lidc_0314"
    out = tmp_path / "nodule.png"
    result = run("--ct", folder / "ct.nii.gz", "--mask", folder / "nodule.nii.gz", "--window", "lung", "-o", out)
    assert result.exit_code == 0, result.output
    with Image.open(out) as image:
        pixels = np.asarray(image.convert("L"))
    for row in range(3):
        y, x = 100 + 160 + row * 326, 24 + 160 + 326
        assert pixels[y - 20 : y + 20, x - 20 : x + 20].mean() > 200
