import logging
import shutil

import pytest
from annotated_scans_made import rewrite, same_case, scans

from panlesion.data.sources.rider_lung import BY_HAND, SOURCE
from panlesion.data.standins.tcia import write_rider_lung
from panlesion.errors import ReadError, StoreError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, drawn = tmp_path_factory.mktemp("rider"), scans(3)
    write_rider_lung(folder, drawn)
    return folder, drawn


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "root")
    return tmp_path / "root"


def test_test_and_retest_are_two_cases_of_one_patient_with_the_drawing_by_hand(written, caplog):
    root, drawn = written
    with caplog.at_level(logging.WARNING):
        cases = SOURCE.find(root)
    assert [case.id for case in cases] == ["RIDER-1129164940_1", "RIDER-1129164940_2", "RIDER-1129164941_1"]
    assert [case.patient for case in cases[:2]] == ["RIDER-1129164940"] * 2
    assert "1 CT series of RIDER-1129164940 (not annotated)" in caplog.text
    for case, one in zip(cases, drawn, strict=True):
        assert same_case(SOURCE.read(case), one)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [("GTVp_test_man", True), ("1 GTV manual", True), ("man", True), ("GTVp_test_auto", False), ("human", False),
     ("manifold", False), ("lung", False)],
)  # fmt: skip
def test_names_say_who_drew(name, by_hand):
    assert bool(BY_HAND.fullmatch(name)) == by_hand


def annotation(root, name):
    return next((root / "RIDER Lung CT" / "RIDER-1129164940").rglob(f"*{name}*/*.dcm"))


def test_an_annotation_of_one_region_alone_is_taken_whatever_its_name(root, written):
    def keep_one(ds):
        del ds.StructureSetROISequence[0], ds.ROIContourSequence[0]
        ds.StructureSetROISequence[0].ROIName = "lung"

    rewrite(annotation(root, "-TEST"), keep_one)
    assert same_case(SOURCE.read(SOURCE.find(root)[0]), written[1][0])


def test_regions_that_do_not_say_who_drew_them_are_refused_with_their_names(root):
    def rename(ds):
        for item in ds.SegmentSequence:
            item.SegmentLabel = "lung"

    rewrite(annotation(root, "-RETEST"), rename)
    with pytest.raises(ReadError, match=r"RIDER-1129164940_2: .*0 of its regions are called manual.*'1 lung', '2 lung'"):
        SOURCE.read(SOURCE.find(root)[1])


def test_a_structure_set_comes_before_a_seg_of_the_same_ct(root, written, caplog):
    retest = annotation(root, "-RETEST")
    uid = SOURCE.find(root)[0].facts["series"]
    copy = retest.parent.parent / "11-copy" / "1.dcm"
    copy.parent.mkdir()
    shutil.copy(retest, copy)
    rewrite(copy, lambda ds: setattr(ds.ReferencedSeriesSequence[0], "SeriesInstanceUID", uid))
    with caplog.at_level(logging.WARNING):
        case = SOURCE.find(root)[0]
    assert "11-copy/1.dcm (its CT has another annotation)" in caplog.text
    assert same_case(SOURCE.read(case), written[1][0])


def test_an_annotation_of_a_series_that_is_not_there_is_counted(root, caplog):
    shutil.rmtree(SOURCE.find(root)[1].image)
    with caplog.at_level(logging.WARNING):
        assert len(SOURCE.find(root)) == 2
    assert "drawn on a series that is not there" in caplog.text


def test_images_without_annotations_are_refused_with_where_to_get_them(root):
    shutil.rmtree(annotation(root, "-TEST").parent)
    shutil.rmtree(annotation(root, "-RETEST").parent)
    with pytest.raises(StoreError, match="no CT with an annotation among its 3 series; download"):
        SOURCE.find(root)
