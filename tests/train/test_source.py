import numpy as np
from blocks_made import NoiseBlocks

from panlesion.data.patches import open_block, write_block
from panlesion.train.augment import Augment
from panlesion.train.pool import BlockPool, Rotation
from panlesion.train.source import BlockSource, PoolSource


def same(a, b):
    return all(np.array_equal(a.arrays[name], b.arrays[name]) for name in a.arrays) and a.id == b.id


def test_pool_samples_follow_from_step_and_slot_alone(tmp_path):
    pool = BlockPool(tmp_path, NoiseBlocks(), workers=1)
    source = PoolSource(pool=pool, rotation=Rotation(patches=4, first=2), seed=3, batch=2, size=16)
    try:
        source.at_step(0)
        first = source.sample(0, 1)
        source.at_step(5)
        source.sample(5, 0)
        assert same(first, source.sample(0, 1))
    finally:
        pool.stop()
    assert first.arrays["image"].shape == (1, 16, 16, 16)
    assert first.arrays["targets"].shape == (2, 16, 16, 16)
    assert "host" not in first.id
    assert first.id.startswith("block ")


def test_cached_blocks_are_all_drawn(tmp_path):
    paths = [tmp_path / f"{n}.block" for n in range(3)]
    for n, path in enumerate(paths):
        write_block(path, NoiseBlocks()(n))
    source = BlockSource(blocks=[open_block(path) for path in paths], seed=0, batch=1, size=16, augment=Augment.none())
    ids = [source.sample(step, 0).id for step in range(60)]
    assert {one.split(" patch")[0] for one in ids} == {"block 0", "block 1", "block 2"}


def test_without_augmentation_a_sample_is_a_cut_of_the_stored_cube(tmp_path):
    write_block(tmp_path / "a.block", NoiseBlocks()(0))
    block = open_block(tmp_path / "a.block")
    source = BlockSource(blocks=[block], seed=0, batch=1, size=24, augment=Augment.none())
    sample = source.sample(0, 0)
    patch = int(sample.id.split("patch ")[1].split()[0])
    assert np.array_equal(sample.arrays["targets"], block.read(patch)[1])
