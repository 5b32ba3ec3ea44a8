import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panlesion.data.sources._polygons import even_odd, points_on

SHAPE = (40, 36)
IJ = np.indices(SHAPE).transpose(1, 2, 0).astype(float)


def circle(centre, radius, points=400):
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.array(centre) + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def by_winding(contour):
    """Bool (I, J): whether the turns of the contour around a point, added up as angles, are not none. An oracle of its own."""
    rays = contour[None, None] - IJ[:, :, None]
    angle = np.arctan2(rays[..., 1], rays[..., 0])
    steps = np.diff(np.concatenate([angle, angle[..., :1]], axis=-1), axis=-1)
    return np.abs(((steps + np.pi) % (2 * np.pi) - np.pi).sum(axis=-1)) > np.pi


@pytest.mark.parametrize(("centre", "radius"), [((19.3, 17.8), 11.2), ((5.1, 30.2), 4.6), ((20.5, 18.5), 0.8)])
def test_a_circle_encloses_the_points_nearer_than_its_radius(centre, radius):
    inside = np.linalg.norm(IJ - centre, axis=-1) < radius
    assert np.array_equal(even_odd([circle(centre, radius, 4000)], SHAPE), inside)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_a_star_is_filled_as_its_turns_say(seed, corners):
    rng = np.random.default_rng(seed)
    turn = np.sort(rng.uniform(0, 2 * np.pi, corners))
    if np.diff(np.append(turn, turn[0] + 2 * np.pi)).max() > 0.9 * np.pi:
        turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    star = rng.uniform(12, 24, 2) + rng.uniform(2, 15, corners)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    assert np.array_equal(even_odd([star], SHAPE), by_winding(star))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 45), st.integers(-5, 45)), min_size=3, max_size=9), st.integers(0, 8))
def test_winding_and_starting_point_do_not_matter(points, start):
    contour = np.array(points, dtype=float)
    filled = even_odd([contour], SHAPE)
    assert np.array_equal(even_odd([contour[::-1]], SHAPE), filled)
    assert np.array_equal(even_odd([np.roll(contour, start, axis=0)], SHAPE), filled)


def test_a_contour_inside_another_cuts_a_hole_and_one_inside_that_fills_an_island():
    rings = [circle((20.2, 18.3), radius, 4000) for radius in (14.1, 9.3, 4.2)]
    distance = np.linalg.norm(IJ - (20.2, 18.3), axis=-1)
    expected = (distance < 14.1) & ~(distance < 9.3) | (distance < 4.2)
    assert np.array_equal(even_odd(rings, SHAPE), expected)
    assert np.array_equal(even_odd(rings[::-1], SHAPE), expected)


@pytest.mark.parametrize("turned", [1, -1])
def test_a_keyhole_is_a_hole(turned):
    outer, inner = circle((20, 18), 14.5, 41), circle((21, 17), 6.5, 29)[::turned]
    keyhole = np.concatenate([outer, outer[:1], inner, inner[:1]])
    assert np.array_equal(even_odd([keyhole], SHAPE), even_odd([outer, inner], SHAPE))


@settings(max_examples=60, deadline=None)
@given(st.floats(3, 30), st.floats(3, 30), st.integers(0, 3))
def test_areas_that_share_a_line_share_no_point_and_lose_none(i, j, whole):
    i, j = (round(i) if whole & 1 else i), (round(j) if whole & 2 else j)
    quarters = [
        np.array([(a, b), (c, b), (c, d), (a, d)], dtype=float)
        for a, c in ((1, i), (i, 38)) for b, d in ((1, j), (j, 34))
    ]  # fmt: skip
    count = sum(even_odd([one], SHAPE).astype(int) for one in quarters)
    assert np.array_equal(count, even_odd([np.array([(1, 1), (38, 1), (38, 34), (1, 34)], dtype=float)], SHAPE))


def test_a_contour_that_leaves_the_grid_is_cut_at_its_edge():
    distance = np.linalg.norm(IJ - (-2.0, 17.9), axis=-1)
    assert np.array_equal(even_odd([circle((-2.0, 17.9), 12.3, 4000)], SHAPE), distance < 12.3)
    assert not even_odd([circle((-90.0, 17.9), 12.3)], SHAPE).any()
    assert even_odd([np.array([(-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6)])], SHAPE).all()


def test_points_on_a_line_are_those_it_passes_exactly():
    assert sorted(map(tuple, points_on([(0, 0), (4, 2), (4, 0)]).tolist())) == sorted(
        [(0, 0), (2, 1), (4, 2), (4, 1), (4, 0), (3, 0), (2, 0), (1, 0)]
    )
    assert points_on([(7, 3)]).tolist() == [[7, 3]]
