import pytest
from records_made import lesion

from panlesion.ct.organs import V1_NAMES, OrganSystem
from panlesion.infer.places import organ_words, place_words, places_words
from panlesion.nets.classes import ANATOMY_LABELS


def at(organ, side="", location=""):
    return lesion(organ=organ, side=side, location=location)


@pytest.mark.parametrize(
    ("organ", "side", "location", "said"),
    [
        ("liver", "", "segment VII", "segment VII of the liver"),
        ("kidney_left", "left", "left upper pole", "the upper pole of the left kidney"),
        ("kidney", "right", "", "the right kidney"),
        ("kidney", "", "left upper pole", "the left upper pole of the kidney"),
        ("lung_upper_lobe_left", "left", "left upper lobe", "the left upper lobe"),
        ("lung", "left", "upper zone", "the upper zone of the left lung"),
        ("esophagus", "", "middle third", "the middle third of the oesophagus"),
        ("colon", "", "sigmoid", "the sigmoid colon"),
        ("colon", "", "caecum", "the caecum"),
        ("urinary_bladder", "", "right wall", "the right wall of the bladder"),
        ("vertebrae_L3", "", "L3 vertebra", "the L3 vertebra"),
        ("rib_left_5", "left", "", "the left 5th rib"),
        ("hip_right", "right", "right hip bone", "the right hip bone"),
        ("bone", "", "", "bone"),
        ("vessel", "", "", "a vessel"),
        ("gall", "", "", "the gallbladder"),
        ("spleen", "", "spleen", "the spleen"),
        ("", "", "", "an organ that was not recognised"),
        ("background", "left", "", "an organ that was not recognised"),
        ("", "", "segment II", "segment II"),
        ("prostate_zone", "", "", "the prostate zone"),
    ],
)  # fmt: skip
def test_places_are_said_as_a_radiologist_says_them(organ, side, location, said):
    assert place_words(at(organ, side, location)) == said


@pytest.mark.parametrize("name", [*V1_NAMES.values(), *ANATOMY_LABELS, *(system.value.lower() for system in OrganSystem)])
def test_no_organ_is_spelled_the_american_way_or_with_underscores(name):
    said = organ_words(name)
    assert said and "_" not in said and "esophagus" not in said.replace("oesophagus", "")
    assert not {"vena", "clavicula", "autochthon", "gall", "vertebrae"} & set(said.split()) or "vena cava" in said


LEFT, RIGHT = ("kidney_left", "left"), ("kidney_right", "right")


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ([(*LEFT, ""), (*RIGHT, "")], "both kidneys"),
        ([(*LEFT, "left upper pole"), (*LEFT, "left lower pole")], "the left kidney (upper pole and lower pole)"),
        ([("liver", "", f"segment {n}") for n in ("II", "VII", "II")], "the liver (segments II and VII)"),
        ([("liver", "", "segment II"), ("liver", "", "")], "the liver"),
        ([("lung_upper_lobe_left", "left", ""), ("lung_middle_lobe_right", "right", "")],
         "both lungs (left upper lobe and right middle lobe)"),
        ([("vertebrae_L3", "", "L3 vertebra"), ("rib_left_5", "left", "left 5th rib")], "bone (L3 vertebra and left 5th rib)"),
        ([("bone", "", ""), ("bone", "", "")], "bone"),
        ([("liver", "", ""), ("spleen", "", "")], "the liver and the spleen"),
        ([("liver", "", ""), ("", "", "")], "several organs"),
        ([("", "", ""), ("", "", "")], "an organ that was not recognised"),
    ],
)  # fmt: skip
def test_several_places_are_summarised(places, said):
    assert places_words([at(*place) for place in places]) == said


def test_more_than_three_parts_are_not_listed():
    assert places_words([at("liver", "", f"segment {n}") for n in ("I", "II", "III", "IV")]) == "the liver"
