import numpy as np

from panlesion.phantom.anatomy.lattice import OUTSIDE_MM, Field, Lattice

POINTS = np.array([[-20.0, -10.0, 5.0], [30.0, 40.0, 60.0]])


def linear_field(lattice: Lattice) -> Field:
    i, j, k = lattice.axes_lps_mm()
    return Field(lattice=lattice, values=(0.5 * i[:, None, None] - j[:, None] + 2.0 * k).astype(np.float32))


def test_a_lattice_covers_its_points_and_sits_on_multiples_of_its_step():
    lattice = Lattice.covering(POINTS, 4.0, 2.5)
    for axis, along in enumerate(lattice.axes_lps_mm()):
        lps = POINTS[:, axis] * (-1, -1, 1)[axis]
        assert along[0] <= lps.min() - 4.0
        assert along[-1] >= lps.max() + 4.0
        np.testing.assert_allclose(np.round(along / 2.5) * 2.5, along)


def test_interpolation_is_exact_for_a_linear_field():
    field = linear_field(Lattice.covering(POINTS, 6.0, 3.0))
    finer = Lattice.covering(POINTS, 2.0, 1.25)
    np.testing.assert_allclose(field.on(finer), linear_field(finer).values, atol=1e-3)


def test_beyond_its_lattice_a_field_says_far_outside():
    small, large = Lattice.covering(POINTS, 0.0, 3.0), Lattice.covering(POINTS, 12.0, 3.0)
    values = linear_field(small).on(large)
    assert values[0, 0, 0] == OUTSIDE_MM
    assert (values[4:-4, 4:-4, 4:-4] == linear_field(small).values).all()
    assert (values[:4] == OUTSIDE_MM).all()


def test_a_window_holds_the_points_and_is_empty_elsewhere():
    lattice = Lattice.covering(POINTS, 0.0, 2.0)
    window = lattice.window(POINTS[:1], 3.0)
    for axis, (along, part) in enumerate(zip(lattice.axes_lps_mm(), window, strict=True)):
        lps = POINTS[0, axis] * (-1, -1, 1)[axis]
        assert along[part].min() <= lps <= along[part].max()
    assert np.zeros(lattice.shape)[lattice.window(POINTS[:1] + 500.0, 3.0)].size == 0
