"""NIfTI in and out: exact, reproducible, and safe on damaged files."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from panlesion.ct.nifti import read_grid, read_labels, read_volume, write_labels, write_volume
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.errors import GeometryError, NotCTError, OrganMapError, PanlesionError, ReadError

OBLIQUE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, -0.2, 0.3) @ np.diag([-0.7, 0.8, 2.5]), [12.5, -80.25, 33.0])


def volume(shape=(7, 6, 5), affine=OBLIQUE) -> Volume:
    hu = np.random.default_rng(3).integers(-1024, 3072, shape).astype(np.int16)
    return Volume(hu=hu, grid=Grid(shape=shape, affine=affine))


def foreign(path, array, affine=OBLIQUE, **fields):
    """A file as nibabel writes it, with header fields changed afterwards."""
    raw = nib.Nifti1Image(array, affine).to_bytes()
    header = nib.Nifti1Header(raw[:348], check=False)
    for key, value in fields.items():
        header[key] = value
    raw = header.binaryblock + raw[348:]
    path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else raw)
    return path


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_volume_comes_back_bit_for_bit(tmp_path, name, order):
    ct = volume()
    write_volume(tmp_path / name, Volume(hu=np.asarray(ct.hu, order=order), grid=ct.grid))
    back = read_volume(tmp_path / name)
    np.testing.assert_array_equal(back.hu, ct.hu)
    assert back.hu.flags.c_contiguous
    assert back.grid.same_as(ct.grid, 1e-4)
    assert read_grid(tmp_path / name).same_as(ct.grid, 1e-4)


def test_labels_come_back_bit_for_bit(tmp_path):
    labels = np.random.default_rng(0).integers(0, 256, (9, 4, 40)).astype(np.uint8)
    write_labels(tmp_path / "a.nii.gz", LabelMap(labels=labels, grid=Grid(shape=labels.shape, affine=OBLIQUE)))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.nii.gz").labels, labels)


def test_many_slabs_are_stitched_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("panlesion.ct.nifti._SLAB_BYTES", 200)
    ct = volume((7, 6, 23))
    write_volume(tmp_path / "ct.nii.gz", ct)
    np.testing.assert_array_equal(read_volume(tmp_path / "ct.nii.gz").hu, ct.hu)


def test_equal_volumes_give_equal_bytes(tmp_path):
    ct = volume()
    for name in ("a.nii.gz", "other.nii.gz"):
        write_volume(tmp_path / name, ct)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "other.nii.gz").read_bytes()


def test_other_programs_read_the_same_voxels_at_the_same_place(tmp_path):
    ct = volume()
    write_volume(tmp_path / "ct.nii.gz", ct)
    image = nib.load(tmp_path / "ct.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), ct.hu)
    assert image.get_data_dtype() == np.int16
    np.testing.assert_allclose(image.get_sform(), ct.grid.affine, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), ct.grid.affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_a_name_that_is_no_nifti_name_is_the_callers_mistake(tmp_path):
    with pytest.raises(ValueError, match=r"\.nii"):
        write_volume(tmp_path / "ct.mha", volume())


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_stored_type_and_byte_order_reads_alike(tmp_path, dtype, order):
    hu = volume().hu
    image = nib.Nifti1Image(hu.astype(dtype), OBLIQUE, dtype=dtype).as_reoriented(np.array([[0, 1], [1, 1], [2, 1]]))
    header = image.header.as_byteswapped(order)
    nib.save(nib.Nifti1Image(hu.astype(dtype), OBLIQUE, header), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").hu, hu)


def test_unsigned_values_with_slope_and_intercept_become_hu(tmp_path):
    file = foreign(tmp_path / "a.nii", (volume().hu + 1024).astype(np.uint16), scl_slope=1.0, scl_inter=-1024.0)
    np.testing.assert_array_equal(read_volume(file).hu, volume().hu)


def test_fractions_of_a_hu_are_rounded(tmp_path):
    file = foreign(tmp_path / "a.nii", np.array([-0.6, 0.4, 1.5, 2.51], np.float32).reshape(4, 1, 1))
    np.testing.assert_array_equal(read_volume(file).hu.ravel(), [-1, 0, 2, 3])


def test_nifti_2_and_a_trailing_unit_axis_are_read(tmp_path):
    nib.save(nib.Nifti2Image(volume().hu[..., None], OBLIQUE), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").hu, volume().hu)


def sheared():
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[1, 2] = 0.8
    return affine


NAN = np.zeros((4, 4, 4), np.float32)
NAN[1, 2, 3] = np.nan


EMPTY = np.zeros((4, 4, 4), np.int16)


@pytest.mark.parametrize(
    ("array", "error", "rule"),
    [
        pytest.param(np.zeros((4, 4, 4, 2), np.int16), GeometryError, "3D", id="4D"),
        pytest.param(np.zeros((4, 4), np.int16), GeometryError, "3D", id="2D"),
        pytest.param(NAN, NotCTError, "NaN", id="NaN"),
        pytest.param(np.full((4, 4, 4), 1e6, np.float32), NotCTError, "32767", id="beyond int16"),
        pytest.param(np.zeros((4, 4, 4), np.complex64), NotCTError, "complex", id="complex"),
    ],
)
def test_what_is_no_single_grey_volume_is_refused(tmp_path, array, error, rule):
    file = foreign(tmp_path / "odd.nii.gz", array)
    with pytest.raises(error, match=rule) as caught:
        read_volume(file)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize(
    ("affine", "fields", "rule"),
    [
        pytest.param(sheared(), {}, "sheared by 14.9", id="sheared"),
        pytest.param(OBLIQUE, {"srow_x": [0, 0, 0, 0]}, "sheared|singular", id="flat"),
        pytest.param(OBLIQUE, {"srow_x": [1, 0, np.nan, 0]}, "finite", id="NaN in the affine"),
        pytest.param(np.diag([1, 1, 500, 1]), {}, "voxel sizes", id="half a metre thick"),
        pytest.param(OBLIQUE, {"xyzt_units": 1}, "metre", id="in metres"),
        pytest.param(OBLIQUE, {"xyzt_units": 5}, "unit 5", id="in a unit that is none"),
        pytest.param(OBLIQUE, {"sform_code": 0, "qform_code": 0}, "left and right are unknown", id="no orientation"),
        pytest.param(
            np.diag([-1, -1, 1, 1]),
            {"qform_code": 1, "quatern_b": 1, "quatern_d": 0},
            "disagree by 6.0 mm",
            id="two orientations",
        ),
    ],
)
def test_what_is_no_right_angled_grid_is_refused(tmp_path, affine, fields, rule):
    file = foreign(tmp_path / "odd.nii", EMPTY, affine, **fields)
    with pytest.raises(GeometryError, match=rule) as caught:
        read_volume(file)
    assert str(caught.value).startswith(str(file))


def test_a_singular_affine_is_refused(tmp_path):
    file = foreign(tmp_path / "a.nii", np.zeros((4, 4, 4), np.int16), np.eye(4))
    raw = bytearray(file.read_bytes())
    raw[296:312] = raw[280:296]
    file.write_bytes(raw)
    with pytest.raises(GeometryError, match="singular"):
        read_volume(file)


@pytest.mark.parametrize("keep", [3, 200, 400, 0.5, 0.99])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_truncated_file_is_refused(tmp_path, name, keep):
    write_volume(tmp_path / name, volume((20, 20, 20)))
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: keep if keep >= 1 else int(keep * len(raw))])
    with pytest.raises(ReadError, match=r"truncated|no NIfTI|damaged"):
        read_volume(tmp_path / name)


def test_more_voxels_than_the_header_claims_are_refused(tmp_path):
    write_volume(tmp_path / "a.nii", volume())
    with (tmp_path / "a.nii").open("ab") as stream:
        stream.write(bytes(8))
    with pytest.raises(ReadError, match="more voxels"):
        read_volume(tmp_path / "a.nii")


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is a text file" * 30, gzip.compress(b"text" * 300, mtime=0), bytes(4000)]
)
def test_what_is_no_nifti_is_refused(tmp_path, content):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(ReadError, match="no NIfTI"):
        read_volume(tmp_path / "a.nii.gz")


def test_a_missing_file_and_a_folder_are_read_errors(tmp_path):
    for path in (tmp_path / "none.nii.gz", tmp_path):
        with pytest.raises(ReadError, match="cannot be read"):
            read_volume(path)


def test_a_header_that_claims_more_than_the_file_holds_costs_no_memory(tmp_path):
    raw = bytearray(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)).to_bytes())
    raw[42:48] = np.array([8000, 8000, 16], "<i2").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(ReadError, match="truncated"):
        read_volume(tmp_path / "a.nii.gz")
    raw[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(GeometryError, match="8192"):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(("value", "rule"), [(0.5, "no whole number"), (-1.0, "from -1"), (256.0, "to 256")])
def test_labels_are_whole_numbers_from_0_to_255(tmp_path, value, rule):
    array = np.zeros((3, 3, 3), np.float32)
    array[1, 1, 1] = value
    with pytest.raises(OrganMapError, match=rule):
        read_labels(foreign(tmp_path / "a.nii.gz", array))


@given(changes=st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_header_gives_a_result_or_a_panlesion_error(tmp_path, changes):
    raw = bytearray(nib.Nifti1Image(volume().hu, OBLIQUE).to_bytes())
    for at, byte in changes:
        raw[at] = byte
    (tmp_path / "a.nii").write_bytes(raw)
    for read in (read_volume, read_labels):
        try:
            read(tmp_path / "a.nii")
        except PanlesionError as error:
            assert "a.nii" in str(error)


@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(max_examples=100, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_gzip_gives_a_result_or_a_panlesion_error(tmp_path, changes):
    write_volume(tmp_path / "a.nii.gz", volume())
    raw = bytearray((tmp_path / "a.nii.gz").read_bytes())
    for at, byte in changes:
        raw[int(at * (len(raw) - 1))] = byte
    (tmp_path / "a.nii.gz").write_bytes(raw)
    try:
        read_volume(tmp_path / "a.nii.gz")
    except PanlesionError as error:
        assert "a.nii.gz" in str(error)
