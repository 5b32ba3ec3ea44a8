import itertools

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.codedict import codes
from records_made import lesion

from panlesion.ct.organs import V1_NAMES
from panlesion.infer.dicom_codes import (
    SCHEME,
    attribute_name,
    attribute_value,
    declared_schemes,
    finding_type,
    finding_words,
    one_line,
    private,
    site_of,
)
from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import READINGS
from panlesion.nets.classes import ANATOMY_LABELS, OTHER_MASS

STANDARD = {
    (scheme, value, meaning)
    for scheme, names in concepts.items()
    for values in names.values()
    for value, (meaning, _) in values.items()
}


def is_valid(code) -> bool:
    """Fits DICOM's fields, and is of PS3.16 with its own meaning or of our scheme."""
    fits = 0 < len(code.value) <= 16 and 0 < len(code.meaning) <= 64 and code.meaning == one_line(code.meaning)
    return fits and (code.scheme_designator == SCHEME or (code.scheme_designator, code.value, code.meaning) in STANDARD)


@pytest.mark.parametrize("name", [*LesionType, OTHER_MASS, "sarcoma", "Läsion\n1\\2", "", "x" * 200])
def test_every_class_of_a_network_has_a_valid_type_and_a_code_of_its_own(name):
    assert is_valid(finding_type(name))
    assert is_valid(private(name))


def test_the_types_say_what_a_ct_can_show():
    found = {name: finding_type(name).meaning for name in [*LesionType, OTHER_MASS, "sarcoma"]}
    assert {name for name, said in found.items() if said == "Cyst"} == {"liver_cyst", "pancreas_cyst", "kidney_cyst"}
    assert found["gallstone"] == "Gallstone" and found["kidney_stone"] == "Renal stone"
    assert found["bone_metastasis"] == "Neoplasm, Secondary"
    assert found["gastric_cancer"] == found["liver_tumor"] == "Neoplasm"
    assert (found[OTHER_MASS], found["sarcoma"]) == ("Mass", "Lesion")


def test_a_segment_may_be_of_every_standard_type():
    allowed = {getattr(codes.cid7151, name).value for name in codes.cid7151.dir()}
    outside = {str(name) for name in LesionType if finding_type(name).value not in allowed}
    assert outside == {"gallstone", "kidney_stone"}


def test_classes_are_told_in_words():
    assert finding_words("esophageal_cancer") == "oesophageal cancer"
    assert finding_words("soft_tissue\nsarcoma") == "soft tissue sarcoma"


@pytest.mark.parametrize("label", sorted(V1_NAMES))
def test_every_organ_has_a_place_and_its_side(label):
    name = V1_NAMES[label]
    site = site_of(lesion(organ=name, location=""))
    assert is_valid(site.structure)
    side = next((s for s in ("left", "right") if s in name.split("_") and not name.startswith("heart")), None)
    assert (site.side and site.side.meaning.lower()) == side
    assert site.part is None


@pytest.mark.parametrize("name", sorted(ANATOMY_LABELS))
def test_every_anatomy_class_of_a_network_has_a_standard_place(name):
    assert site_of(lesion(organ=name, location="")).structure.scheme_designator == "SCT"


@pytest.mark.parametrize(
    ("said", "structure", "side", "part"),
    [
        ({"organ": "liver", "location": "segment VII"}, "277961009", None, None),
        ({"organ": "liver", "location": ""}, "10200004", None, None),
        ({"organ": "lung", "side": "right", "location": "upper zone"}, "281392002", "Right", None),
        ({"organ": "lung_upper_lobe_left", "location": "left upper lobe"}, "45653009", "Left", None),
        ({"organ": "kidney_left", "location": "left upper pole"}, "64033007", "Left", "left upper pole"),
        ({"organ": "pancreas", "location": "head"}, "15776009", None, "head"),
        ({"organ": "colon", "location": "sigmoid"}, "60184004", None, None),
        ({"organ": "vertebrae_L3", "location": "L3 vertebra"}, "36470004", None, None),
        ({"organ": "vertebrae_T12", "location": "T12 vertebra"}, "23215003", None, None),
        ({"organ": "rib_left_5", "location": "left 5th rib"}, "113197003", "Left", "left 5th rib"),
        ({"organ": "clavicula_right", "location": "right clavicle"}, "51299004", "Right", None),
        ({"organ": "heart_atrium_left", "location": ""}, "82471001", None, None),
    ],
)
def test_places(said, structure, side, part):
    site = site_of(lesion(**said))
    assert site.structure.value == structure
    assert (site.side.meaning if site.side else None) == side
    assert (site.part.meaning if site.part else None) == part


def test_an_unknown_organ_is_that_of_the_type_or_nothing():
    assert site_of(lesion(organ="", location="")).structure.meaning == "Liver"
    assert site_of(lesion(organ="", location="", type=OTHER_MASS)) is None
    odd = site_of(lesion(organ="thyroid_left", location="lower\\pole"))
    assert odd.structure.scheme_designator == SCHEME and odd.side.meaning == "Left"
    assert is_valid(odd.structure) and is_valid(odd.part)


def test_answers_of_one_attribute_have_different_codes():
    for name, answers in READINGS.items():
        values = [attribute_value(str(answer)) for answer in answers]
        assert all(map(is_valid, values))
        assert len({code.value for code in values}) == len(values)
        read, measured = attribute_name(name), attribute_name(name, measured=True)
        assert is_valid(read) and is_valid(measured)
        assert read.value != measured.value


def test_unknown_attributes_and_answers_are_valid_too():
    assert is_valid(attribute_name("calcification pattern"))
    assert is_valid(attribute_value("popcorn-like, in several clusters of different size, some of them very large"))


def test_private_codes_are_told_apart_and_never_change():
    words = ["Hypodense", "hypodense", "tumour a", "tumour_a", "Tumour A", "", " ", "a" * 80, "a" * 81, "é", "è"]
    for one, other in itertools.combinations(words, 2):
        assert private(one).value != private(other).value
    assert private("Hypodense").value == "hypodense"
    assert private("upper third") == private("upper third")
    assert private("upper third").value == "upper-t-e458b482"


def test_the_scheme_is_declared():
    (item,) = declared_schemes()
    assert item.CodingSchemeDesignator == SCHEME == "99PANLESION"
