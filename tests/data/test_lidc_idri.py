import re
import shutil

import numpy as np
import pydicom
import pytest
from annotated_scans_made import rewrite, same_case, scans

from panlesion.ct.volume import LabelMap
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.lidc_idri import SOURCE
from panlesion.data.sources.lidc_nodules import Score
from panlesion.data.standins._dicom import write_series
from panlesion.data.standins.lidc_idri import write_lidc_idri
from panlesion.errors import GeometryError, ReadError, StoreError

SHAPE = (20, 22, 14)


def two_nodules():
    """A nodule with a hole in it, and a second one; the drawn scans have no other label."""
    cases = []
    for case in scans(2, shape=SHAPE):
        labels = np.zeros(SHAPE, dtype=np.uint8)
        labels[8:14, 8:15, 5:9] = 1
        labels[10:12, 10:12, 6:8] = 0
        labels[16:18, 4:7, 10:12] = 1
        label = LabelMap(labels=labels, grid=case.ct.grid)
        cases.append(LabelledCT(id=case.id, patient=case.patient, ct=case.ct, label=label))
    return cases


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, drawn = tmp_path_factory.mktemp("lidc"), two_nodules()
    write_lidc_idri(folder, drawn)
    return folder, drawn


@pytest.fixture
def root(written, tmp_path):
    shutil.copytree(written[0], tmp_path / "root")
    return tmp_path / "root"


def xml(root, patient="LIDC-IDRI-0001"):
    (path,) = (root / "LIDC-IDRI" / patient).rglob("*.xml")
    return path


def edit(path, change):
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def without_reader(text, reader):
    """The text with the nodules of a reader, counted from 1, taken out of it."""
    sessions = text.split("<readingSession>")
    sessions[reader] = re.sub(r"<unblindedReadNodule>.*?</unblindedReadNodule>", "", sessions[reader], flags=re.DOTALL)
    return "<readingSession>".join(sessions)


def test_what_half_of_the_readers_outlined_is_the_label_and_the_rest_is_counted(written):
    root, drawn = written
    for case, one in zip(SOURCE.stream(root), drawn, strict=True):
        assert same_case(case, one)
        assert (case.readers, case.small, case.non_nodules, case.outvoted) == (4, 1, 1, 1)


def test_each_nodule_has_the_median_scores_of_the_readers_who_drew_it(written):
    root, drawn = written
    first, second = next(SOURCE.stream(root)).nodules
    assert (first.readers, first.scores) == (3, dict.fromkeys(Score, 3.0))
    assert [one.voxels for one in (first, second)] == [int((drawn[0].label.labels[:15] > 0).sum()), 12]
    assert second.centre_xyz == pytest.approx(tuple(drawn[0].ct.grid.to_xyz((16.5, 5, 10.5))))


def test_two_of_four_are_half_and_one_is_not(root, written):
    edit(xml(root), lambda text: without_reader(text, 1))
    case = next(SOURCE.stream(root))
    assert same_case(case, written[1][0]) and case.nodules[0].scores[Score.MARGIN] == 3.5
    edit(xml(root), lambda text: without_reader(text, 2))
    case = next(SOURCE.stream(root))
    assert not case.label.labels.any() and case.nodules == () and case.outvoted == 2


def test_the_outline_itself_is_no_part_of_the_nodule(root, written):
    """Every point of the XML's outer lines is a voxel outside the label, next to it."""
    text = xml(root).read_text()
    roi = text[text.index("<roi>") : text.index("</roi>")]
    label = next(SOURCE.stream(root)).label.labels
    points = [(int(x), int(y)) for x, y in re.findall(r"<xCoord>(\d+)</xCoord><yCoord>(\d+)</yCoord>", roi)]
    assert points and not any(label[x, y, 5] for x, y in points)
    assert all(label[x - 1 : x + 2, y - 1 : y + 2, 5].any() for x, y in points)
    assert label.sum() == written[1][0].label.labels.sum()


def test_an_outline_without_its_image_is_placed_by_its_position(root, written):
    edit(xml(root), lambda text: re.sub(r"<imageSOP_UID>[\d.]*</imageSOP_UID>", "<imageSOP_UID>9.9</imageSOP_UID>", text))
    assert same_case(next(SOURCE.stream(root)), written[1][0])
    edit(xml(root), lambda text: re.sub(r"<imageZposition>[-\d.]*<", "<imageZposition>51.1<", text))
    with pytest.raises(ReadError, match=r"LIDC-IDRI-0001: .*image 9.9 at z 51.1 mm is no slice"):
        next(SOURCE.stream(root))


def test_xml_from_the_separate_download_is_found_by_its_series(root, written):
    folder = root / "tcia-lidc-xml" / "157"
    folder.mkdir(parents=True)
    for number, patient in enumerate(("LIDC-IDRI-0001", "LIDC-IDRI-0002")):
        shutil.move(xml(root, patient), folder / f"{158 - number}.xml")
    (folder / "x-ray.xml").write_text("<IdriReadMessage/>")
    for case, one in zip(SOURCE.stream(root), written[1], strict=True):
        assert same_case(case, one)


def test_two_cts_of_one_person_are_two_cases_of_one_patient(root, written):
    first = SOURCE.find(root)[0].image
    second = first.parent / "3000600.000000-NA-1"
    write_series(second, written[1][1].ct, patient="LIDC-IDRI-0001", number=8)
    with pytest.raises(StoreError, match="none of the 2 XML files is about its series"):
        SOURCE.find(root)
    text = xml(root, "LIDC-IDRI-0002").read_text()
    new = pydicom.dcmread(next(second.iterdir()), stop_before_pixels=True).SeriesInstanceUID
    (second / "070.xml").write_text(re.sub(r"<SeriesInstanceUid>[\d.]*<", f"<SeriesInstanceUid>{new}<", text))
    assert [(case.id, case.patient) for case in SOURCE.find(root)] == [
        ("LIDC-IDRI-0001_1", "LIDC-IDRI-0001"), ("LIDC-IDRI-0001_2", "LIDC-IDRI-0001"), ("LIDC-IDRI-0002", "LIDC-IDRI-0002")
    ]  # fmt: skip


def test_other_images_of_a_patient_are_passed_over(root, written):
    folder = SOURCE.find(root)[0].image.parent / "radiograph"
    write_series(folder, written[1][0].ct, patient="LIDC-IDRI-0001", number=9)
    for path in folder.iterdir():
        rewrite(path, lambda ds: setattr(ds.file_meta, "MediaStorageSOPClassUID", "1.2.840.10008.5.1.4.1.1.1.1"))
    assert [case.id for case in SOURCE.find(root)] == ["LIDC-IDRI-0001", "LIDC-IDRI-0002"]


def test_a_ct_without_xml_and_a_patient_without_ct_are_refused(root):
    images = [case.image for case in SOURCE.find(root)]
    xml(root).unlink()
    with pytest.raises(StoreError, match=r"LIDC-IDRI-0001.*unpack LIDC-XML-only.zip"):
        SOURCE.find(root)
    for image in images:
        shutil.rmtree(image)
    with pytest.raises(StoreError, match="its patients have no CT"):
        SOURCE.find(root)


def test_a_point_outside_the_image_is_refused(root):
    edit(xml(root), lambda text: text.replace("<xCoord>8<", "<xCoord>512<", 1))
    with pytest.raises(ReadError, match=r"LIDC-IDRI-0001: .*a point lies outside the image of 20x22 pixels"):
        next(SOURCE.stream(root))


def test_missing_slices_are_an_error_that_names_the_patient(root):
    sorted(SOURCE.find(root)[0].image.glob("*.dcm"))[6].unlink()
    with pytest.raises(GeometryError, match=r"LIDC-IDRI-0001: .*1 slice\(s\) missing"):
        next(SOURCE.stream(root))
