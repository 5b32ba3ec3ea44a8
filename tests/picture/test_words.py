import pytest

from panlesion.picture.words import lesion_centres, organ_name, report_lines

LONG = {
    "5": [
        "irregular,",
        "",
        {
            "lesion location": "5",
            "size": "[[28 29 26]] pixel,",
            "specific features": "increased density areas,decreased density areas,",
            "nothing": "",
        },
        [[[261, 179, 107]], [[28, 29, 26]]],
    ]
}


def test_the_long_template_is_read_in_its_own_order_without_its_commas():
    assert report_lines(LONG) == [
        ("Organ", "Liver"),
        ("Lesion location", "liver"),
        ("Size", "28 × 29 × 26 voxels"),
        ("Specific features", "increased density areas, decreased density areas"),
    ]


def test_the_fields_of_the_public_loader_are_read_directly():
    lines = report_lines({"3": {"Shape": "Round-like", "mean_hu": 12.5, "features": ["septa", "capsule"]}})
    assert lines == [("Organ", "Kidney left"), ("Shape", "Round-like"), ("Mean hu", "12.5"), ("Features", "septa, capsule")]


def test_nested_tables_follow_the_outer_one_and_say_nothing_twice():
    lines = report_lines({"5": {"Shape": "Round-like", "long": {"Shape": "Round-like", "size": "10 mm"}}})
    assert lines == [("Organ", "Liver"), ("Shape", "Round-like"), ("Size", "10 mm")]


def test_an_empty_or_unknown_report_gives_what_it_can():
    assert report_lines({}) == []
    assert report_lines({"x": {"Shape": "Irregular"}}) == [("Shape", "Irregular")]
    assert organ_name("250") == ""


def ours(**changed):
    lesion = {
        "Shape": "Irregular",
        "Density": "Hypodense",
        "Heterogeneity": "Heterogeneous",
        "Surface": "Ill-defined margin",
        "Invasion": "No close relationship with adjacent structures",
        "organ": "liver",
        "location in organ": "segment VIII",
        "shape": "irregular, luminal narrowing",
        "size": "[[28, 29, 26]] pixel",
        "diameter_mm": 31.5,
        "density": "ring enhancement",
        "mean_hu": 57.4,
        "surface characteristics": "ill-defined margin, clear serosal surface",
        "specific features": "",
    }
    return lesion | changed


def test_our_own_report_says_every_fact_once():
    assert report_lines({"5": {**ours(), "lesions": [ours()]}}) == [
        ("Location", "liver, segment VIII"),
        ("Size", "31.5 mm"),
        ("Shape", "Irregular, luminal narrowing"),
        ("Density", "Hypodense, ring enhancement; mean 57 HU"),
        ("Heterogeneity", "Heterogeneous"),
        ("Margin", "Ill-defined margin, clear serosal surface"),
        ("Relation to neighbours", "No close relationship with adjacent structures"),
    ]


def test_spellings_of_one_word_are_not_repeated():
    lesion = ours(Shape="Punctate, nodular", shape="punctate/nodular", Density="Isodense", density="isodense soft tissue mass")
    lines = dict(report_lines({"5": lesion}))
    assert lines["Shape"] == "Punctate, nodular"
    assert lines["Density"] == "Isodense soft tissue mass; mean 57 HU"


@pytest.mark.parametrize(
    ("organ", "seat", "location"),
    [
        ("kidney_left", "left lower pole", "kidney, left lower pole"),
        ("rib_right_8", "right 8th rib", "right 8th rib"),
        ("colon", "", "colon"),
        ("urinary_bladder", "right wall", "urinary bladder, right wall"),
    ],
)
def test_a_location_says_no_word_twice(organ, seat, location):
    assert dict(report_lines({"5": ours(**{"organ": organ, "location in organ": seat})}))["Location"] == location


def test_several_lesions_get_one_paragraph_each():
    lines = report_lines({"5": {**ours(), "lesions": [ours(), ours(diameter_mm=8.0)]}})
    assert [field for field, _ in lines] == ["Lesion 1 of 2", "Lesion 2 of 2"]
    assert "31.5 mm" in lines[0][1] and "8 mm" in lines[1][1]


def test_the_centres_of_our_lesions_are_told_in_the_reports_order():
    lesions = [ours(centre_ijk=[1, 2, 3]), ours(centre_ijk=[4, 5, 6])]
    assert lesion_centres({"5": {**lesions[0], "lesions": lesions}}) == [(1, 2, 3), (4, 5, 6)]
    assert lesion_centres(LONG) == []
    assert lesion_centres({"5": ours()}) == []


def test_what_the_report_module_writes_is_recognised():
    from panlesion.ct.phase import Phase
    from panlesion.lesion.report import describe, type_json
    from panlesion.lesion.spec import LesionSpec
    from panlesion.lesion.taxonomy import LesionType
    from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface

    spec = LesionSpec(
        type=LesionType.LIVER_TUMOR,
        phase=Phase.PORTAL,
        organ_label=5,
        seat="segment VIII",
        centre_xyz=(0.0, 0.0, 0.0),
        diameter_mm=22.0,
        mean_hu=60.0,
        shape=Shape.ROUND,
        density=Density.HYPO,
        heterogeneity=Heterogeneity.HOMOGENEOUS,
        surface=Surface.WELL_DEFINED,
        invasion=Invasion.NOT_CLOSE,
    )
    lines = dict(report_lines(type_json([describe(spec, (22, 21, 20), (5, 6, 7), spec.mean_hu)])))
    assert lines["Location"] == "liver, segment VIII"
    assert lines["Density"] == "Hypodense; mean 60 HU"
