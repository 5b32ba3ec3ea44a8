"""Frames in every encoding, whole or alone, decoded or as stored; pictures; volumes."""

import gzip
import io

import gdcm
import numpy as np
import pytest
from dicom_making import enhanced
from images_made import parts_of, put_study, slices, url_of
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from server_made import serve

from panlesion.aid.vocabulary import Role

PLAIN = 'multipart/related; type="application/octet-stream"'
ANY_SYNTAX = f"{PLAIN}; transfer-syntax=*"
JPEG_LOSSLESS = UID("1.2.840.10008.1.2.4.70")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return serve(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="module")
def reader(served):
    return served.client(Role.READER)


def by_gdcm(ds, folder, syntax):
    """The image, its pixels packed by GDCM."""
    import pydicom

    file = str(folder / "packed.dcm")
    ds.save_as(file, enforce_file_format=True)
    source, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    source.SetFileName(file)
    assert source.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(source.GetImage())
    assert change.Change()
    writer.SetFileName(file)
    writer.SetFile(source.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return pydicom.dcmread(file)


PACKED = {
    JPEG2000Lossless: ("image/jp2", None),
    RLELossless: ("image/dicom-rle", None),
    JPEGLSLossless: ("image/jls", gdcm.TransferSyntax.JPEGLSLossless),
    JPEG_LOSSLESS: ("image/jpeg", gdcm.TransferSyntax.JPEGLosslessProcess14_1),
}


@pytest.mark.parametrize("syntax", PACKED)
def test_compressed_frames_go_as_stored_where_that_is_taken_and_decoded_where_not(served, reader, tmp_path, syntax):
    media, gdcm_syntax = PACKED[syntax]
    (ds,) = slices(1, seed=4, shape=(40, 48))
    plain = ds.PixelData
    if gdcm_syntax is None:
        ds.compress(syntax, generate_instance_uid=False)
    else:
        ds = by_gdcm(ds, tmp_path, gdcm_syntax)
    put_study(served, [ds])
    url = url_of(ds, "/frames/1")
    ((said, decoded),) = parts_of(reader.get(url, headers={"Accept": PLAIN}))
    assert decoded == plain and said.startswith("application/octet-stream")
    for accept in (ANY_SYNTAX, f'multipart/related; type="{media}"', f'multipart/related; type="{media}"; transfer-syntax=*'):
        ((said, stored),) = parts_of(reader.get(url, headers={"Accept": accept}))
        assert said == f"{media}; transfer-syntax={syntax}"
        assert encapsulate([stored], has_bot=False).rstrip(b"\0") in ds.PixelData or stored.rstrip(b"\0") in ds.PixelData
        assert stored != plain
    alone = reader.get(url, headers={"Accept": media})
    assert alone.content == stored and alone.headers["content-type"] == f"{media}; transfer-syntax={syntax}"
    assert reader.get(url, headers={"Accept": "image/png"}).status_code == 406
    ((_, whole),) = parts_of(reader.get(url_of(ds), headers={"Accept": 'multipart/related; type="application/dicom"'}))
    import pydicom

    read = pydicom.dcmread(io.BytesIO(whole))
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian and read.PixelData == plain


def test_implicit_and_big_endian_frames_come_little_endian(served, reader):
    implicit, big = slices(1, seed=5)[0], slices(1, seed=6)[0]
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    wanted = {implicit.SOPInstanceUID: implicit.PixelData, big.SOPInstanceUID: big.PixelData}
    big.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.2")
    big.PixelData = np.frombuffer(big.PixelData, "<u2").astype(">u2").tobytes()
    big._read_little, big._read_implicit = False, False
    for ds in (implicit, big):
        put_study(served, [ds])
        assert (
            reader.get(url_of(ds, "/frames/1"), headers={"Accept": "application/octet-stream"}).content
            == (wanted[ds.SOPInstanceUID])
        )


@pytest.fixture(scope="module")
def multi(served):
    ds = enhanced(order=[3, 0, 6, 1, 5, 2, 4])
    put_study(served, [ds])
    return ds


def test_frames_of_a_multi_frame_image_come_in_the_order_asked(reader, multi):
    size = multi.Rows * multi.Columns * 2
    found = parts_of(reader.get(url_of(multi, "/frames/5,2,2,7"), headers={"Accept": PLAIN}))
    assert [data for _, data in found] == [multi.PixelData[(n - 1) * size : n * size] for n in (5, 2, 2, 7)]


def test_frames_of_several_fragments_are_put_together_by_the_offset_table(served, reader):
    ds = enhanced()
    plain, size = ds.PixelData, ds.Rows * ds.Columns * 2
    ds.compress(JPEG2000Lossless)
    from pydicom.encaps import generate_frames

    streams = list(generate_frames(ds.PixelData, number_of_frames=7))
    ds.PixelData = encapsulate(streams, fragments_per_frame=3, has_bot=True)
    put_study(served, [ds])
    found = parts_of(reader.get(url_of(ds, "/frames/1,7"), headers={"Accept": PLAIN}))
    assert [data for _, data in found] == [plain[:size], plain[6 * size :]]
    ds = enhanced()
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    ds.PixelData = encapsulate(streams, fragments_per_frame=3, has_bot=False)
    ds["PixelData"].is_undefined_length = True
    put_study(served, [ds])
    refused = reader.get(url_of(ds, "/frames/1"), headers={"Accept": PLAIN})
    assert refused.status_code == 406 and "offset table" in refused.json()["detail"]


def test_single_bit_frames_begin_at_a_byte_of_their_own(served, reader):
    ds = enhanced()
    ds.Rows, ds.Columns, ds.NumberOfFrames, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 3, 5, 3, 1, 1, 0
    bits = np.random.default_rng(2).integers(0, 2, (3, 3, 5)).astype(np.uint8)
    ds.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    ds["PixelData"].VR = "OB"
    put_study(served, [ds])
    for n in range(3):
        data = reader.get(url_of(ds, f"/frames/{n + 1}"), headers={"Accept": "application/octet-stream"}).content
        assert np.array_equal(np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[:15], bits[n].ravel())


@pytest.mark.parametrize(("frames", "code"), [("0", 400), ("8", 404), ("1,,2", 400), ("a", 400), ("-1", 400), ("٣", 400)])
def test_frames_that_are_not_there_are_told_in_words(reader, multi, frames, code):
    answer = reader.get(url_of(multi, f"/frames/{frames}"))
    assert answer.status_code == code and "frame" in answer.json()["detail"]


def test_frames_are_not_sent_twice(reader, multi):
    first = reader.get(url_of(multi, "/frames/1"))
    again = reader.get(url_of(multi, "/frames/1"), headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = reader.get(url_of(multi, "/frames/2"), headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200 and "private" in other.headers["cache-control"] and "Cookie" in other.headers["vary"]


def test_pixels_are_packed_for_other_machines_only(served, multi):
    size, client = multi.Rows * multi.Columns * 2, served.client(Role.READER)
    there = client.get(url_of(multi, "/frames/3"), headers={"Accept": "application/octet-stream"})
    assert there.headers["content-encoding"] == "gzip" and there.content == multi.PixelData[2 * size : 3 * size]
    plain = client.get(
        url_of(multi, "/frames/3"), headers={"Accept": "application/octet-stream", "Accept-Encoding": "identity"}
    )
    assert "content-encoding" not in plain.headers and plain.content == there.content


def test_a_picture_is_windowed_as_asked(served, reader):
    (ds,) = slices(1, seed=8)
    put_study(served, [ds])
    hu = np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns).astype(float) - 1024
    answer = reader.get(url_of(ds, "/rendered?window=50,300"), headers={"Accept": "image/png"})
    drawn = np.asarray(Image.open(io.BytesIO(answer.content)))
    wanted = np.clip((hu - 49.5) / 299 + 0.5, 0, 1) * 255
    assert np.abs(drawn - wanted).max() <= 1
    small = reader.get(url_of(ds, "/thumbnail?viewport=8,8"))
    assert small.headers["content-type"] == "image/jpeg" and Image.open(io.BytesIO(small.content)).size == (8, 6)
    for query in (
        "window=1",
        "window=1,0",
        "window=nan,4",
        "viewport=0,9",
        "viewport=99999,9",
        "quality=x",
        "window=1,2,sigmoidal",
    ):
        assert reader.get(url_of(ds, f"/rendered?{query}")).status_code == 400, query


@pytest.fixture(scope="module")
def scan(served):
    """A CT that `ct` reads: a body in air, with its files in another order than its planes."""
    images = slices(5, shape=(20, 24), seed=9)
    for k, ds in enumerate(images):
        hu = np.full((20, 24), -1000.0)
        hu[4:16, 5:20] = np.random.default_rng(k).normal(40, 20, (12, 15)).round()
        hu[0, 0] = -2000
        ds.PixelData = (hu + 1024).clip(0).astype("<u2").tobytes()
        ds.InstanceNumber = 5 - k
    return images, put_study(served, images)


def test_the_volume_is_the_ct_plane_by_plane(reader, scan):
    images, study = scan
    url = f"/api/studies/{study.id}/volume"
    answer = reader.get(url, headers={"Accept-Encoding": "identity"})
    assert answer.headers["x-volume-shape"] == "24,20,5"
    planes = np.frombuffer(answer.content, "<i2").reshape(5, 20, 24)
    for k, ds in enumerate(images):
        assert np.array_equal(planes[k], np.frombuffer(ds.PixelData, "<u2").reshape(20, 24).astype(np.int16) - 1024)
    part = reader.get(f"{url}?first_k=2&last_k=3", headers={"Accept-Encoding": "identity"})
    assert part.content == planes[2:4].tobytes()
    assert reader.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert reader.get(url).headers["content-encoding"] == "gzip" and reader.get(url).content == answer.content
    for query, code in (("first_k=3&last_k=2", 416), ("last_k=5", 416), ("first_k=-1", 422), ("first_k=x", 422)):
        assert reader.get(f"{url}?{query}").status_code == code, query


def test_the_volume_that_an_analysis_wrote_is_sent_as_it_is(served, reader):
    from panlesion.aid.tables import Reading

    study = put_study(served, slices(2, shape=(20, 24), seed=10))
    folder = served.settings.data / "results" / str(study.id) / "job"
    folder.mkdir(parents=True)
    planes = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    np.save(folder / "ct.npy", planes)
    reading = Reading(study_id=study.id, document={}, mask_path="", original_path=f"results/{study.id}/job")
    with served.app.state.sessions.begin() as session:
        session.add(reading)
    answer = reader.get(f"/api/studies/{study.id}/volume")
    assert answer.content == planes.tobytes() and answer.headers["x-volume-shape"] == "4,3,2"


def test_what_is_no_ct_has_no_volume(served, reader):
    study = put_study(served, slices(2, seed=11, series=generate_uid()), primary_series=None)
    assert reader.get(f"/api/studies/{study.id}/volume").status_code == 404
    (flat,) = slices(1, seed=12)
    flat.PixelData = bytes(len(flat.PixelData))
    study = put_study(served, [flat])
    answer = reader.get(f"/api/studies/{study.id}/volume")
    assert answer.status_code == 409 and "HU" in answer.json()["detail"]


def test_metadata_that_are_kept_are_those_of_the_files(served, reader):
    images = slices(3, seed=13)
    study = put_study(served, images)
    url = url_of(images[0]).rsplit("/instances", 1)[0] + "/metadata"
    first = reader.get(url)
    (kept,) = served.settings.data.glob(f"cache/{study.id}/*/metadata-*.json.gz")
    assert gzip.decompress(kept.read_bytes()) == first.content
    assert reader.get(url, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    kept.write_bytes(gzip.compress(b"[]"))
    assert reader.get(url).json() == []
    (late,) = slices(1, seed=14)
    late.StudyInstanceUID, late.SeriesInstanceUID = images[0].StudyInstanceUID, images[0].SeriesInstanceUID
    put_study(served, [late], study=study)
    assert len(reader.get(url).json()) == 4
    assert len(list(served.settings.data.glob(f"cache/{study.id}/*/metadata-*"))) == 1
