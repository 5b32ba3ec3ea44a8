import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_made import lesion

from panlesion.infer._words import (
    axes_digits,
    clean,
    counted,
    hu_digits,
    listed,
    ml_digits,
    mm_digits,
    most_likely,
    percent,
    plural,
    type_words,
    with_article,
)
from panlesion.infer.record import Caliper
from panlesion.lesion.taxonomy import TYPES


def caliper(mm):
    return Caliper(length_mm=mm, ends_ijk=((0, 0, 0), (1, 0, 0)), ends_xyz=((0.0, 0.0, 0.0), (mm, 0.0, 0.0)))


@pytest.mark.parametrize(
    ("mm", "said"), [(0.04, "0.0"), (3.0, "3.0"), (9.94, "9.9"), (9.96, "10"), (10.4, "10"), (24.6, "25"), (151.2, "151")]
)
def test_millimetres_are_whole_from_ten_on_and_have_one_decimal_below(mm, said):
    assert mm_digits(mm) == said


@pytest.mark.parametrize(
    ("ml", "said"),
    [
        (0.0, "<0.01"), (0.004, "<0.01"), (0.0995, "0.10"), (0.123, "0.12"), (0.999, "1.0"), (3.14159, "3.1"), (9.96, "10"),
        (47.7, "48"), (123.4, "120"), (1260.0, "1300"),
    ],
)  # fmt: skip
def test_millilitres_have_two_significant_digits(ml, said):
    assert ml_digits(ml) == said


@given(ml=st.floats(0.01, 1e4))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_volume_is_told_to_five_per_cent(ml):
    assert float(ml_digits(ml)) == pytest.approx(ml, rel=0.051)


@pytest.mark.parametrize(("share", "said"), [(0.0, "<1 %"), (0.004, "<1 %"), (0.826, "83 %"), (0.9949, "99 %"), (1.0, ">99 %")])
def test_nothing_is_certain_or_impossible(share, said):
    assert percent(share) == said


def test_hu_are_whole_and_never_minus_nought():
    assert [hu_digits(hu) for hu in (-0.3, 0.4, -707.4, 38.6)] == ["0", "0", "-707", "39"]


def test_axes_of_a_mask_one_voxel_wide_say_what_is_known():
    assert axes_digits(lesion(long=caliper(24.2), short=caliper(8.04))) == "24 × 8.0"
    assert axes_digits(lesion(long=caliper(24.2), short=caliper(0.0))) == "24"
    assert axes_digits(lesion(long=caliper(0.0), short=caliper(0.0), diameter_mm=3.1)) == "3.1"


def test_names_become_words_whatever_they_hold():
    assert clean(" soft_tissue\tsarcoma\n\x00\u202e.. ") == "soft tissue sarcoma"


def test_lists_counts_and_plurals():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [counted(1), counted(12), counted(13)] == ["one", "twelve", "13"]
    assert plural("bone metastasis") == "bone metastases"
    assert plural("gastric cancer") == "gastric cancer"
    assert [plural(noun) for noun in ("mass", "focus", "kidney stone")] == ["masses", "foci", "kidney stones"]


def test_articles():
    assert with_article("ill-defined") == "an ill-defined"
    assert with_article("liver tumour") == "a liver tumour"
    assert with_article("oesophageal cancer") == "oesophageal cancer"


def test_every_type_has_its_british_name_and_others_their_own():
    assert [type_words(type_) for type_ in TYPES] == [info.name for info in TYPES.values()]
    assert most_likely("esophageal_cancer") == "oesophageal cancer"
    assert most_likely("other_mass") == "a mass of none of the fifteen types"
    assert most_likely("soft_sarcoma") == "of class “soft sarcoma”"
    assert type_words("..") == "class without a name"
