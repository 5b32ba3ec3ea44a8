import json
from dataclasses import replace

import numpy as np
import pytest
from cases_made import write_delta_cohort
from hosts_made import write_hosts

from panlesion.ct.nifti import read_labels, write_labels
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.errors import ReadError, StoreError, TrainingError
from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import anatomy_table, lesion_class
from panlesion.recipes.fresh_blocks import FreshBlocks
from panlesion.recipes.pretrain import STAGE_ONE, pretrain
from panlesion.recipes.real_data import CaseFolders, HostFolder, MixedBlocks, known_anatomy
from panlesion.train.losses import IGNORE

BLOCKS = FreshBlocks(
    seed=2, types=(LesionType.LIVER_CYST,), spacing_mm=(3.0, 3.0), size_voxels=24, scans=1, lesions_per_scan=2,
    masses_per_scan=1, healthy_per_scan=1, limb_share=1.0,
)  # fmt: skip
LIVER = int(anatomy_table()[5])


def quiet(_done, _all):
    """No progress is shown."""


@pytest.fixture
def hosts(tmp_path):
    write_hosts(tmp_path / "hosts", count=2)
    return HostFolder(path=tmp_path / "hosts")


def tiny(steps=1):
    recipe = STAGE_ONE["nano"](steps=steps, seed=4)
    return replace(recipe, blocks=BLOCKS, patch_voxels=16, fit=replace(recipe.fit, batch=2))


def test_only_air_and_fat_are_known_where_the_map_names_nothing():
    hu = np.full((12, 12, 12), 50, dtype=np.int16)
    hu[:4], hu[4:8] = -1000, -90
    organs = np.zeros(hu.shape, dtype=np.uint8)
    organs[10:] = 5
    grid = standard_grid(hu.shape, 2.0, (0.0, 0.0, 0.0))
    found = known_anatomy(Volume(hu=hu, grid=grid), LabelMap(labels=organs, grid=grid)).labels
    assert (found[[0, 1, 6]] == 0).all()
    assert (found[9] == IGNORE).all()
    assert (found[10:] == LIVER).all()


def test_prepared_hosts_are_kept_once(hosts, tmp_path):
    ids = hosts.prepare(tmp_path / "out", 2.0, quiet)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "hosts").rglob("*.nii.gz")}
    assert ids == ("h0", "h1")
    assert len(files) == 4
    hosts.prepare(tmp_path / "out", 2.0, quiet)
    assert files == {file: file.stat().st_mtime_ns for file in files}


def test_all_hosts_that_cannot_be_used_are_named_at_once(hosts, tmp_path):
    for name in ("h0", "h1"):
        path = hosts.path / name / "organs.nii.gz"
        organs = read_labels(path)
        write_labels(path, LabelMap(labels=np.zeros_like(organs.labels), grid=organs.grid))
    with pytest.raises(TrainingError, match=r"2 hosts of .*hosts cannot be used") as caught:
        hosts.prepare(tmp_path / "out", 2.0, quiet)
    assert "h0" in str(caught.value)
    assert "h1/organs.nii.gz: the organ map is empty" in str(caught.value)


def test_a_host_made_from_other_files_is_refused(hosts, tmp_path):
    hosts.prepare(tmp_path / "out", 2.0, quiet)
    with pytest.raises(TrainingError, match="h0 was made from other files"):
        hosts.prepare(tmp_path / "out", 1.5, quiet)


def test_what_a_recipe_says_of_hosts_follows_the_files_and_tells_no_path(hosts, tmp_path):
    before = hosts.find()[1]
    assert hosts.find()[1] == before
    (hosts.path / "h1" / "ct.nii.gz").write_bytes(b"another length")
    assert hosts.find()[1].sha256 != before.sha256
    assert before.words.startswith("2 real CTs with drawn lesions of the folder 'hosts'")
    assert str(tmp_path) not in before.words


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_out_of_range_is_refused(tmp_path, share):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        HostFolder(path=tmp_path, share=share)


def test_folders_without_anything_to_learn_from_are_refused(tmp_path):
    with pytest.raises(ReadError, match=str(tmp_path.name)):
        HostFolder(path=tmp_path).find()
    with pytest.raises(StoreError, match="holds no case"):
        CaseFolders(path=tmp_path).find()


def test_blocks_of_real_hosts_show_lesions_in_them_and_are_always_the_same(hosts, tmp_path):
    ids = hosts.prepare(tmp_path / "out", 2.0, quiet)
    mixed = MixedBlocks(drawn=BLOCKS, folder=tmp_path / "out" / "hosts", ids=ids, share=1.0)
    made, again = mixed.make(3), mixed.make(3)
    assert np.array_equal(made.hu, again.hu)
    assert np.array_equal(made.targets, again.targets)
    assert made.rows == again.rows
    assert {row["host"] for row in made.rows} <= {"h0", "h1"}
    lesion = made.targets[:, 1] == lesion_class(LesionType.LIVER_CYST)
    assert lesion.any()
    assert made.hu[lesion].mean() < 35 < made.hu[(made.targets[:, 0] == LIVER) & ~lesion].mean()


def test_a_share_of_the_blocks_is_real(hosts, tmp_path):
    ids = hosts.prepare(tmp_path / "out", 2.0, quiet)
    mixed = MixedBlocks(drawn=BLOCKS, folder=tmp_path / "out" / "hosts", ids=ids, share=0.5)
    real = [mixed.make(n).rows[0]["host"][0] == "h" for n in range(6)]
    assert set(real) == {True, False}


def test_patches_of_finished_cases_carry_their_type(tmp_path):
    write_delta_cohort(tmp_path / "cohort")
    data = CaseFolders(path=tmp_path / "cohort", patches=2, on_lesion=1.0)
    blocks = data.prepare(tmp_path / "out", size=16, spacing_mm=1.0, seed=0, preparing=quiet)
    targets = np.concatenate([block.read(n)[1][None] for block in blocks for n in range(len(block))])
    assert set(np.unique(targets[:, 1])) == {0, lesion_class(LesionType.LIVER_TUMOR)}
    assert LIVER in targets[:, 0]


def test_a_case_whose_type_nobody_can_tell_is_named(tmp_path):
    write_delta_cohort(tmp_path / "cohort")
    (tmp_path / "cohort" / "Liver" / "Tumor").rename(tmp_path / "cohort" / "Liver" / "Oddity")
    for record in (tmp_path / "cohort").rglob("*.json"):
        told = json.loads(record.read_text())
        if isinstance(told, dict) and told.pop("type", None) is not None:
            record.write_text(json.dumps(told))
    with pytest.raises(TrainingError, match=r"2 cases of .* cannot be used"):
        CaseFolders(path=tmp_path / "cohort").prepare(tmp_path / "out", size=16, spacing_mm=1.0, seed=0, preparing=quiet)


@pytest.mark.parametrize("kind", ["hosts", "cases"])
def test_a_run_on_the_users_data_says_so_in_its_checkpoint(tmp_path, kind):
    if kind == "hosts":
        write_hosts(tmp_path / "mine", count=1)
        data = HostFolder(path=tmp_path / "mine", share=1.0)
    else:
        write_delta_cohort(tmp_path / "mine")
        data = CaseFolders(path=tmp_path / "mine")
    pretrain(replace(tiny(), balance={}), tmp_path / "run", data=data)
    told = load_model(tmp_path / "run" / "model.safetensors").info.provenance["data"]
    assert "of the folder 'mine'" in told
    with pytest.raises(TrainingError, match=r"another recipe .*real"):
        pretrain(replace(tiny(), balance={}), tmp_path / "run")
