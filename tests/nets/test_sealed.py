import pytest
import torch

from panlesion.errors import CheckpointError
from panlesion.nets.sealed import check_shapes, seal, unseal

FORMAT = "panlesion-refiner"


def opened(path, **given):
    return unseal(path, **({"format": FORMAT, "version": 1, "lacking": lambda _header: []} | given))


@pytest.fixture
def path(tmp_path):
    seal(tmp_path / "a.safetensors", {"format": FORMAT, "version": 1, "x": [1.5]}, {"w": torch.arange(3.0)})
    return tmp_path / "a.safetensors"


def test_what_was_sealed_comes_back(path):
    header, tensors = opened(path)
    assert header["x"] == [1.5]
    assert torch.equal(tensors["w"], torch.arange(3.0))


def test_equal_content_gives_equal_bytes(path, tmp_path):
    seal(tmp_path / "b", {"x": [1.5], "version": 1, "format": FORMAT}, {"w": torch.arange(3.0)})
    assert (tmp_path / "b").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"format": "panlesion-model"}, r"is a refiner .* but a network .* is wanted here"),
        ({"version": 2}, "format version 1, this panlesion reads 2"),
        ({"lacking": lambda _header: ["spacing_mm"]}, "lacks spacing_mm"),
    ],
)
def test_another_kind_of_file_is_told_by_its_name(path, given, words):
    with pytest.raises(CheckpointError, match=words):
        opened(path, **given)


def test_a_flipped_bit_anywhere_is_noticed(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="SHA-256"):
        opened(path)


def test_tensors_of_another_network_are_named(path):
    with pytest.raises(CheckpointError, match=r"w for one \(\(3,\) in the file, \(4,\) expected\)"):
        check_shapes(path, {"w": torch.zeros(4)}, {"w": torch.zeros(3)})


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="w holds values that are not finite"):
        seal(tmp_path / "a", {}, {"w": torch.tensor([float("nan")])})
    assert not list(tmp_path.iterdir())
