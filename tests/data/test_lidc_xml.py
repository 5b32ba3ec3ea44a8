import numpy as np
import pytest

from panlesion.ct.volume import standard_grid
from panlesion.data.sources.lidc_nodules import Score
from panlesion.data.sources.lidc_xml import read_annotations, series_of_xml
from panlesion.data.standins._dicom import Series
from panlesion.data.standins.lidc_idri import lidc_xml
from panlesion.errors import ReadError

SHAPE = (16, 18, 8)
GRID = standard_grid(SHAPE, 1.5, (10.0, 20.0, -300.0))
SERIES = Series(
    patient="P", study="1.2", series="1.2.3.4", frame="1.2.5", grid=GRID, images=tuple(f"1.2.9.{k}" for k in range(8))
)


@pytest.fixture
def xml():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[8:12, 8:13, 3:6] = True
    mask[9, 10, 4] = False
    return lidc_xml(SERIES, mask).decode()


def write(tmp_path, text):
    path = tmp_path / "069.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_readers_nodules_scores_and_other_marks_are_read(tmp_path, xml):
    said = read_annotations(write(tmp_path, xml))
    assert (said.series, said.readers, said.small, said.non_nodules) == ("1.2.3.4", 4, 1, 1)
    assert [(one.reader, one.id) for one in said.nodules] == [
        (1, "Nodule 001"), (2, "Nodule 001"), (2, "IL057_127364"), (3, "Nodule 001")
    ]  # fmt: skip
    assert said.nodules[0].scores == dict.fromkeys(Score, 2.0)
    outlines = said.nodules[0].outlines
    assert [(one.image, one.included) for one in outlines] == [
        ("1.2.9.3", True), ("1.2.9.4", True), ("1.2.9.4", False), ("1.2.9.5", True)
    ]  # fmt: skip
    assert outlines[0].z_mm == pytest.approx(-300 + 3 * 1.5)


def test_a_file_without_namespace_or_with_a_prefix_is_read_alike(tmp_path, xml):
    plain = read_annotations(write(tmp_path, xml))
    for text in (
        xml.replace(' xmlns="http://www.nih.gov"', ""),
        xml.replace("xmlns=", "xmlns:n=").replace("</", "</n:").replace("<n:", "<", 0).replace("<", "<n:")
        .replace("<n:?", "<?").replace("<n:/n:", "</n:"),
    ):  # fmt: skip
        other = read_annotations(write(tmp_path, text))
        assert (other.nodules, other.small) == (plain.nodules, plain.small)


def test_the_series_is_known_without_parsing_and_other_xml_is_not_of_a_ct(tmp_path, xml):
    assert series_of_xml(write(tmp_path, xml)) == "1.2.3.4"
    for text in ("<IdriReadMessage><SeriesInstanceUid>1.2</SeriesInstanceUid></IdriReadMessage>", "", b"\xff\xfe\x00"):
        assert series_of_xml(write(tmp_path, text)) == ""


def test_a_nodule_without_scores_but_with_an_outline_is_one_of_3_mm_or_more(tmp_path, xml):
    start, end = xml.index("<characteristics>"), xml.index("</characteristics>")
    said = read_annotations(write(tmp_path, xml[:start] + "<characteristics>" + xml[end:]))
    assert said.nodules[0].scores == {} and len(said.nodules) == 4


BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<LidcReadMessage><ResponseHeader><SeriesInstanceUid>&b;</SeriesInstanceUid></ResponseHeader></LidcReadMessage>"""
OUTSIDE = """<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><LidcReadMessage/>"""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: BOMB, "has a document type"),
        (lambda _: OUTSIDE, "has a document type"),
        (lambda _: BOMB.encode("utf-16"), "cannot be read as UTF-8"),
        (lambda xml: xml[: len(xml) // 2], "damaged XML"),
        (lambda _: "", "damaged XML"),
        (lambda _: b"\x00\x01\x02", "damaged XML"),
        (lambda _: "<IdriReadMessage/>", "root element IdriReadMessage"),
        (lambda _: "<LidcReadMessage/>", "no SeriesInstanceUid"),
        (lambda xml: xml.replace("readingSession", "session"), "no readingSession"),
        (lambda xml: xml.replace("<subtlety>2<", "<subtlety>9<", 1), "reader 1, nodule Nodule 001: subtlety is 9; .*1 and 5"),
        (lambda xml: xml.replace("<margin>2<", "<margin>sharp<", 1), "margin is 'sharp'; it must be a number"),
        (lambda xml: xml.replace(">TRUE<", ">maybe<", 1), "inclusion is 'MAYBE'; it must be TRUE or FALSE"),
        (lambda xml: xml.replace("<xCoord>8<", "<xCoord>8.5<", 1), r"a point at \(8.5, .*whole numbers"),
        (lambda xml: xml.replace("<xCoord>8<", "<xCoord>nan<", 1), "xCoord is nan; it must be a finite number"),
        (lambda xml: xml.replace("<yCoord>7<", "<yCoord><", 1), "yCoord is ''; it must be a number"),
    ],
)
def test_a_hostile_or_broken_file_is_refused_with_the_rule_it_breaks(tmp_path, xml, change, says):
    with pytest.raises(ReadError, match=says):
        read_annotations(write(tmp_path, change(xml)))


def test_a_mark_without_any_place_is_refused(tmp_path, xml):
    start, end = xml.index("<roi>"), xml.index("</unblindedReadNodule>")
    with pytest.raises(ReadError, match="reader 1, nodule Nodule 001: no roi"):
        read_annotations(write(tmp_path, xml[:start] + xml[end:]))
