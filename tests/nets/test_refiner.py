import numpy as np
import pytest
import torch
from refiners_made import tiny_refiner, write_tiny_refiner

from panlesion.errors import CheckpointError
from panlesion.nets.checkpoint import load_model, save_checkpoint
from panlesion.nets.model import new_model
from panlesion.nets.refiner import Refiner, RefinerInfo, centre_of, from_refiner, load_refiner, save_refiner, to_refiner


def test_it_predicts_a_field_of_the_inputs_shape():
    refiner = tiny_refiner()
    assert refiner(torch.randn(2, 1, 8, 10, 12), torch.tensor([0.1, 0.2])).shape == (2, 1, 8, 10, 12)
    with pytest.raises(ValueError, match="divisible by 2"):
        refiner(torch.randn(1, 1, 8, 9, 8), torch.tensor([0.1]))


def test_the_time_matters():
    refiner, x = tiny_refiner(), torch.randn(1, 1, 8, 8, 8)
    assert not torch.allclose(refiner(x, torch.tensor([0.05])), refiner(x, torch.tensor([0.35])))


def test_far_voxels_do_not_matter():
    # no normalisation over the field, so that a tile's result is that of the whole
    refiner, x = tiny_refiner(), torch.randn(1, 1, 64, 8, 8)
    changed = x.clone()
    changed[:, :, 48:] += 5
    t = torch.tensor([0.2])
    torch.testing.assert_close(refiner(x, t)[:, :, :8], refiner(changed, t)[:, :, :8])


def test_it_is_small_enough_for_a_cpu():
    assert sum(p.numel() for p in Refiner(RefinerInfo(spacing_mm=1.0)).parameters()) < 1_000_000


@pytest.mark.parametrize("centre_hu", [-150.0, 40.0])
def test_the_map_of_hu_clips_nothing_and_can_be_undone(centre_hu):
    hu = np.arange(-1024, 3072, 7).astype(np.int16)
    x = to_refiner(hu, centre_hu, 100.0)
    assert np.all(np.diff(x) > 0)
    np.testing.assert_array_equal(np.rint(from_refiner(x, centre_hu, 100.0)), hu)


def test_the_map_is_centred_on_soft_tissue():
    assert [centre_of(hu) for hu in (-900, 30, 1200)] == [-150, 30, 250]


def test_what_was_saved_comes_back_without_drawing_a_number(tmp_path):
    refiner, path = tiny_refiner(), write_tiny_refiner(tmp_path)
    before = torch.get_rng_state()
    back, sha256 = load_refiner(path)
    assert torch.equal(before, torch.get_rng_state())
    assert (back.info, back.training, len(sha256)) == (refiner.info, False, 64)
    x, t = torch.randn(1, 1, 8, 8, 8), torch.tensor([0.2])
    assert torch.equal(back(x, t), refiner(x, t))
    assert load_refiner(write_tiny_refiner(tmp_path, seed=1))[1] != sha256


def test_a_network_is_no_refiner_and_a_refiner_no_network(tmp_path):
    save_checkpoint(tmp_path / "net.safetensors", new_model("nano", spacing_mm=2.5, patch_voxels=48))
    with pytest.raises(CheckpointError, match=r"net.safetensors is a network .* but a refiner .* is wanted here"):
        load_refiner(tmp_path / "net.safetensors")
    path = write_tiny_refiner(tmp_path)
    with pytest.raises(CheckpointError, match=r"is a refiner .* but a network .* is wanted here"):
        load_model(path)
    with pytest.raises(CheckpointError, match="is no file"):
        load_refiner(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"patch_voxels": 15}, "patch_voxels 15"), ({"channels": ()}, "channels"), ({"longest_t": 2.0}, "longest_t")],
)
def test_what_cannot_be_is_not_written(tmp_path, change, words):
    refiner = tiny_refiner()
    refiner.info = RefinerInfo(**({"spacing_mm": 1.0, "channels": (4, 8)} | change))
    with pytest.raises(ValueError, match=words):
        save_refiner(tmp_path / "r.safetensors", refiner)
