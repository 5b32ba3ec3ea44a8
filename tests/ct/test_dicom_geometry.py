"""Slices that make one grid, and every way in which they do not."""

import numpy as np
import pytest
from dicom_making import AXIAL, SLICES, STEP_MM, body, place, write_series
from hypothesis import given, settings
from hypothesis import strategies as st

from panlesion.ct.dicom import read_dicom
from panlesion.ct.dicom_geometry import stack_planes
from panlesion.ct.dicom_header import Plane
from panlesion.ct.dicom_source import Source
from panlesion.errors import GeometryError


def turned(degrees_z: float, degrees_x: float) -> tuple[float, ...]:
    a, b = np.radians([degrees_z, degrees_x])
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = about_z @ about_x
    return tuple(np.round(np.concatenate([matrix[:, 0], matrix[:, 1]]), 6).tolist())


def plane(index: float, *, orientation=AXIAL, position=None, spacing=(2.5, 1.5)) -> Plane:
    name = f"slice{index}"
    return Plane(
        source=Source(name=name, path=None),
        frame=0,
        name=name,
        image_type=("ORIGINAL",),
        position_lps=tuple(place(index, orientation) if position is None else position),
        orientation=orientation,
        pixel_spacing_mm=spacing,
        thickness_mm=5.0,
        slope=1.0,
        intercept=0.0,
        rescale_type="HU",
    )


CORONAL, SAGITTAL, PRONE_FEET_FIRST = (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, -1, 0)


@pytest.mark.parametrize(
    ("orientation", "axes"),
    [(AXIAL, "LPS"), (CORONAL, "LIP"), (SAGITTAL, "PIR"), (PRONE_FEET_FIRST, "LAI"), (turned(10, 20), "LPS")],
)
def test_every_pixel_lies_where_dicom_says(orientation, axes):
    stack = stack_planes([plane(i, orientation=orientation) for i in (2, 0, 3, 1)], rows=24, columns=32)
    assert stack.grid.axes == axes
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    for k, one in enumerate(stack.planes):
        # DICOM PS3.3 C.7.6.2.1.1: position + row direction x column index x spacing between columns + …
        lps = np.array(one.position_lps) + row * 7 * 1.5 + column * 4 * 2.5
        np.testing.assert_allclose(stack.grid.to_xyz((7, 4, k)), lps * (-1, -1, 1), atol=2e-3)


@given(st.permutations(range(6)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_files_does_not_matter(order):
    stack = stack_planes([plane(i) for i in order], rows=4, columns=5)
    assert [one.name for one in stack.planes] == [f"slice{i}" for i in range(6)]


def test_an_oblique_series_is_read_and_keeps_its_voxels(tmp_path):
    write_series(tmp_path, orientation=turned(12, 5))
    volume = read_dicom(tmp_path).volume
    np.testing.assert_array_equal(volume.hu, body().transpose(2, 1, 0))
    assert volume.grid.spacing_mm == pytest.approx((1.5, 2.5, STEP_MM), abs=1e-3)


def test_positions_rounded_to_two_decimals_pass():
    planes = [plane(i, position=(0, 0, round(i * 0.625, 2))) for i in range(40)]
    assert stack_planes(planes, 4, 5).grid.spacing_mm[2] == pytest.approx(0.625, abs=1e-3)


def refused(planes, rule):
    with pytest.raises(GeometryError, match=rule):
        stack_planes(planes, rows=4, columns=5)


def test_a_missing_slice_is_refused_between_its_neighbours():
    refused([plane(i) for i in (0, 1, 2, 4, 5)], r"between slice2 .* and slice4 .*: 1 slice\(s\) missing")
    refused([plane(i) for i in (0, 1, 4, 5, 6)], r"2 slice\(s\) missing")


def test_a_duplicated_slice_is_refused():
    refused([plane(i) for i in (0, 1, 2, 2, 3)], "slice2 and slice2: duplicated slice")
    refused([plane(i) for i in (0, 1, 2, 0, 1, 2)], "3 such pairs")


@pytest.mark.parametrize(("off", "fine"), [(0.02, False), (0.008, True)])
def test_spacing_may_vary_by_one_per_cent(off, fine):
    planes = [plane(i) for i in (0, 1, 2 + off, 3, 4)]
    if fine:
        stack_planes(planes, 4, 5)
    else:
        refused(planes, r"uneven spacing: the gap is 3\.060 mm, the usual one 3\.000 mm \(limit 1%")


def test_a_tilted_gantry_is_refused_with_its_angle():
    refused([plane(i, position=(0, i * 3 * np.tan(np.radians(15)), i * 3.0)) for i in range(9)], "gantry tilt.*15.00 degrees")
    stack_planes([plane(i, position=(0, i * 3 * np.tan(np.radians(0.04)), i * 3.0)) for i in range(9)], 4, 5)


def test_one_slice_shifted_sideways_is_refused():
    planes = [plane(i, position=(4.0 if i == 3 else 0.0, 0, i * 3.0)) for i in range(9)]
    refused(planes, "slice3: shifted 4.00 mm sideways")


def test_mixed_orientations_and_pixel_spacings_are_refused():
    refused([plane(0), plane(1), plane(2, orientation=CORONAL)], "slice2: ImageOrientationPatient.*1 of 3 images are turned")
    refused([plane(0), plane(1), plane(2, spacing=(2.5, 2.5))], r"slice2: PixelSpacing \(2.5, 2.5\) against \(2.5, 1.5\)")
    refused([plane(0, spacing=(0.0, 0.0))], "must be positive")


def test_directions_that_are_not_perpendicular_unit_vectors_are_refused():
    refused([plane(0, orientation=(1, 0, 0, 0.5, 1, 0))], "perpendicular")
    refused([plane(0, orientation=(0, 0, 0, 0, 0, 0), position=(0, 0, 0))], "perpendicular")


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_missing_geometry_is_named_with_its_file(tmp_path, keyword):
    write_series(tmp_path, change=lambda index, ds: delattr(ds, keyword) if index == 4 else None)
    with pytest.raises(GeometryError, match=f"I{4 * 5 % SLICES:03d}: {keyword} missing"):
        read_dicom(tmp_path)


def test_a_single_slice_without_thickness_is_refused(tmp_path):
    write_series(tmp_path, change=lambda _, ds: delattr(ds, "SliceThickness"))
    with pytest.raises(GeometryError, match="without SliceThickness"):
        read_dicom(tmp_path / "I000")
