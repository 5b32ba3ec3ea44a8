import numpy as np
import pytest

from panlesion.ct.volume import Grid
from panlesion.picture.planes import Plane, View, cut, turn, turned_mm, whole

ORIENTATIONS = ["LPS", "RAS", "LAS", "PSL", "SAR", "IRP"]


def grid_of(axes: str, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float] = (1, 1, 1)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, axis in enumerate(axes):
        row = next(n for n, pair in enumerate(("LR", "PA", "IS")) if axis in pair)
        affine[row, column] = spacing_mm[column] if axis in "RAS" else -spacing_mm[column]
    return Grid(shape=shape, affine=affine)


def marked(axes: str, direction: str) -> tuple[np.ndarray, Grid]:
    """A cube whose outermost layer towards `direction` is bright."""
    array = np.zeros((9, 9, 9), dtype=np.int16)
    axis = next(n for n, code in enumerate(axes) if code in next(p for p in ("LR", "PA", "SI") if direction in p))
    array[(slice(None),) * axis + (-1 if axes[axis] == direction else 0,)] = 100
    return array, grid_of(axes, array.shape)


@pytest.mark.parametrize("axes", ORIENTATIONS)
@pytest.mark.parametrize(
    ("plane", "direction", "side"),
    [
        (Plane.AXIAL, "L", "right"),
        (Plane.AXIAL, "A", "top"),
        (Plane.CORONAL, "L", "right"),
        (Plane.CORONAL, "S", "top"),
        (Plane.SAGITTAL, "A", "left"),
        (Plane.SAGITTAL, "S", "top"),
    ],
)
def test_every_plane_is_shown_in_the_radiological_convention(axes, plane, direction, side):
    turned = turn(*marked(axes, direction))
    image = cut(turned, whole(turned, plane, (4.5, 4.5, 4.5)), 1.0, fill=0, smooth=False)
    edges = {"left": image[:, 0], "right": image[:, -1], "top": image[0], "bottom": image[-1]}
    assert edges[side].min() == 100
    assert image.sum() == pytest.approx(100 * 9)
    letters = dict(zip(("left", "right", "top", "bottom"), plane.letters, strict=True))
    assert letters[side] == direction


def test_millimetres_are_square_on_the_picture_whatever_the_voxels_are():
    ball = np.zeros((40, 20, 10), dtype=np.float32)
    grid = grid_of("LPS", ball.shape, (0.5, 1.0, 2.0))
    xyz = (np.stack(np.indices(ball.shape), -1) + 0.5) * (0.5, 1.0, 2.0) - 10
    ball[np.linalg.norm(xyz, axis=-1) < 6] = 1
    turned = turn(ball, grid)
    for plane in Plane:
        image = cut(turned, whole(turned, plane, (10.0, 10.0, 10.0)), 4.0, fill=0, smooth=False) > 0.5
        assert image.shape == (80, 80)
        assert image.any(axis=0).sum() == pytest.approx(48, abs=8)
        assert image.any(axis=1).sum() == pytest.approx(48, abs=8)


def test_a_view_that_leaves_the_array_is_filled():
    turned = turn(np.full((8, 8, 8), 50, dtype=np.int16), grid_of("LPS", (8, 8, 8)))
    view = View(plane=Plane.AXIAL, centre_mm=(0.0, 4.0, 4.0), width_mm=8.0, height_mm=8.0)
    image = cut(turned, view, 2.0, fill=-1000, smooth=True)
    assert image.shape == (16, 16)
    assert (image[:, :8] == -1000).all()
    assert (image[:, 8:] == 50).all()


def test_views_of_one_place_agree_between_scales():
    rng = np.random.default_rng(0)
    turned = turn(rng.normal(size=(12, 12, 12)).astype(np.float32), grid_of("RAS", (12, 12, 12)))
    view = View(plane=Plane.CORONAL, centre_mm=(6.0, 6.5, 7.0), width_mm=4.0, height_mm=4.0)
    all_of_it = cut(turned, whole(turned, Plane.CORONAL, (6.0, 6.5, 7.0)), 3.0, fill=0, smooth=False)
    part = cut(turned, view, 3.0, fill=0, smooth=False)
    # superior is up: z runs from 9 down to 5 mm, so the rows start at 12 - 9 = 3 mm
    np.testing.assert_allclose(part, all_of_it[9:21, 12:24], atol=1e-5)


@pytest.mark.parametrize("axes", ORIENTATIONS)
def test_a_voxel_is_found_again_in_the_turned_array(axes):
    spacing_mm = (1.0, 2.0, 0.5)
    array = np.zeros((5, 6, 7), dtype=np.int16)
    array[1, 4, 2] = 1
    grid = grid_of(axes, array.shape, spacing_mm)
    turned = turn(array, grid)
    place = (np.argwhere(turned.array)[0] + 0.5) * turned.spacing_mm
    assert turned_mm((1, 4, 2), grid) == pytest.approx(tuple(place))
