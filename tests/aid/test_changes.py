import numpy as np
import pytest
from reading_made import made_findings

from panlesion.aid.reads.begin import document_of
from panlesion.aid.reads.changes import MOST_MEASUREMENTS, TYPE_NAMES, ChangeError, Scene, applied, found
from panlesion.aid.reads.words import ai_record
from panlesion.aid.schemas.reading import ChangesIn
from panlesion.aid.vocabulary import Decision, Origin
from panlesion.ct.volume import Volume, standard_grid
from panlesion.lesion.vocabulary import READINGS

GRID = standard_grid((10, 12, 14), 2.0)
SCENE = Scene(grid=GRID, scan=lambda: Volume(hu=np.zeros(GRID.shape, np.int16), grid=GRID))
LINE = {"kind": "length", "points_xyz": [[0, 0, 0], [9, 0, 0]]}
CLOSE = "Close relationship with adjacent structures"


@pytest.fixture
def document():
    return document_of(made_findings())


def change(document, *told):
    return applied(document, ChangesIn.model_validate({"changes": list(told)}).changes, SCENE)


def test_a_decision_is_of_one_finding_and_leaves_the_rest_as_it_was(document):
    after = change(document, {"op": "decide", "number": 2, "decision": "rejected"})
    assert found(after, 2).decision is Decision.REJECTED
    assert [one for one in after.findings if one.number != 2] == [one for one in document.findings if one.number != 2]
    assert found(document, 2).decision is Decision.OPEN


@pytest.mark.parametrize("name", READINGS)
def test_every_value_of_an_attribute_can_be_set_and_given_back_to_the_ai(document, name):
    before = found(document, 1).attributes[name]
    for value in READINGS[name]:
        after = change(document, {"op": "describe", "number": 1, "attribute": name, "value": value.value})
        assert found(after, 1).attributes[name].value == value.value
        assert found(after, 1).attributes[name].by is Origin.READER
        assert found(after, 1).attributes[name].ai == before.ai
        back = change(after, {"op": "describe", "number": 1, "attribute": name, "value": None})
        assert found(back, 1).attributes[name] == before


@pytest.mark.parametrize("type_", TYPE_NAMES)
def test_every_type_can_be_chosen_and_the_ais_own_word_stays(document, type_):
    after = change(document, {"op": "retype", "number": 1, "type": type_})
    assert found(after, 1).type == type_
    assert ai_record(found(after, 1)).type == "liver_tumor"
    free = type_ in ("gallstone", "kidney_stone")
    assert (found(after, 1).attributes["invasion"].value is None) == free
    assert change(after, {"op": "retype", "number": 1, "type": "liver_tumor"}) == document


def test_what_lies_free_has_no_relation_to_neighbours_to_be_told(document):
    told = {"op": "describe", "number": 3, "attribute": "invasion", "value": CLOSE}
    with pytest.raises(ChangeError, match="finding 3 is a gallstone"):
        change(document, told)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"op": "decide", "number": 9, "decision": "accepted"}, "no finding 9; the reading has 1, 2, 3"),
        ({"op": "retype", "number": 1, "type": "wart"}, "'wart'; use one of lung_tumor"),
        ({"op": "describe", "number": 1, "attribute": "colour", "value": "red"}, "'colour'; use one of shape"),
        ({"op": "describe", "number": 1, "attribute": "shape", "value": "Square"}, "'Square'; use one of Round-like"),
        ({"op": "place", "number": 1, "organ": "soul"}, "'soul'; use a name of /api/choices"),
        ({"op": "add", "number": 2, "type": "liver_cyst"}, "finding 2 is there already"),
        ({"op": "add", "number": 4, "type": "wart"}, "'wart'"),
        ({"op": "remove", "number": 1}, "finding 1 is the AI's"),
        ({"op": "unmeasure", "id": "x"}, "no measurement 'x'"),
        ({"op": "measure", "measurement": LINE | {"finding": 7}}, "no finding 7"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_words_and_nothing_before_it_is_kept(document, told, says):
    with pytest.raises(ChangeError, match=says):
        change(document, {"op": "write", "field": "comment", "text": "kept?"}, told)
    assert document.comment == ""


def test_what_a_reader_adds_can_be_removed_and_its_measurements_stay_without_it(document):
    line = {"kind": "length", "points_xyz": [[0, 0, 0], [3, 4, 0]], "finding": 7}
    with_it = change(
        document,
        {"op": "add", "number": 7, "type": "liver_cyst", "origin": "proposal"},
        {"op": "measure", "measurement": line},
    )
    assert found(with_it, 7).origin is Origin.PROPOSAL and found(with_it, 7).size is None
    assert with_it.measurements[0].values == {"length_mm": 5.0}
    without = change(with_it, {"op": "remove", "number": 7})
    assert without.findings == document.findings
    assert [one.finding for one in without.measurements] == [None]
    assert change(without, {"op": "unmeasure", "id": with_it.measurements[0].id}).measurements == []


def test_place_note_and_own_words_are_kept_as_they_were_written(document):
    text = "<script>alert(1)</script> \u0430\u0431\u0432 \U0001fac1\n"
    after = change(
        document,
        {"op": "note", "number": 1, "text": text},
        {"op": "place", "number": 1, "organ": "kidney_left", "side": "left", "location": "left lower pole"},
        {"op": "write", "field": "comment", "text": text},
        {"op": "write", "field": "impression", "text": text},
    )
    one = found(after, 1)
    assert (one.note, after.comment, after.impression_text) == (text, text, text)
    assert (one.organ, one.side, one.location) == ("kidney_left", "left", "left lower pole")
    assert change(after, {"op": "write", "field": "impression", "text": None}).impression_text is None


def test_there_is_a_most_of_measurements(document):
    line = {"op": "measure", "measurement": {"kind": "length", "points_xyz": [[0, 0, 0], [3, 4, 0]]}}
    one = change(document, line).measurements
    full = document.model_copy(update={"measurements": one * MOST_MEASUREMENTS})
    with pytest.raises(ChangeError, match=f"{MOST_MEASUREMENTS} measurements"):
        change(full, line)
