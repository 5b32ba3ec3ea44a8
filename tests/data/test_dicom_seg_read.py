import shutil

import numpy as np
import pydicom
import pytest
from annotated_scans_made import rewrite, scan
from dicom_made import ORIENTATIONS, lesion_mask, read_multiframe, read_series, seg_of
from pydicom.pixels.utils import pack_bits

from panlesion.ct.dicom import read_dicom
from panlesion.data.sources.dicom_seg_read import read_seg, read_seg_header
from panlesion.data.standins._dicom import write_seg, write_series
from panlesion.errors import GeometryError, ReadError


def number(segment):
    return segment.number


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A CT with a SEG of two segments that overlap."""
    drawn, folder = scan(2), tmp_path_factory.mktemp("seg")
    tumour, liver = drawn.label.labels == 1, drawn.label.labels > 0
    series = write_series(folder / "ct", drawn.ct, patient="P")
    write_seg(folder / "seg.dcm", series, [("Liver", "Organ", liver), ("GTV-1", "Neoplasm, Primary", tumour)])
    return read_dicom(folder / "ct"), folder / "seg.dcm", liver, tumour


@pytest.fixture
def case(written, tmp_path):
    ct, path, liver, tumour = written
    return ct, shutil.copy(path, tmp_path / "seg.dcm"), liver, tumour


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_seg_that_panlesion_writes_is_read_back(tmp_path, name):
    ct = read_series(tmp_path / "ct", orientation=ORIENTATIONS[name])
    mask, path = seg_of(ct, tmp_path / "seg.dcm")
    read = read_seg(path, ct, number)
    assert np.array_equal(read.labels, mask.labels)
    assert read.grid.same_as(ct.volume.grid)


def test_a_seg_of_a_multiframe_ct_is_read_back(tmp_path):
    ct = read_multiframe(tmp_path / "ct.dcm", order=(3, 0, 6, 1, 5, 2, 4))
    mask, path = seg_of(ct, tmp_path / "seg.dcm")
    assert np.array_equal(read_seg(path, ct, number).labels, mask.labels)
    assert mask.labels.any() and np.array_equal(mask.labels, lesion_mask(ct).labels)


def test_segments_are_described_and_chosen_and_the_higher_value_stays(case):
    ct, path, liver, tumour = case
    header = read_seg_header(path)
    assert [(one.label, one.property) for one in header.segments] == [("Liver", "Organ"), ("GTV-1", "Neoplasm, Primary")]
    assert header.series == (ct.series_uid,)
    both = read_seg(path, ct, number)
    assert np.array_equal(both.labels, liver.astype(int) + tumour)
    assert np.array_equal(read_seg(path, ct, lambda one: 2 - one.number).labels, liver)
    reversed_values = read_seg(path, ct, lambda one: 3 - one.number)
    assert np.array_equal(reversed_values.labels, np.where(liver, 2, 0))


def test_frames_in_any_order_and_turned_pixels_land_where_they_belong(case):
    """The SEG's rows run against the CT's: position and orientation of each frame say so."""
    ct, path, liver, tumour = case

    def turn(ds):
        frames = ds.pixel_array
        rows, columns = ds.Rows, ds.Columns
        groups = list(ds.PerFrameFunctionalGroupsSequence)
        spacing = float(ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing[0])
        ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, -1, 0]
        for group in groups:
            plane = group.PlanePositionSequence[0]
            x, y, z = map(float, plane.ImagePositionPatient)
            plane.ImagePositionPatient = [x, y + spacing * (rows - 1), z]
        order = np.random.default_rng(0).permutation(len(groups))
        ds.PerFrameFunctionalGroupsSequence = [groups[n] for n in order]
        ds.PixelData = pack_bits(frames[order][:, ::-1].reshape(-1), pad=True)
        assert frames.shape[1:] == (rows, columns)

    rewrite(path, turn)
    assert np.array_equal(read_seg(path, ct, number).labels, liver.astype(int) + tumour)


def test_a_seg_of_a_part_of_the_scan_is_read(case):
    ct, path, liver, _ = case

    def cut(ds):
        frames = ds.pixel_array[:, 3:, 2:]
        ds.Rows, ds.Columns = frames.shape[1:]
        spacing = 2.0
        for group in ds.PerFrameFunctionalGroupsSequence:
            plane = group.PlanePositionSequence[0]
            x, y, z = map(float, plane.ImagePositionPatient)
            plane.ImagePositionPatient = [x + 2 * spacing, y + 3 * spacing, z]
        ds.PixelData = pack_bits(frames.reshape(-1), pad=True)

    rewrite(path, cut)
    assert np.array_equal(read_seg(path, ct, number).labels > 0, liver)


def spoil_kind(ds):
    ds.SegmentationType = "FRACTIONAL"


def spoil_class(ds):
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


def spoil_series(ds):
    ds.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"


def spoil_frame(ds):
    ds.FrameOfReferenceUID = "1.2.3"


def spoil_groups(ds):
    ds.PerFrameFunctionalGroupsSequence.pop()


def spoil_position(ds):
    del ds.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence


def spoil_spacing(ds):
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1, 1]


def spoil_half(ds):
    for group in ds.PerFrameFunctionalGroupsSequence:
        plane = group.PlanePositionSequence[0]
        plane.ImagePositionPatient = [float(v) + 1 for v in plane.ImagePositionPatient]


def spoil_outside(ds):
    for group in ds.PerFrameFunctionalGroupsSequence:
        plane = group.PlanePositionSequence[0]
        plane.ImagePositionPatient = [float(v) + 40 for v in plane.ImagePositionPatient]


def spoil_oblique(ds):
    ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [0.8, 0.6, 0, -0.6, 0.8, 0]


def spoil_pixels(ds):
    ds.PixelData = ds.PixelData[:10]


def spoil_size(ds):
    ds.Rows = 60000


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (spoil_kind, ReadError, "SegmentationType FRACTIONAL; only BINARY"),
        (spoil_class, ReadError, "a DICOM SEG is needed"),
        (spoil_series, ReadError, "drawn on series 1.2.3, not on"),
        (spoil_frame, ReadError, "FrameOfReferenceUID 1.2.3"),
        (spoil_groups, ReadError, "functional groups for .* frames"),
        (spoil_position, ReadError, "frame 1: PlanePositionSequence is missing"),
        (spoil_spacing, GeometryError, "are not voxels of the scan"),
        (spoil_half, GeometryError, "are not voxels of the scan"),
        (spoil_outside, GeometryError, "outside the scan"),
        (spoil_oblique, GeometryError, "are not voxels of the scan"),
        (spoil_pixels, ReadError, "damaged"),
        (spoil_size, ReadError, "at most 4096 a side"),
    ],
)
def test_a_broken_or_foreign_seg_is_refused_with_the_rule_it_breaks(case, spoil, error, says):
    ct, path, *_ = case
    rewrite(path, spoil)
    with pytest.raises(error, match=says):
        read_seg(path, ct, number)


def test_a_seg_without_what_is_asked_for_lists_its_segments(case):
    with pytest.raises(ReadError, match=r"1 'Liver' \(Organ\), 2 'GTV-1' \(Neoplasm, Primary\)"):
        read_seg(case[1], case[0], lambda _one: 0)


@pytest.mark.parametrize("keep", [0, 50, 500, 1500, 3000])
def test_a_truncated_seg_is_refused(case, keep):
    path = case[1]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ReadError, match=r"seg\.dcm"):
        read_seg(path, case[0], number)


def test_changed_bytes_are_read_or_refused_but_raise_nothing_else(case):
    ct, path, *_ = case
    data, rng = path.read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        changed = bytearray(data)
        changed[rng.integers(140, len(data))] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read_seg(path, ct, number)
            outcomes.add("read")
        except ReadError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.realdata
def test_a_seg_of_another_maker_lies_on_its_ct_as_its_own_tags_say(shared_data):
    """dcmqi's liver: each frame names the image it was drawn on, which this reader does not use."""
    folder = shared_data / "dicom_objects"
    ct = read_dicom(folder / "dcmqi_ct-3slice")
    read = read_seg(folder / "liver.dcm", ct, number)
    ds = pydicom.dcmread(folder / "liver.dcm")
    slices = {one.sop_instance: k for k, one in enumerate(ct.slices)}
    for frame, group in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        assert np.array_equal(read.labels[:, :, slices[source.ReferencedSOPInstanceUID]], frame.T)
    inside = ct.volume.hu[read.labels > 0]
    assert 30 < float(np.median(inside)) < 160


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "label"), [("seg.dcm", "Neoplasm, Primary"), ("seg_image_ct_binary.dcm", "first segment"), ("liver.dcm", "Liver")]
)
def test_segs_of_other_makers_are_described(shared_data, name, label):
    header = read_seg_header(shared_data / "dicom_objects" / name)
    assert [one.label for one in header.segments] == [label]
    assert len(header.series) == 1 and header.frame


@pytest.mark.realdata
def test_a_seg_is_not_laid_over_another_ct(shared_data):
    ct = read_dicom(shared_data / "dicom_objects" / "dcmqi_ct-3slice")
    with pytest.raises(ReadError, match="drawn on series"):
        read_seg(shared_data / "dicom_objects" / "seg.dcm", ct, number)
