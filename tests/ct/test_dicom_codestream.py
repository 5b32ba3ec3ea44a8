"""Compressed frames are looked at before a decoder written in C sees them."""

import gdcm
import pytest
from dicom_making import COLUMNS, ROWS, ct_slice
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import MPEG2MPML, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from panlesion.ct.dicom_codestream import codestream_fault, decoder_of


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """The compressed frame of one slice, by transfer syntax."""
    file = tmp_path_factory.mktemp("codestream") / "slice"
    made = {}
    for syntax in (JPEG2000Lossless, RLELossless):
        ds = ct_slice(2, "1.2.3")
        ds.compress(syntax)
        made[syntax] = next(generate_frames(ds.PixelData, number_of_frames=1))
    kinds = {JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1, JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless}
    for syntax, kind in kinds.items():
        ct_slice(2, "1.2.3").save_as(file, enforce_file_format=True)
        recompress(file, kind)
        made[syntax] = next(generate_frames(dcmread(file).PixelData, number_of_frames=1))
    return made


def recompress(file, kind):
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(file))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(file))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


JPEGS = [JPEGLosslessSV1, JPEGLSLossless]
ALL = [*JPEGS, JPEG2000Lossless, RLELossless]


@pytest.mark.parametrize("syntax", ALL)
def test_sound_frames_have_no_fault(frame, syntax):
    assert codestream_fault(frame[syntax], syntax, ROWS, COLUMNS) is None
    assert decoder_of(syntax)


@pytest.mark.parametrize("syntax", [*JPEGS, JPEG2000Lossless])
def test_another_size_than_rows_and_columns_is_a_fault(frame, syntax):
    assert f"is {ROWS} x {COLUMNS}" in codestream_fault(frame[syntax], syntax, ROWS, COLUMNS + 1)


@pytest.mark.parametrize("syntax", [*JPEGS, JPEG2000Lossless])
def test_every_truncation_is_a_fault(frame, syntax):
    stream = frame[syntax].rstrip(b"\x00")
    for keep in range(0, len(stream) - 2, 7):
        assert codestream_fault(stream[:keep], syntax, ROWS, COLUMNS), keep


@pytest.mark.parametrize("syntax", ALL)
def test_a_frame_of_another_syntax_is_a_fault(frame, syntax):
    other = JPEG2000Lossless if syntax in JPEGS else JPEGLosslessSV1
    if syntax != RLELossless:
        assert "never does" in codestream_fault(frame[other], syntax, ROWS, COLUMNS)
    assert codestream_fault(b"", syntax, ROWS, COLUMNS)


def test_damaged_segments_and_stray_markers_of_a_lossless_jpeg_are_faults(frame):
    stream = frame[JPEGLosslessSV1]
    table, scan = stream.index(b"\xff\xc4"), stream.index(b"\xff\xda")
    damages = {
        "a marker that is none": (table, b"\xd7"),
        "a segment that is too long": (table + 2, b"\xff"),
        "more codes than bits": (table + 5, b"\x09"),
        "another number of components": (stream.index(b"\xff\xc3") + 9, b"\x03"),
        "an impossible predictor": (scan + 7, b"\x09"),
        "a scan inside the scan": (scan + 40, b"\xff\xda"),
        "a restart nobody announced": (scan + 40, b"\xff\xd3"),
    }
    for name, (at, change) in damages.items():
        damaged = stream[:at] + change + stream[at + len(change) :]
        assert codestream_fault(damaged, JPEGLosslessSV1, ROWS, COLUMNS), name


def test_tiny_tiles_of_a_jpeg_2000_are_a_fault(frame):
    stream = bytearray(frame[JPEG2000Lossless])
    stream[24:32] = (0).to_bytes(4, "big") * 2
    assert "tiles" in codestream_fault(bytes(stream), JPEG2000Lossless, ROWS, COLUMNS)


def test_syntaxes_without_a_decoder_are_known():
    assert decoder_of(MPEG2MPML) is None
