import shutil

import pytest
from annotated_scans_made import rewrite, scan

from panlesion.data.sources._tcia import ct_of, open_ct, patient_folders, series_below
from panlesion.data.sources.rtstruct import RTSTRUCT_CLASS
from panlesion.data.standins._dicom import write_seg, write_series, write_structures
from panlesion.errors import ReadError, StoreError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A patient with two CTs, a structure set on the second and a SEG on the first."""
    folder, one = tmp_path_factory.mktemp("tcia"), scan()
    mask = one.label.labels > 0
    first = write_series(folder / "P1" / "s" / "a", one.ct, patient="P1", number=4)
    second = write_series(folder / "P1" / "s" / "b", one.ct, patient="P1", number=3)
    write_structures(folder / "P1" / "s" / "c" / "rs.dcm", second, {"GTV": mask}, number=9)
    write_seg(folder / "P1" / "s" / "d" / "seg.dcm", first, [("tumour", "Neoplasm", mask)], number=8)
    (folder / "P1" / "s" / "a" / "LICENSE").write_text("CC BY 3.0")
    return folder, first, second


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "root")
    return tmp_path / "root"


def test_series_are_told_apart_and_counted_and_other_files_passed_over(written):
    root, first, second = written
    found = series_below(root / "P1")
    assert [(one.number, one.files, one.ct, one.axial) for one in found] == [
        (3, 21, True, True), (4, 21, True, True), (8, 1, False, False), (9, 1, False, False)
    ]  # fmt: skip
    assert [one.names for one in found] == [(), (), ("tumour",), ("GTV",)]
    assert [one.drawn_on for one in found[2:]] == [(first.series,), (second.series,)]


def test_an_annotation_belongs_to_the_ct_it_names_wherever_it_lies(root, written):
    shutil.move(root / "P1" / "s" / "c" / "rs.dcm", root / "P1" / "s" / "a" / "zz.dcm")
    found = series_below(root / "P1")
    (annotation,) = [one for one in found if one.sop_class == RTSTRUCT_CLASS]
    ct = ct_of(annotation, found)
    assert ct is not None and ct.uid == written[2].series


def test_an_annotation_that_names_no_series_belongs_to_the_only_ct(root):
    rewrite(root / "P1" / "s" / "d" / "seg.dcm", lambda ds: delattr(ds, "ReferencedSeriesSequence"))
    found = series_below(root / "P1")
    assert ct_of(found[2], found) is None
    assert ct_of(found[2], [found[0], found[2]]) is found[0]


def test_of_several_series_in_a_folder_the_one_among_the_named_is_opened(root, written):
    _, first, second = written
    for path in (root / "P1" / "s" / "b").iterdir():
        shutil.move(path, root / "P1" / "s" / "a" / f"b-{path.name}")
    for series in (first, second):
        assert open_ct(root / "P1" / "s" / "a", (series.series,))[1].series_uid == series.series
    assert open_ct(root / "P1" / "s" / "a", (second.series, "1.2.3"))[1].series_uid == second.series
    with pytest.raises(ReadError, match="holds 2 of the series"):
        open_ct(root / "P1" / "s" / "a", (first.series, second.series))
    with pytest.raises(ReadError, match=r"2 CT series\. Choose one"):
        open_ct(root / "P1" / "s" / "a", ())


@pytest.mark.parametrize("keep", [0, 140, 300, 700, 1000])
def test_an_annotation_that_was_cut_off_is_refused(root, keep):
    path = root / "P1" / "s" / "c" / "rs.dcm"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ReadError, match=r"rs\.dcm"):
        series_below(root / "P1")


def test_patients_are_found_in_the_folder_or_one_below(root):
    assert [path.name for path in patient_folders(root.parent, r"P\d", "x", such_as="P1")] == ["P1"]
    assert [path.name for path in patient_folders(root, r"P\d", "x", such_as="P1")] == ["P1"]
    with pytest.raises(StoreError, match=r"no patient of x: folders must be named like Q1"):
        patient_folders(root, r"Q\d", "x", such_as="Q1")
