import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panlesion.ct.volume import Box
from panlesion.synth.crop import draw_crop


def boxes_in(shape, seed, count):
    rng = np.random.default_rng(seed)
    boxes = {}
    for label in range(1, count + 1):
        start = [int(rng.integers(0, n - 8)) for n in shape]
        stop = [int(rng.integers(a + 4, n + 1)) for a, n in zip(start, shape, strict=True)]
        boxes[label] = Box(start=tuple(start), stop=tuple(stop))
    return boxes


@given(
    shape=st.tuples(*[st.integers(20, 200)] * 3),
    size=st.integers(32, 120),
    count=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_the_crop_is_a_cube_that_keeps_a_fitting_organ_whole(shape, size, count, seed):
    boxes = boxes_in(shape, seed, count)
    volumes = {label: float(np.prod(box.shape)) for label, box in boxes.items()}
    crop = draw_crop(shape, boxes, volumes, size=size, rng=np.random.default_rng(seed))
    assert crop.shape == (size,) * 3
    for axis, n in enumerate(shape):
        if n > size:
            assert 0 <= crop.start[axis] <= n - size
        else:
            assert crop.start[axis] <= 0
            assert crop.stop[axis] >= n
    inside = [all(crop.start[a] <= box.start[a] and box.stop[a] <= crop.stop[a] for a in range(3)) for box in boxes.values()]
    together = [max(b.stop[a] for b in boxes.values()) - min(b.start[a] for b in boxes.values()) for a in range(3)]
    if max(together) <= size:
        assert all(inside)
    elif all(max(box.shape) <= size for box in boxes.values()):
        assert any(inside)


def test_the_same_generator_gives_the_same_crop_and_others_move_it():
    boxes = {5: Box(start=(80, 80, 80), stop=(120, 120, 120))}
    crops = [draw_crop((200, 200, 200), boxes, {5: 64.0}, size=64, rng=np.random.default_rng(seed)) for seed in (1, 1, 2, 3)]
    assert crops[0] == crops[1]
    assert len({crop.start for crop in crops}) == 3


@pytest.mark.parametrize("seed", range(5))
def test_of_organs_too_large_together_one_is_chosen(seed):
    boxes = {2: Box(start=(0, 50, 50), stop=(20, 70, 70)), 3: Box(start=(180, 50, 50), stop=(200, 70, 70))}
    crop = draw_crop((200, 120, 120), boxes, {2: 1.0, 3: 1.0}, size=64, rng=np.random.default_rng(seed))
    assert crop.start[0] == 0 or crop.stop[0] == 200
