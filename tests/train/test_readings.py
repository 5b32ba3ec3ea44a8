import numpy as np
import pytest
import torch
from described_made import SHAPES, BallCrops
from runs_made import TINY, tiny_model

from panlesion.ct.intensity import to_network
from panlesion.data.patches import open_block, write_block
from panlesion.nets.heads import ATTRIBUTE_HEAD, attribute_head
from panlesion.nets.look import Look, Pooling
from panlesion.train.pool import BlockPool, Rotation
from panlesion.train.readings import (
    CropSource,
    Vectors,
    VectorSource,
    drawn_view,
    gather,
    labels_of,
    misdrawn,
    plain_view,
    reading_augment,
)  # fmt: skip
from panlesion.train.tasks.describe import UNKNOWN

LOOK = Look(spacing_mm=3.0, crop_voxels=16, pooling=(Pooling.LESION, Pooling.FORM), levels=(0, 1))


@pytest.fixture(scope="module")
def block(tmp_path_factory):
    path = tmp_path_factory.mktemp("blocks") / "block_000000.block"
    write_block(path, BallCrops().make(0))
    return open_block(path)


@pytest.fixture
def model():
    model = tiny_model()
    model.heads[ATTRIBUTE_HEAD] = attribute_head(TINY, LOOK)
    return model.eval()


def test_a_plain_view_is_the_middle_of_the_cube(block):
    hu, targets = block.read(0)
    view = plain_view(hu, targets[0], LOOK)
    assert view.dtype == np.float32
    assert np.allclose(view[0], to_network(hu[4:20, 4:20, 4:20]))
    assert np.array_equal(view[1], targets[0, 4:20, 4:20, 4:20])


def test_drawn_views_differ_and_follow_from_their_generator(block):
    hu, targets = block.read(0)
    views = [drawn_view(hu, targets[0], LOOK, reading_augment(), np.random.default_rng(n)) for n in (1, 1, 2)]
    assert np.array_equal(views[0], views[1])
    assert not np.array_equal(views[0], views[2])


def test_views_keep_what_is_read_of_a_lesion():
    ranges = reading_augment()
    changed = {name for name, chance in vars(ranges.host).items() if chance.p > 0}
    assert changed == {"offset_hu", "noise_hu"}
    assert not any(chance.p for chance in vars(ranges.tone).values())
    assert ranges.warp.scale.p == 0


def test_a_mask_is_misdrawn_by_one_voxel_but_never_away():
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[3:6, 3:6, 3:6] = True
    assert misdrawn(mask, larger=True).sum() == 27 + 6 * 9
    assert np.array_equal(misdrawn(mask, larger=False), mask)
    mask[2:7, 2:7, 2:7] = True
    assert misdrawn(mask, larger=False).sum() == 27


def test_labels_are_indices_or_unknown(block):
    labels = np.stack([labels_of(row) for row in block.rows])
    assert labels.shape == (6, 5)
    assert set(labels[:, 0]) <= set(SHAPES)
    assert set(labels[:, 2]) == {UNKNOWN}
    assert [label == UNKNOWN for label in labels[:, 4]] == [n % 3 == 0 for n in range(6)]


def test_the_first_gathered_view_is_plain_the_others_drawn(block, model):
    data, again = (gather(model, block, views=3, seed=(1, 2)) for _ in range(2))
    other = gather(model, block, views=3, seed=(1, 3))
    assert data.vectors.shape == (6, 3, LOOK.size(TINY))
    assert np.array_equal(data.vectors, again.vectors)
    assert np.array_equal(data.vectors[:, 0], other.vectors[:, 0])
    assert not np.array_equal(data.vectors[:, 1], other.vectors[:, 1])
    x = torch.from_numpy(plain_view(block.read(2)[0], block.read(2)[1][0], LOOK))[None]
    assert np.allclose(data.vectors[2, 0], LOOK.vector(model.unet, x).detach()[0].numpy(), atol=1e-5)
    assert np.array_equal(data.labels[2], labels_of(block.rows[2]))


def test_a_vector_comes_with_the_labels_of_its_lesion():
    data = Vectors(
        vectors=np.arange(10, dtype=np.float32)[:, None, None].repeat(2, axis=1), labels=np.arange(50).reshape(10, 5)
    )
    source = VectorSource(data=data, seed=3, batch=4)
    seen = set()
    for step in range(20):
        for slot in range(4):
            sample = source.sample(step, slot)
            assert sample.arrays["attributes"][0] == 5 * sample.arrays["image"][0]
            assert source.sample(step, slot).id == sample.id
            seen.add(sample.id)
    assert len(seen) > 15


def test_fresh_crops_come_from_a_pool(tmp_path):
    pool = BlockPool(tmp_path, BallCrops().make, workers=1, ahead=0)
    rotation = Rotation(patches=6, window=2, first=1)
    source = CropSource(pool=pool, rotation=rotation, seed=0, batch=2, look=LOOK)
    try:
        source.at_step(0)
        one, again = source.sample(0, 1), source.sample(0, 1)
    finally:
        pool.stop()
    assert one.arrays["image"].shape == (2, 16, 16, 16)
    assert one.arrays["attributes"].shape == (5,)
    assert np.array_equal(one.arrays["image"], again.arrays["image"])
    assert one.id.startswith("block 0 patch")
