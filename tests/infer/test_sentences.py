import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_made import findings, lesion

from panlesion.infer.record import Doubt, OperatingPoint, Reading
from panlesion.infer.sentences import impression_of, point_words, sentence_of, worded
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import READINGS

FORBIDDEN = re.compile(r"(?i:RADS|Bosniak|(?<!o)esophag|tumor\b)|\bNone\b|\bnan\b")


def one_line(text):
    assert text.endswith(".") and not text.endswith("..")
    assert "  " not in text and " ," not in text and " ." not in text and "()" not in text and "\n" not in text
    assert text[0].isupper() or text[0].isdigit()
    assert not FORBIDDEN.search(text)
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text)


ATTRIBUTES = {name: [value.value for value in READINGS[name]] for name in READINGS}


@st.composite
def attributes(draw):
    made = {}
    for name, values in ATTRIBUTES.items():
        if draw(st.booleans()):
            either = st.none() | st.sampled_from(values)
            made[name] = Reading(read=draw(either), probability=draw(st.none() | st.floats(0, 1)), measured=draw(either))
    return made


PLACES = st.sampled_from(
    [
        ("liver", "", "segment VII"), ("kidney_left", "left", "left upper pole"), ("lung", "right", ""), ("", "", ""),
        ("esophagus", "", "upper third"), ("vertebrae_T12", "", "T12 vertebra"), ("bone", "", ""), ("muscle", "", ""),
    ]
)  # fmt: skip
TYPE_NAMES = st.sampled_from([*(str(type_) for type_ in LesionType), "other_mass", "sarcoma", "soft_tissue", ""])


@st.composite
def lesions(draw, number=1):
    organ, side, location = draw(PLACES)
    return lesion(
        number,
        type=draw(TYPE_NAMES),
        probability=draw(st.floats(0, 1)),
        organ=organ,
        side=side,
        location=location,
        mean_hu=draw(st.floats(-1024, 3071)),
        organ_mean_hu=draw(st.none() | st.floats(-1024, 3071)),
        attributes=draw(attributes()),
    )


@given(one=lesions())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_every_sentence_is_one_plain_sentence(one):
    one_line(sentence_of(one))


@pytest.mark.parametrize("type_", [*LesionType, "other_mass"])
def test_every_agreed_reading_is_said_and_none_is_made_up(type_):
    absent = sentence_of(lesion(type=type_, attributes={}))
    for name, values in ATTRIBUTES.items():
        for value, by in itertools.product(values, ("read", "measured")):
            said = sentence_of(lesion(type=type_, attributes={name: Reading(**{by: value})}))
            one_line(said)
            free = name == "invasion" and type_.endswith("stone")
            # a punctate nodule is a nodule
            assert (said == absent) == (free or (type_ == "lung_tumor" and value == "Punctate, nodular"))


def test_the_sentence_of_a_liver_tumour():
    attributes = {
        "shape": Reading(read="Irregular", measured="Irregular"),
        "density": Reading(measured="Hypodense"),
        "heterogeneity": Reading(read="Heterogeneous"),
        "surface": Reading(read="Ill-defined margin"),
    }
    assert sentence_of(lesion(attributes=attributes)) == (
        "24 × 15 mm irregular, hypodense, heterogeneous lesion with an ill-defined margin in segment VII of the liver "
        "(mean 38 HU, liver 61 HU); 83 % probability of a lesion, most likely a liver tumour."
    )


def test_a_disagreement_is_said_and_neither_side_is_taken():
    said = sentence_of(lesion())
    assert "network and measurement disagree on heterogeneity (read as homogeneous, measured as heterogeneous);" in said
    assert "hypodense lesion with a well-defined margin" in said


def test_density_names_what_it_is_compared_with_where_that_is_not_the_organ():
    for type_, word in (
        ("gastric_cancer", "isodense to muscle,"),
        ("gallstone", "isodense to bile,"),
        ("liver_cyst", "isodense lesion"),
    ):
        assert word in sentence_of(lesion(type=type_, attributes={"density": Reading(read="Isodense")}))


@pytest.mark.parametrize(
    ("type_", "noun"), [("lung_tumor", "nodule"), ("gallstone", "focus"), ("other_mass", "mass"), ("sarcoma", "lesion")]
)
def test_the_noun_says_no_more_than_is_known(type_, noun):
    assert f"24 × 15 mm {noun} in" in sentence_of(lesion(type=type_, attributes={}))


def test_attributes_of_other_networks_are_told_too():
    said = sentence_of(lesion(attributes={"necrosis_grade": Reading(read="Much of it")}))
    assert "; necrosis grade much of it;" in said


def suspicious(number, **changes):
    return lesion(number, **changes)


def cysts(*sides, start=10, **changes):
    return [
        lesion(
            start + n,
            **({"type": "kidney_cyst", "organ": f"kidney_{side}", "side": side, "location": "", "mean_hu": 8.0} | changes),
        )
        for n, side in enumerate(sides)
    ]


def lines_of(*some, **changes):
    return impression_of(findings(*some, **({"doubts": (), "plain": None} | changes)))


@given(some=st.lists(lesions(), min_size=0, max_size=8), plain=st.sampled_from([True, False, None]), least=st.floats(0, 1))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_every_line_of_an_impression_is_one_plain_line(some, plain, least):
    point = OperatingPoint(least_probability=least)
    lines = impression_of(findings(lesions=tuple(some), plain=plain, operating_point=point))
    for line in lines:
        one_line(line)
    counting = [one for one in some if one.probability >= least]
    kinds = {one.type for one in counting}
    assert sum("probability" in line and "(" in line for line in lines) == len(kinds)
    assert any(line.startswith("No lesion of the fifteen types was found") for line in lines) == (not counting)
    dangerous = any(kind not in TYPES or TYPES[kind].malignant for kind in kinds)
    assert any("contrast-enhanced study is recommended" in line for line in lines) == (dangerous and plain is True)
    assert lines[-1] == "Doubt: Slices are 5 mm apart; small lesions may be missed."


@pytest.mark.parametrize(("sides", "said"), [("LL", "Two cysts in the left kidney"), ("LRL", "Three cysts in both kidneys")])
def test_several_of_one_benign_type_are_counted_and_summarised(sides, said):
    made = cysts(*[{"L": "left", "R": "right"}[side] for side in sides])
    (line,) = lines_of(*made)
    assert line.startswith(f"{said}, the largest 24 mm; benign type")


def test_single_findings_are_told_by_place_and_size():
    assert lines_of(lesion()) == (
        "Lesion of 24 × 15 mm in segment VII of the liver, suspicious for a liver tumour (finding 1, probability 83 %).",
    )
    (line,) = lines_of(*cysts("left"))
    assert line == "Cyst of 24 × 15 mm in the left kidney; benign type (finding 10, probability 83 %)."
    (line,) = lines_of(lesion(type="gallstone", organ="gallbladder", location="neck"))
    assert line == "Gallstone of 24 × 15 mm; benign type (finding 1, probability 83 %)."


def test_what_is_suspicious_comes_first_the_most_probable_before_all():
    lines = lines_of(
        *cysts("left", probability=0.99),
        lesion(1, probability=0.5),
        lesion(2, type="pancreas_tumor", organ="pancreas", location="head", probability=0.9),
        lesion(3, probability=0.95),
        lesion(4, type="other_mass", organ="muscle", location="", probability=0.6),
    )
    assert [word in line for word, line in zip(("liver", "pancreas", "muscle", "kidney"), lines, strict=True)] == [True] * 4
    assert lines[0].startswith(
        "Two lesions in the liver (segment VII), the largest 24 mm, suspicious for liver tumours (findings 3 and 1,"
    )


def test_numbers_in_the_impression_are_those_of_the_document():
    told = re.findall(r"findings? (\d+)(?: and (\d+))?", " ".join(lines_of(lesion(4), *cysts("left", "right"))))
    assert told == [("4", ""), ("10", "11")]


def test_dense_cysts_and_those_of_the_pancreas_are_not_called_harmless():
    (line,) = lines_of(*cysts("left", "right"), *cysts("left", start=20, mean_hu=44.0))
    assert "one of them denser than fluid (mean 44 HU), to be checked" in line
    assert "denser" not in lines_of(*cysts("left"))[0]
    assert "denser" not in lines_of(lesion(type="kidney_stone", organ="kidney_left", mean_hu=600.0))[0]
    enhanced = {"organ_mean_hu": 220.0, "mean_hu": 38.0}
    assert "denser" not in lines_of(*cysts("left", **enhanced))[0]
    assert "denser" in lines_of(*cysts("left", **(enhanced | {"mean_hu": 42.0})))[0]
    assert "denser" in lines_of(*cysts("left", organ_mean_hu=None, mean_hu=21.0))[0]
    (line,) = lines_of(lesion(type="pancreas_cyst", organ="pancreas", location="tail", mean_hu=5.0))
    assert "not told apart from cysts" in line


def test_classes_of_other_networks_are_told_as_theirs():
    (line,) = lines_of(lesion(type="soft_sarcoma", organ="", location=""))
    assert line == (
        "Lesion of 24 × 15 mm in an organ that was not recognised, of this network's class “soft sarcoma” "
        "(finding 1, probability 83 %)."
    )


def test_what_lies_below_the_operating_point_is_counted_but_not_told():
    lines = lines_of(lesion(1), lesion(2, probability=0.2), lesion(3, probability=0.1))
    assert lines[1].startswith("Two more findings are listed, but below the probability")
    assert "finding 1," in lines[0]


def test_without_findings_the_limits_are_said():
    lines = lines_of(lesions=(), plain=True, suspicion={"overall": 0.2, "esophagus": 0.2, "lung": 0.1})
    text = " ".join(lines)
    assert lines[0] == "No lesion of the fifteen types was found; findings count from a probability of 30 % on."
    assert "oesophagus, 20 %" in text
    assert "does not exclude a lesion: on 30 drawn scans this operating point found 50 % of the lesions" in text
    assert "Other diseases were not looked for" in text and "without contrast medium" in text


def test_an_operating_point_nobody_measured_says_so():
    assert point_words(OperatingPoint(least_probability=0.5)) == "how many this operating point finds is not known"
    told = OperatingPoint(least_probability=0.5, false_per_scan=0.97)
    assert point_words(told) == "where it was calibrated this operating point gave 1.0 false findings a scan"


def test_worded_fills_sentences_and_impression_and_nothing_else():
    made = findings(lesion(1, sentence=""), lesion(2, sentence=""), impression=())
    told = worded(made)
    assert [one.sentence for one in told.lesions] == [sentence_of(one) for one in made.lesions]
    assert told.impression == impression_of(made)
    assert worded(told) == told


def test_a_doubt_ends_with_one_full_stop():
    lines = lines_of(lesions=(), doubts=(Doubt(code="x", words="metal."), Doubt(code="y", words="noise")))
    assert lines[-2:] == ("Doubt: Metal.", "Doubt: Noise.")
