"""Pixels of every encoding become the same HU; damaged ones are refused."""

import gdcm
import numpy as np
import pytest
from dicom_making import COLUMNS, ROWS, SLICES, body, ct_slice, enhanced, write_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import MPEG2MPML, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless, generate_uid

from panlesion.ct.dicom import list_dicom, read_dicom
from panlesion.errors import NotCTError, PanlesionError, ReadError

HU = body().transpose(2, 1, 0)


def signed(_, ds):
    stored = np.frombuffer(ds.PixelData, "<u2").astype(np.int32) - 1024
    ds.PixelRepresentation, ds.RescaleIntercept, ds.PixelData = 1, 0, stored.astype("<i2").tobytes()


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize("change", [None, signed])
def test_compressed_series_decode_exactly(tmp_path, syntax, change):
    write_series(tmp_path, change=change, encode=lambda ds: ds.compress(syntax, generate_instance_uid=False))
    np.testing.assert_array_equal(read_dicom(tmp_path).volume.hu, HU)


@pytest.mark.parametrize(
    ("syntax", "uid"),
    [
        (gdcm.TransferSyntax.JPEGLosslessProcess14_1, b"1.2.840.10008.1.2.4.70"),
        (gdcm.TransferSyntax.JPEGLSLossless, b"1.2.840.10008.1.2.4.80"),
        (gdcm.TransferSyntax.ExplicitVRBigEndian, b"1.2.840.10008.1.2.2"),
    ],
)
def test_jpeg_lossless_jpeg_ls_and_big_endian_decode_exactly(tmp_path, syntax, uid):
    write_series(tmp_path)
    for file in tmp_path.iterdir():
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(file))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(file))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        assert uid in file.read_bytes()[:400]
    np.testing.assert_array_equal(read_dicom(tmp_path).volume.hu, HU)


def test_a_compressed_enhanced_ct_decodes_exactly(tmp_path):
    ds = enhanced(order=[3, 0, 6, 1, 5, 2, 4])
    ds.compress(JPEG2000Lossless)
    ds.save_as(tmp_path / "multi", enforce_file_format=True)
    np.testing.assert_array_equal(read_dicom(tmp_path).volume.hu, HU)


def test_implicit_little_endian_is_read(tmp_path):
    write_series(tmp_path, encode=lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian))
    np.testing.assert_array_equal(read_dicom(tmp_path).volume.hu, HU)


def test_each_slice_uses_its_own_rescale(tmp_path):
    def change(index, ds):
        stored = np.frombuffer(ds.PixelData, "<u2").astype(np.int32)
        if index % 2:
            ds.RescaleSlope, ds.RescaleIntercept = 0.5, -1524
            stored = 2 * stored + 1000
        ds.PixelData = stored.astype("<u2").tobytes()

    write_series(tmp_path, change=change)
    np.testing.assert_array_equal(read_dicom(tmp_path).volume.hu, HU)


def test_padding_becomes_air_if_it_cannot_be_tissue(tmp_path):
    def change(_, ds):
        signed(_, ds)
        stored = np.frombuffer(ds.PixelData, "<i2").reshape(ROWS, COLUMNS).copy()
        stored[:2, :3] = -2000
        ds.PixelData, ds.PixelPaddingValue = stored.tobytes(), -2000

    write_series(tmp_path, change=change)
    hu = read_dicom(tmp_path).volume.hu
    assert (hu[:3, :2] == -1024).all()
    np.testing.assert_array_equal(hu[3:], HU[3:])


def test_padding_that_may_be_tissue_is_kept(tmp_path):
    write_series(tmp_path, change=lambda _, ds: setattr(ds, "PixelPaddingValue", 1024 + 50))
    np.testing.assert_array_equal(read_dicom(tmp_path).volume.hu, HU)


def colour(_, ds):
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes(ROWS * COLUMNS * 3)


def without(keyword):
    return lambda index, ds: delattr(ds, keyword) if index == 2 else None


def setting(keyword, value):
    return lambda index, ds: setattr(ds, keyword, value) if index == 2 else None


@pytest.mark.parametrize(
    ("change", "error", "rule"),
    [
        pytest.param(colour, NotCTError, "SamplesPerPixel 3, PhotometricInterpretation RGB", id="RGB"),
        pytest.param(without("RescaleIntercept"), NotCTError, "RescaleSlope or RescaleIntercept missing", id="no intercept"),
        pytest.param(setting("RescaleSlope", 0), NotCTError, "RescaleSlope is 0", id="slope 0"),
        pytest.param(setting("RescaleSlope", 900), NotCTError, "32767", id="beyond int16"),
        pytest.param(setting("RescaleType", "Z_EFF"), NotCTError, "RescaleType Z_EFF", id="spectral map"),
        pytest.param(without("PixelData"), ReadError, "no PixelData", id="no pixels"),
        pytest.param(setting("PixelData", bytes(100)), ReadError, "truncated: 100 bytes of pixels where 3840", id="few pixels"),
    ],
)
def test_what_is_no_ct_in_hu_is_refused_with_its_file(tmp_path, change, error, rule):
    write_series(tmp_path, change=change)
    with pytest.raises(error, match=rule) as caught:
        read_dicom(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("syntax", [None, JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize("part", [0.15, 0.5, 0.97])
def test_a_truncated_file_is_refused_by_name(tmp_path, syntax, part):
    write_series(tmp_path, encode=syntax and (lambda ds: ds.compress(syntax, generate_instance_uid=False)))
    raw = (tmp_path / "I003").read_bytes()
    (tmp_path / "I003").write_bytes(raw[: int(part * len(raw))])
    with pytest.raises(ReadError, match="I003"):
        read_dicom(tmp_path)


def test_rows_and_columns_far_beyond_the_file_cost_no_memory(tmp_path):
    def change(_, ds):
        ds.Rows = ds.Columns = 65535

    write_series(tmp_path, change=change)
    with pytest.raises(ReadError, match="at most 4096 a side"):
        read_dicom(tmp_path)
    assert "at most 4096" in list_dicom(tmp_path)[0].problem


def test_a_codestream_larger_than_rows_and_columns_is_not_unpacked(tmp_path):
    ds = ct_slice(0, generate_uid())
    ds.compress(JPEG2000Lossless)
    data = bytearray(ds.PixelData)
    at = data.index(b"\xff\x4f\xff\x51") + 8
    data[at : at + 8] = (60000).to_bytes(4, "big") * 2
    ds.PixelData = bytes(data)
    ds.save_as(tmp_path / "bomb", enforce_file_format=True)
    with pytest.raises(ReadError, match="compressed image is 60000 x 60000"):
        read_dicom(tmp_path)


SAMPLES = {}


def sample(kind: str, folder) -> bytes:
    if kind not in SAMPLES:
        ds = enhanced() if kind == "enhanced" else ct_slice(2, "1.2.3")
        if kind == "jpeg2000":
            ds.compress(JPEG2000Lossless)
        ds.save_as(folder / "sample", enforce_file_format=True)
        SAMPLES[kind] = (folder / "sample").read_bytes()
        (folder / "sample").unlink()
    return SAMPLES[kind]


@pytest.mark.parametrize("kind", ["classic", "enhanced", "jpeg2000"])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    keep=st.one_of(st.just(1.0), st.floats(0, 1)),
)
@settings(max_examples=60, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_give_a_result_or_a_panlesion_error(tmp_path, kind, changes, keep):
    raw = bytearray(sample(kind, tmp_path))
    # Damage the header, where every byte matters, rather than the voxels.
    for at, byte in changes:
        raw[132 + int(at * 900)] = byte
    (tmp_path / "a").write_bytes(raw[: int(keep * len(raw))])
    for read in (read_dicom, list_dicom):
        try:
            read(tmp_path)
        except PanlesionError as error:
            assert str(tmp_path) in str(error) or "series" in str(error)


def test_a_transfer_syntax_without_a_decoder_is_named(tmp_path):
    def change(_, ds):
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = MPEG2MPML

    write_series(tmp_path, change=change)
    with pytest.raises(ReadError, match=r"MPEG2 .*is not read"):
        read_dicom(tmp_path)


def test_the_whole_series_has_as_many_slices_as_files(tmp_path):
    write_series(tmp_path)
    assert read_dicom(tmp_path).volume.hu.shape == (COLUMNS, ROWS, SLICES)
