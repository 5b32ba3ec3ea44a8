import pytest
from reading_made import made_findings
from records_made import findings

from panlesion.aid.reads.begin import document_of
from panlesion.aid.reads.changes import Scene, applied
from panlesion.aid.reads.document import Document
from panlesion.aid.reads.words import NOTHING_YET, record_of, view_of, without_ai, worded
from panlesion.aid.schemas.reading import ChangesIn
from panlesion.ct.volume import standard_grid
from panlesion.infer.sentences import worded as worded_by_infer

GRID = standard_grid((48, 40, 7), 2.0)
BASE = made_findings()


def change(document, *told, base=BASE):
    changes = ChangesIn.model_validate({"changes": list(told)}).changes
    return worded(applied(document, changes, Scene(grid=GRID, scan=lambda: None)), base)


def test_what_nobody_has_changed_is_told_as_the_network_told_it():
    theirs, document = worded_by_infer(BASE), document_of(BASE)
    assert [one.sentence for one in document.findings] == [one.sentence for one in theirs.lesions]
    assert tuple(document.impression) == theirs.impression
    assert view_of(document, BASE).lesions == theirs.lesions


def test_a_rejected_finding_leaves_the_impression_and_comes_back():
    document = document_of(BASE)
    after = change(document, {"op": "decide", "number": 2, "decision": "rejected"})
    assert any("kidney" in line for line in document.impression)
    assert not any("kidney" in line for line in after.impression)
    assert change(after, {"op": "decide", "number": 2, "decision": "open"}) == document


def test_when_all_are_rejected_the_network_is_not_quoted_as_having_found_nothing():
    told = [{"op": "decide", "number": n, "decision": "rejected"} for n in (1, 2, 3)]
    after = change(document_of(BASE), *told)
    assert after.impression[0] == "No lesion: the reader rejected three findings of the network."
    assert after.impression[1:] == ["Doubt: Slices are 5 mm apart; small lesions may be missed."]


def test_a_network_that_found_nothing_is_quoted_and_an_empty_reading_by_hand_is_not():
    none = findings(*BASE.lesions, lesions=())
    assert tuple(document_of(none).impression) == worded_by_infer(none).impression
    by_hand = worded(Document(), without_ai("x", GRID))
    assert by_hand.impression == [NOTHING_YET]


def test_a_readers_type_and_attribute_stand_in_the_sentence_and_the_networks_certainty_is_not_put_on_them():
    after = change(
        document_of(BASE),
        {"op": "retype", "number": 1, "type": "liver_cyst"},
        {"op": "describe", "number": 1, "attribute": "heterogeneity", "value": "Heterogeneous"},
    )
    (one,) = (one for one in after.findings if one.number == 1)
    assert "heterogeneous" in one.sentence and "disagree" not in one.sentence
    assert one.sentence.endswith("83 % probability of a lesion, a liver cyst by the reader.")
    assert "most likely" not in one.sentence


def test_of_a_readers_finding_no_probability_is_told():
    document = change(document_of(BASE), {"op": "add", "number": 9, "type": "lung_tumor"})
    (bare,) = (one for one in document.findings if one.number == 9)
    assert bare.sentence == "Lung tumour without an outline." and record_of(bare) is None
    size = document.findings[0].size
    marked = worded(
        document.model_copy(
            update={
                "findings": [one.model_copy(update={"size": size}) if one.number == 9 else one for one in document.findings]
            }
        ),
        BASE,
    )
    (one,) = (one for one in marked.findings if one.number == 9)
    assert one.sentence.endswith("marked by the reader as a lung tumour.")
    (line,) = (line for line in marked.impression if "finding 9" in line)
    assert "probability" not in line


@pytest.mark.parametrize(("count", "word"), [(1, "One finding"), (2, "Two findings")])
def test_findings_without_an_outline_are_counted(count, word):
    base = without_ai("x", GRID)
    told = [{"op": "add", "number": n, "type": "liver_cyst"} for n in range(1, count + 1)]
    assert change(Document(), *told, base=base).impression == [f"{word} without an outline."]
