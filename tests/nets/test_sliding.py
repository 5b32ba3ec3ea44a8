import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from panlesion.ct.intensity import to_network
from panlesion.ct.volume import Grid, Volume, standard_grid
from panlesion.errors import GeometryError
from panlesion.nets.classes import Classes, ClassGroup
from panlesion.nets.model import Intensity, Model, ModelInfo
from panlesion.nets.preset import Preset
from panlesion.nets.sliding import AIR_LOGIT, network_input, predict_logits, stream_logits

SIDE = 8


class Fake(Model):
    """A model whose network is a function of the window."""

    def __init__(self, function, **info):
        given = {
            "preset": Preset(name="tiny", channels=(2, 2), features_from=1),
            "classes": Classes(groups=(ClassGroup(name="a", classes=("none", "some")),)),
            "spacing_mm": 2.0,
            "patch_voxels": SIDE,
        }
        super().__init__(ModelInfo(**(given | info)))
        self.function = function
        self.seen = 0

    def forward(self, x):
        assert x.shape[2:] == (self.info.patch_voxels,) * 3
        self.seen += len(x)
        return self.function(x)


def pair(x):
    return torch.cat([x, 1 - x], dim=1)


SHAPES = [(8, 8, 8), (9, 17, 8), (3, 5, 2), (20, 1, 11), (13, 24, 7)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_a_network_that_copies_its_input_gives_back_every_voxel(shape, overlap):
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = predict_logits(Fake(pair), image, overlap=overlap)
    assert found.shape == (2, *shape)
    np.testing.assert_allclose(found, [image, 1 - image], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 23)] * 3),
    side=st.sampled_from([2, 4, 6, 8]),
    overlap=st.floats(0.0, 0.9),
    batch=st.integers(1, 5),
)
def test_every_voxel_is_predicted_whatever_shape_tile_and_overlap(shape, side, overlap, batch):
    image = np.random.default_rng(sum(shape)).random(shape, dtype=np.float32)
    network = Fake(lambda x: torch.cat([x, torch.full_like(x, -1.5)], dim=1), patch_voxels=side)
    found = predict_logits(network, image, overlap=overlap, batch=batch)
    np.testing.assert_allclose(found[0], image, atol=1e-5)
    np.testing.assert_allclose(found[1], -1.5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_network_gives_the_constant_up_to_the_last_plane(shape):
    found = predict_logits(Fake(lambda x: torch.full_like(x, 3.5)), np.zeros(shape, dtype=np.float32))
    np.testing.assert_allclose(found, 3.5, rtol=1e-6)


def test_what_lies_outside_the_image_is_0_after_the_map():
    sums = predict_logits(Fake(lambda x: x.sum(dim=(2, 3, 4), keepdim=True).expand_as(x)), np.ones((3, 4, 5), dtype=np.float32))
    np.testing.assert_allclose(sums, 60.0, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_batch_changes_nothing(batch):
    image = np.random.default_rng(1).random((13, 10, 19), dtype=np.float32)
    network = Fake(lambda x: (x - x.mean(dim=(2, 3, 4), keepdim=True)) ** 2)
    np.testing.assert_allclose(predict_logits(network, image, batch=batch), predict_logits(network, image), atol=1e-6)


@pytest.mark.parametrize("shape", [(21, 10, 13), (5, 30, 9)])
def test_it_agrees_with_monai(shape):
    from monai.inferers import sliding_window_inference

    image = np.random.default_rng(2).random(shape, dtype=np.float32)
    network = Fake(lambda x: torch.cat([x - x.mean(dim=(2, 3, 4), keepdim=True), x.cumsum(2)], dim=1))
    expected = sliding_window_inference(
        torch.from_numpy(image)[None, None], (SIDE,) * 3, 1, network, overlap=0.5, mode="gaussian", padding_mode="constant"
    )
    np.testing.assert_allclose(predict_logits(network, image), expected[0].numpy(), atol=1e-4)


def test_no_more_than_one_row_of_windows_is_held_and_planes_come_once_in_order():
    image = np.zeros((50, 8, 8), dtype=np.float32)
    firsts, planes = zip(*((first, part.shape[1]) for first, part in stream_logits(Fake(pair), image)), strict=True)
    assert list(firsts) == np.cumsum([0, *planes[:-1]]).tolist()
    assert sum(planes) == 50
    assert max(planes) <= SIDE


def test_only_what_the_caller_keeps_is_stored():
    image = np.random.default_rng(3).random((20, 9, 9), dtype=np.float32)
    kept = predict_logits(Fake(pair), image, reduce=lambda planes: planes.argmax(0, keepdim=True).to(torch.uint8))
    assert (kept.dtype, kept.shape) == (np.uint8, (1, 20, 9, 9))
    np.testing.assert_array_equal(kept[0], image < 0.5)


def test_progress_counts_windows_and_gradients_stay_on_for_the_caller():
    seen = []
    network = Fake(pair)
    for _ in stream_logits(network, np.zeros((12, 12, 8), dtype=np.float32), progress=lambda *n: seen.append(n)):
        assert torch.is_grad_enabled()
    assert seen == [(n, 4) for n in range(1, 5)]
    assert network.seen == 4


def test_a_ct_goes_through_the_models_own_intensity_map():
    hu = np.random.default_rng(4).integers(-1200, 1200, (9, 8, 10), dtype=np.int16)
    ct = Volume(hu=hu, grid=standard_grid(hu.shape, 2.0))
    np.testing.assert_allclose(predict_logits(Fake(pair), ct)[0], to_network(hu), atol=1e-5)
    window = Intensity(hu=(0.0, 100.0), network=(0.0, 1.0))
    expected = np.clip(hu / 100.0, 0, 1)
    np.testing.assert_allclose(predict_logits(Fake(pair, intensity=window), ct)[0], expected, atol=1e-5)
    np.testing.assert_allclose(network_input(hu, window), expected, atol=1e-6)


def test_several_channels_are_taken_from_an_array():
    image = np.random.default_rng(5).random((2, 9, 8, 10), dtype=np.float32)
    np.testing.assert_allclose(predict_logits(Fake(lambda x: x, in_channels=2), image), image, atol=1e-5)


@pytest.mark.parametrize("grid", [standard_grid((8, 8, 8), 1.0), Grid(shape=(8, 8, 8), affine=np.diag([2.0, 2.0, 2.0, 1.0]))])
def test_a_ct_of_another_spacing_or_orientation_is_refused(grid):
    with pytest.raises(GeometryError, match=r"standardise\(volume, 2\) first"):
        predict_logits(Fake(pair), Volume(hu=np.zeros((8, 8, 8), dtype=np.int16), grid=grid))


@pytest.mark.parametrize(
    ("image", "given", "words"),
    [
        (np.zeros((8, 8), dtype=np.float32), {}, "image is float32"),
        (np.zeros((8, 8, 8), dtype=np.int16), {}, "a Volume in HU"),
        (np.zeros((8, 8, 8), dtype=np.float32), {"overlap": 1.0}, "overlap"),
        (np.zeros((8, 8, 8), dtype=np.float32), {"batch": 0}, "batch"),
        (np.zeros((8, 8, 8), dtype=np.float32), {"body": np.ones((8, 8, 9), dtype=bool)}, "body is bool of shape"),
        (np.zeros((8, 8, 8), dtype=np.float32), {"body": np.ones((8, 8, 8))}, "body is float64"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(image, given, words):
    with pytest.raises(ValueError, match=words):
        predict_logits(Fake(pair), image, **given)


TWO_GROUPS = Classes(
    groups=(ClassGroup(name="a", classes=("none", "some")), ClassGroup(name="b", classes=("none", "this", "that")))
)


def five(x):
    return torch.cat([x, 1 - x, x.square(), -x, x - x.mean(dim=(2, 3, 4), keepdim=True)], dim=1)


def random_body(shape, seed):
    """A few boxes."""
    rng, body = np.random.default_rng(seed), np.zeros(shape, dtype=bool)
    for _ in range(2):
        start = [int(rng.integers(n)) for n in shape]
        body[tuple(slice(a, a + int(rng.integers(1, 9))) for a in start)] = True
    return body


@pytest.mark.parametrize("shape", [(40, 20, 30), (9, 33, 17), (3, 5, 40)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_windows_of_air_are_left_out_and_nothing_changes_in_the_body(shape, overlap):
    image, body = np.random.default_rng(6).random(shape, dtype=np.float32), random_body(shape, 7)
    counts, given = [], {"overlap": overlap, "batch": 3, "progress": lambda done, total: counts.append((done, total))}
    some, every = Fake(five, classes=TWO_GROUPS), Fake(five, classes=TWO_GROUPS)
    found = predict_logits(some, image, body=body, **given)
    np.testing.assert_array_equal(found[:, body], predict_logits(every, image, overlap=overlap, batch=3)[:, body])
    np.testing.assert_array_equal(found[:, ~body].T, np.tile([AIR_LOGIT, 0, AIR_LOGIT, 0, 0], ((~body).sum(), 1)))
    assert some.seen < every.seen
    assert counts[-1] == (some.seen, some.seen)


def test_a_volume_without_a_body_costs_nothing_and_is_background():
    network = Fake(five, classes=TWO_GROUPS)
    found = predict_logits(network, np.ones((20, 9, 8), dtype=np.float32), body=np.zeros((20, 9, 8), dtype=bool))
    assert network.seen == 0
    assert found.shape == (5, 20, 9, 8)
    assert not found[:2].argmax(0).any()
    assert not found[2:].argmax(0).any()
    everywhere = np.ones((20, 9, 8), dtype=bool)
    np.testing.assert_array_equal(
        predict_logits(network, np.ones((20, 9, 8), dtype=np.float32), body=everywhere),
        predict_logits(network, np.ones((20, 9, 8), dtype=np.float32)),
    )


def test_an_engine_runs_in_place_of_the_model():
    class Double:
        device = torch.device("cpu")

        def __call__(self, windows):
            return 2 * pair(windows)

    image, network = np.random.default_rng(8).random((13, 8, 9), dtype=np.float32), Fake(pair)
    np.testing.assert_allclose(predict_logits(network, image, engine=Double()), [2 * image, 2 - 2 * image], atol=1e-5)
    assert network.seen == 0


def test_planes_stay_what_they_were_when_the_next_come():
    image = np.random.default_rng(9).random((40, 9, 8), dtype=np.float32)
    kept = [planes for _, planes in stream_logits(Fake(pair), image)]
    np.testing.assert_allclose(torch.cat(kept, dim=1)[0], image, atol=1e-5)
