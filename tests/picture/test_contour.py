import numpy as np
import pytest

from panlesion.ct.volume import standard_grid
from panlesion.picture.contour import LESION_COLOUR, ORGAN_COLOUR, outline, over
from panlesion.picture.planes import Plane, turn, whole


def disc_line(scale: float, radius_voxels: float = 12) -> np.ndarray:
    x, y = np.meshgrid(np.arange(40), np.arange(40), indexing="ij")
    mask = np.repeat((np.hypot(x - 20, y - 20) <= radius_voxels)[..., None], 3, axis=2)
    turned = turn(mask, standard_grid(mask.shape, 1.0))
    return outline(turned, whole(turned, Plane.AXIAL, (20.0, 20.0, 1.5)), scale)


def test_the_line_lies_on_the_boundary_of_the_mask():
    scale = 4.0
    rows, columns = np.nonzero(disc_line(scale) > 0.5)
    radius_mm = np.hypot((rows + 0.5) / scale - 20.5, (columns + 0.5) / scale - 20.5)
    # the disc's voxels end between 12 and 12 + half a voxel's diagonal from its centre
    assert radius_mm.min() > 11.4
    assert radius_mm.max() < 13.0


@pytest.mark.parametrize("scale", [1.0, 2.0, 4.0, 7.0])
def test_the_line_is_about_one_pixel_wide_at_every_scale(scale):
    length_px = 2 * np.pi * 12.4 * scale
    assert 0.9 < disc_line(scale).sum() / length_px < 1.7


def test_a_single_voxel_is_outlined_too():
    assert disc_line(4.0, radius_voxels=0).max() > 0.8


@pytest.mark.parametrize("filled", [False, True])
def test_nothing_is_drawn_where_there_is_no_boundary(filled):
    mask = turn(np.full((9, 9, 9), filled), standard_grid((9, 9, 9), 1.0))
    assert outline(mask, whole(mask, Plane.CORONAL, (4.0, 4.0, 4.0)), 3.0).max() == 0


def test_full_opacity_is_the_colour_and_none_leaves_the_picture():
    rgb = np.full((2, 2, 3), 77, dtype=np.uint8)
    opacity = np.array([[1, 0], [0, 0]], dtype=np.float32)
    mixed = over(rgb, opacity, LESION_COLOUR)
    assert tuple(mixed[0, 0]) == LESION_COLOUR
    assert (mixed[1] == 77).all()


def test_lesion_and_organ_differ_in_brightness_order_of_every_channel():
    # orange against sky blue: red falls while blue rises, so no colour blindness merges them
    assert LESION_COLOUR[0] - ORGAN_COLOUR[0] > 100
    assert ORGAN_COLOUR[2] - LESION_COLOUR[2] > 100
