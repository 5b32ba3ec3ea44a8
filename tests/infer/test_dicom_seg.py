import errno
import os
import shutil
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_made import (
    ORIENTATIONS,
    check_with_dciodvfy,
    complete,
    laid_over,
    lesion_mask,
    read_multiframe,
    read_series,
    seg_of,
    three_findings,
)
from dicom_making import SLICES, enhanced
from pydicom.uid import EnhancedCTImageStorage
from records_made import findings, lesion

from panlesion.ct.dicom import read_dicom
from panlesion.ct.volume import LabelMap, standard_grid
from panlesion.data.publish import DiskFullError
from panlesion.infer.dicom_seg import new_uid, write_seg
from panlesion.infer.reviewed import Made, Review

SHUFFLED = (3, 0, 6, 1, 5, 2, 4)


def by_highdicom(path, ct):
    """Planes (K, rows, columns) of the CT, found by the images that the SEG's frames refer to."""
    seg = hd.seg.segread(path)
    how = {"combine_segments": True, "assert_missing_frames_are_empty": True}
    if len(ct.slices) > 1 and ct.slices[0].sop_instance == ct.slices[1].sop_instance:
        numbers = [ref.frame + 1 for ref in ct.slices]
        return seg.get_pixels_by_source_frame(ct.slices[0].sop_instance, source_frame_numbers=numbers, **how)
    return seg.get_pixels_by_source_instance([ref.sop_instance for ref in ct.slices], **how)


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_seg_laid_over_its_ct_is_the_mask(tmp_path, name, several):
    ct = read_series(tmp_path / "ct", orientation=ORIENTATIONS[name])
    mask, path = seg_of(ct, tmp_path / "seg.dcm", several=several)
    assert np.array_equal(laid_over(path, ct), mask.labels)
    assert np.array_equal(by_highdicom(path, ct), mask.labels.transpose(2, 1, 0))


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("how", [{}, {"order": SHUFFLED}, {"order": SHUFFLED, "shared_rescale": True}, {"scout": True}])
def test_a_seg_of_a_multiframe_ct_is_the_mask(tmp_path, how, several):
    ct = read_multiframe(tmp_path / "ct.dcm", **how)
    mask, path = seg_of(ct, tmp_path / "seg.dcm", several=several)
    assert np.array_equal(laid_over(path, ct), mask.labels)
    assert np.array_equal(by_highdicom(path, ct), mask.labels.transpose(2, 1, 0))
    assert len(ct.slices) == SLICES - how.get("scout", False)


def test_orientations_of_each_frame_of_their_own_and_several_multiframe_files(tmp_path):
    (tmp_path / "ct").mkdir()
    series = new_uid()
    for number, order in enumerate([(1, 4, 0), (6, 2, 5, 3)]):
        ds = enhanced(order=order)
        complete(ds)
        ds.SeriesInstanceUID = series
        shared = ds.SharedFunctionalGroupsSequence[0]
        for group in ds.PerFrameFunctionalGroupsSequence:
            group.PlaneOrientationSequence = shared.PlaneOrientationSequence
        del shared.PlaneOrientationSequence
        ds.save_as(tmp_path / "ct" / f"{number}.dcm", enforce_file_format=True)
    ct = read_dicom(tmp_path / "ct")
    mask, path = seg_of(ct, tmp_path / "seg.dcm")
    assert np.array_equal(laid_over(path, ct), mask.labels)
    for group in pydicom.dcmread(path).PerFrameFunctionalGroupsSequence:
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        x, y, z = (float(v) for v in group.PlanePositionSequence[0].ImagePositionPatient)
        ref = ct.slices[round(ct.volume.grid.to_ijk((-x, -y, z))[2])]
        assert source.ReferencedSOPClassUID == EnhancedCTImageStorage
        assert (source.ReferencedSOPInstanceUID, source.ReferencedFrameNumber) == (ref.sop_instance, ref.frame + 1)


def test_every_frame_refers_to_the_image_at_its_own_place(tmp_path):
    ct = read_series(tmp_path / "ct", orientation=ORIENTATIONS["oblique"])
    _, path = seg_of(ct, tmp_path / "seg.dcm")
    seg = pydicom.dcmread(path)
    images = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, (tmp_path / "ct").iterdir())}
    listed = {ref.ReferencedSOPInstanceUID for ref in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert listed == images.keys() == {ref.ReferencedSOPInstanceUID for ref in seg.SourceImageSequence}
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == ct.series_uid
    for group in seg.PerFrameFunctionalGroupsSequence:
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        image = images[source.ReferencedSOPInstanceUID]
        assert group.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient
        assert "ReferencedFrameNumber" not in source
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == image.ImageOrientationPatient


def test_the_order_of_files_does_not_matter(tmp_path):
    ct = read_series(tmp_path / "ct")
    _, path = seg_of(ct, tmp_path / "seg.dcm")
    for old, new in zip(range(SLICES), SHUFFLED, strict=True):
        shutil.copy(tmp_path / "ct" / f"I{old:03d}", tmp_path / f"J{new}")
    files = [tmp_path / f"J{n}" for n in range(SLICES)]
    (tmp_path / "again").mkdir()
    for n, file in enumerate(files):
        file.rename(tmp_path / "again" / f"{n}.dcm")
    again = read_dicom(tmp_path / "again")
    other = write_seg(tmp_path / "other.dcm", again, lesion_mask(again), three_findings())
    assert [ref.sop_instance for ref in again.slices] == [ref.sop_instance for ref in ct.slices]
    assert np.array_equal(laid_over(other, ct), laid_over(path, ct))
    assert pydicom.dcmread(other).PixelData == pydicom.dcmread(path).PixelData


def test_a_single_slice_is_enough(tmp_path):
    read_series(tmp_path / "all")
    ct = read_dicom(next((tmp_path / "all").iterdir()))
    labels = np.zeros(ct.volume.grid.shape, dtype=np.uint8)
    labels[3, 4, 0] = 1
    path = write_seg(tmp_path / "seg.dcm", ct, LabelMap(labels=labels, grid=ct.volume.grid), findings(lesion(1)))
    assert np.array_equal(laid_over(path, ct), labels)
    check_with_dciodvfy(path)


def test_lesions_that_touch_are_segments_of_their_own(tmp_path):
    ct = read_series(tmp_path / "ct")
    mask, path = seg_of(ct, tmp_path / "seg.dcm")
    touching = mask.labels[13, 8, 2], mask.labels[14, 8, 2]
    assert touching == (1, 2)
    seg = hd.seg.segread(path)
    uids = [ref.sop_instance for ref in ct.slices]
    for number in (1, 2, 3):
        planes = seg.get_pixels_by_source_instance(uids, [number], assert_missing_frames_are_empty=True)[..., 0]
        assert np.array_equal(planes.astype(bool), (mask.labels == number).transpose(2, 1, 0))
    assert seg.SegmentsOverlap == "NO"


def test_only_frames_with_a_lesion_are_stored_and_the_pixels_end_with_a_zero(tmp_path):
    ct = read_series(tmp_path / "ct", change=odd_size)
    labels = np.zeros(ct.volume.grid.shape, dtype=np.uint8)
    labels[2, 3, 4] = 1
    path = write_seg(tmp_path / "seg.dcm", ct, LabelMap(labels=labels, grid=ct.volume.grid), findings(lesion(1)))
    seg = pydicom.dcmread(path)
    assert (seg.NumberOfFrames, seg.Rows, seg.Columns) == (1, 5, 7)
    assert seg.PixelData == bytes([0, 0, 0b1000_0000, 0, 0, 0])
    assert np.array_equal(laid_over(path, ct), labels)


def test_as_many_findings_as_a_mask_can_number(tmp_path):
    ct = read_series(tmp_path / "ct")
    labels = np.zeros(ct.volume.grid.shape, dtype=np.uint8)
    labels[:, :, 3].flat[:255] = range(1, 256)
    found = findings(*(lesion(n) for n in range(1, 256)))
    path = write_seg(tmp_path / "seg.dcm", ct, LabelMap(labels=labels, grid=ct.volume.grid), found)
    assert np.array_equal(laid_over(path, ct), labels)


def odd_size(_, ds):
    """5 x 7 pixels: 35 bits a frame, which fill an odd number of bytes."""
    ds.PixelData = ds.pixel_array[:5, :7].tobytes()
    ds.Rows, ds.Columns = 5, 7


def test_segments_say_what_where_and_by_what(tmp_path):
    ct = read_series(tmp_path / "ct")
    _, path = seg_of(ct, tmp_path / "seg.dcm")
    seg = hd.seg.segread(path)
    liver, kidney, mass = (seg.get_segment_description(n) for n in (1, 2, 3))
    assert [one.tracking_uid for one in (liver, kidney, mass)] == [one.tracking_uid for one in three_findings().lesions]
    assert [one.segment_label for one in (liver, kidney, mass)] == [
        "lesion 1: liver tumour",
        "lesion 2: kidney cyst",
        "lesion 3: other mass",
    ]
    assert liver.segmented_property_type.meaning == "Neoplasm"
    assert liver.segmented_property_category.meaning == "Morphologically Abnormal Structure"
    assert liver.anatomic_regions[0].meaning == "Couinaud hepatic segment VII"
    assert [m.CodeMeaning for m in kidney.anatomic_regions[0].AnatomicRegionModifierSequence] == ["Left", "left upper pole"]
    assert mass.anatomic_regions == []
    assert liver.SegmentAlgorithmType == "AUTOMATIC"
    algorithm = liver.algorithm_identification
    assert (algorithm.name, algorithm.version, algorithm.family.meaning) == ("panlesion", "0.0.1", "Artificial Intelligence")
    assert algorithm.parameters == {"weights_sha256": "ab" * 32, "checkpoint": "nano", "least_probability": "0.3"}
    assert "research use only" in seg.SeriesDescription
    assert seg.SegmentationType == "BINARY"
    assert seg.SeriesNumber == 201


def test_nothing_found_makes_no_seg(tmp_path):
    ct = read_series(tmp_path / "ct")
    empty = LabelMap(labels=np.zeros(ct.volume.grid.shape, dtype=np.uint8), grid=ct.volume.grid)
    assert write_seg(tmp_path / "seg.dcm", ct, empty, replace(findings(), lesions=())) is None
    assert {file.name for file in tmp_path.iterdir()} == {"ct"}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (findings(lesion(1)), r"numbered \[1\], the mask has labels \[1, 2, 3\]"),
        (findings(lesion(1), lesion(2), lesion(4)), r"numbered \[1, 2, 4\]"),
        (findings(lesion(1), lesion(2, tracking_uid="x"), lesion(3)), "finding 2: tracking_uid is 'x'"),
    ],
)
def test_mask_and_findings_must_fit(tmp_path, found, says):
    ct = read_series(tmp_path / "ct")
    with pytest.raises(ValueError, match=says):
        write_seg(tmp_path / "seg.dcm", ct, lesion_mask(ct), found)


def test_a_mask_on_another_grid_is_refused(tmp_path):
    ct = read_series(tmp_path / "ct")
    mask = lesion_mask(ct)
    with pytest.raises(ValueError, match="not on the CT's own"):
        write_seg(
            tmp_path / "s.dcm", ct, LabelMap(labels=mask.labels, grid=standard_grid(mask.grid.shape, 1)), three_findings()
        )


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    ct = read_series(tmp_path / "ct")
    (tmp_path / "seg.dcm").write_bytes(b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        seg_of(ct, tmp_path / "seg.dcm")
    assert (tmp_path / "seg.dcm").read_bytes() == b"old"
    assert {file.name for file in tmp_path.iterdir()} == {"ct", "seg.dcm"}


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("name", [*ORIENTATIONS, "multiframe"])
def test_the_validator_finds_no_error(tmp_path, name, several):
    made = tmp_path / "ct"
    ct = read_multiframe(made, order=SHUFFLED) if name == "multiframe" else read_series(made, orientation=ORIENTATIONS[name])
    check_with_dciodvfy(seg_of(ct, tmp_path / "seg.dcm", several=several)[1])


def test_uids_are_fresh_and_valid():
    uids = {new_uid() for _ in range(100)}
    assert len(uids) == 100
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)


def test_a_segment_tells_who_drew_it_and_what_is_drawn_by_hand_names_no_algorithm(tmp_path):
    ct = read_series(tmp_path / "ct")
    review = Review(made={2: Made.SEMIAUTOMATIC, 3: Made.MANUAL})
    path = write_seg(tmp_path / "seg.dcm", ct, lesion_mask(ct), three_findings(), review)
    segments = pydicom.dcmread(path).SegmentSequence
    assert [one.SegmentAlgorithmType for one in segments] == ["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
    assert ["SegmentationAlgorithmIdentificationSequence" in one for one in segments] == [True, True, False]
    check_with_dciodvfy(path)
