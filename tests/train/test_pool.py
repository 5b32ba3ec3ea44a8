import time

import pytest
from blocks_made import NumberBlocks

from panlesion.errors import TrainingError
from panlesion.train.pool import BlockPool, Rotation


@pytest.fixture
def pools():
    opened = []
    yield opened
    for pool in opened:
        pool.stop()


def make_pool(pools, folder, blocks, workers=1, ahead=2):
    pools.append(BlockPool(folder, blocks, workers=workers, ahead=ahead))
    return pools[-1]


def test_every_sample_comes_from_a_block_in_the_window():
    rotation = Rotation(patches=10, window=5, first=3, reuse=2.0)
    for sample in range(0, 400, 7):
        block, patch, _ = rotation.locate(1, sample)
        assert rotation.oldest(sample) <= block < rotation.newest(sample)
        assert rotation.newest(sample) - rotation.oldest(sample) <= 5
        assert 0 <= patch < 10


def test_a_sample_depends_on_seed_and_number_alone():
    rotation = Rotation(patches=10)
    a, b = rotation.locate(1, 99), rotation.locate(1, 99)
    assert a[:2] == b[:2]
    assert a[2].random() == b[2].random()
    assert {rotation.locate(1, n)[:2] for n in range(40)} != {rotation.locate(2, n)[:2] for n in range(40)}


def test_patches_are_used_as_often_as_asked_for():
    rotation = Rotation(patches=10, window=20, first=3, reuse=4.0)
    steady = [rotation.locate(0, n)[0] for n in range(2000, 10_000)]
    assert len(steady) / len(set(steady)) == pytest.approx(40, rel=0.15)


def test_blocks_are_made_ahead_in_order_and_old_ones_go(tmp_path, pools):
    pool = make_pool(pools, tmp_path, NumberBlocks(), workers=2)
    pool.advance(0, 3)
    assert [int(pool.open(n).read(1)[0][0, 0, 0]) for n in range(3)] == [0, 1, 2]
    pool.advance(2, 5)
    assert int(pool.open(4).read(0)[0].mean()) == 4
    names = {path.stem for path in tmp_path.glob("block_*")}
    assert "block_000000" not in names
    assert "block_000001" not in names


def test_producers_do_not_run_away(tmp_path, pools):
    pool = make_pool(pools, tmp_path, NumberBlocks(), ahead=2)
    pool.advance(0, 1)
    pool.open(2)
    time.sleep(0.8)
    assert len(list(tmp_path.glob("block_*"))) == 3


def test_a_failing_block_reaches_the_trainer_with_its_cause(tmp_path, pools):
    pool = make_pool(pools, tmp_path, NumberBlocks(bad=1))
    pool.advance(0, 1)
    pool.open(0)
    with pytest.raises(TrainingError, match=r"(?s)block 1: .*no such body"):
        pool.open(1)


def test_a_killed_producer_is_not_waited_for_forever(tmp_path, pools):
    pool = make_pool(pools, tmp_path, NumberBlocks(deadly=0))
    pool.advance(0, 3)
    with pytest.raises(TrainingError, match=r"exit codes \[-9\]"):
        pool.open(0)


def test_a_resumed_run_uses_the_blocks_that_are_there(tmp_path, pools):
    first = make_pool(pools, tmp_path, NumberBlocks())
    first.advance(0, 3)
    first.open(2)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("block_*") if path.stem <= "block_000002"}
    first.stop()
    again = make_pool(pools, tmp_path, NumberBlocks())
    again.advance(0, 3)
    again.open(2)
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_training_waits_for_its_first_blocks_and_says_how_far_they_are(tmp_path, pools):
    told = []
    pools.append(BlockPool(tmp_path, NumberBlocks(), workers=1, filling=lambda *at: told.append(at)))
    pools[-1].advance(2, 6)
    pools[-1].open(2)
    assert {wanted for _, wanted in told} == {4}
    assert told == sorted(told)
    assert told[-1] == (4, 4)
    assert {f"block_{n:06d}" for n in range(2, 6)} <= {path.stem for path in tmp_path.glob("block_*")}
    told.clear()
    pools[-1].advance(3, 8)
    pools[-1].open(7)
    assert not told
