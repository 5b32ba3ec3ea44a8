"""A report can be read by the public loader, and says in words what the specification says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specs_made import spec_of

from panlesion.ct.phase import Phase
from panlesion.lesion.report import PUBLIC_FIELDS, describe, type_json
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion, Shape, Surface

# As the public loader has it: field, then its values in the order of their class indices.
LOADER = {
    "Shape": ["Round-like", "Irregular", "Wall thickening", "Punctate, nodular"],
    "Density": ["Hypodense", "Isodense", "Hyperdense"],
    "Heterogeneity": ["Homogeneous", "Heterogeneous"],
    "Surface": ["Well-defined margin", "Ill-defined margin"],
    "Invasion": ["No close relationship with adjacent structures", "Close relationship with adjacent structures"],
}


def loaded(text: str) -> tuple[str, list[int]]:
    """What the public loader makes of a type.json: first key, then the class index of each field."""
    sample = json.loads(text)
    label = next(iter(sample))
    return label, [values.index(sample[label][field]) for field, values in LOADER.items()]


SPECS = st.builds(
    spec_of,
    st.sampled_from(LesionType),
    phase=st.sampled_from(Phase),
    shape=st.sampled_from(Shape),
    density=st.sampled_from(Density),
    heterogeneity=st.sampled_from(Heterogeneity),
    surface=st.sampled_from(Surface),
    invasion=st.sampled_from(Invasion),
    features=st.frozensets(st.sampled_from(Feature), max_size=5),
    diameter_mm=st.floats(1.0, 300.0),
    mean_hu=st.floats(-1024.0, 3071.0),
)


@given(spec=SPECS, mean_hu=st.floats(-1024.0, 3071.0), extent=st.tuples(*[st.integers(1, 300)] * 3))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_public_loader_reads_label_and_classes_of_any_lesion(spec, mean_hu, extent) -> None:
    label, indices = loaded(json.dumps(type_json([describe(spec, extent, (5, 6, 7), mean_hu)]), allow_nan=False))
    assert label == str(min(TYPES[spec.type].organ_labels))
    said = [spec.shape, spec.density, spec.heterogeneity, spec.surface, spec.invasion]
    assert indices == [list(value.__class__).index(value) for value in said]
    assert tuple(LOADER) == PUBLIC_FIELDS


def test_the_first_lesion_is_the_one_the_loader_reads_and_all_are_listed() -> None:
    first, second = (
        describe(spec_of(LesionType.KIDNEY_CYST, organ_label=label, shape=shape), (9, 9, 9), (1, 2, 3), 43.21)
        for label, shape in ((3, Shape.ROUND), (2, Shape.IRREGULAR))
    )
    written = json.loads(json.dumps(type_json([first, second])))
    assert list(written) == ["3"]
    assert written["3"]["Shape"] == "Round-like"
    assert [lesion["Shape"] for lesion in written["3"]["lesions"]] == ["Round-like", "Irregular"]
    assert [lesion["lesion location"] for lesion in written["3"]["lesions"]] == ["3", "2"]


def test_numbers_are_those_of_the_specification() -> None:
    report = describe(spec_of(LesionType.LIVER_TUMOR), (20, 19, 18), (5, 6, 7), 43.21)
    assert report["diameter_mm"] == 20.0
    assert report["mean_hu"] == 43.2
    assert "43 HU" in report["CT value"]
    assert report["size"] == "[[20, 19, 18]] pixel"
    assert report["centre_ijk"] == [5, 6, 7]
    assert report["organ"] == "liver"
    assert report["location in organ"] == "segment 7"
    assert report["lesion type"] == "liver_tumor"


@pytest.mark.parametrize("phase", Phase)
def test_enhancement_follows_the_phase(phase) -> None:
    report = describe(spec_of(LesionType.LIVER_TUMOR, phase=phase), (1, 1, 1), (0, 0, 0), 43.21)
    assert report["enhancement status"] == ("enhanced CT" if phase.enhanced else "non-contrast CT")
    assert report["phase"] == phase.value


@given(spec=SPECS)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_the_long_template_never_contradicts_the_public_fields(spec) -> None:
    report = describe(spec, (1, 1, 1), (0, 0, 0), 43.21)
    assert report["density variations"] == spec.heterogeneity.value.lower()
    assert report["surface characteristics"].startswith(spec.surface.value.lower())
    assert report["relationship with adjacent organs"].startswith("no close") == (spec.invasion is Invasion.NOT_CLOSE)


@pytest.mark.parametrize(
    ("type", "features", "density", "words"),
    [
        (LesionType.LUNG_TUMOR, {Feature.GROUND_GLASS}, Density.HYPO, "low-density ground-glass opacity"),
        (
            LesionType.LUNG_TUMOR,
            {Feature.PART_SOLID},
            Density.HYPO,
            "isodense soft tissue mass with peripheral low-density ground-glass opacity",
        ),
        (LesionType.LIVER_TUMOR, {Feature.RIM_ENHANCEMENT}, Density.HYPO, "ring enhancement"),
        (LesionType.PANCREAS_CYST, set(), Density.HYPO, "hypoattenuating fluid-like"),
        (LesionType.GASTRIC_CANCER, set(), Density.ISO, "isodense soft tissue mass"),
        (LesionType.GALLSTONE, set(), Density.ISO, "isodense"),
        (LesionType.GALLSTONE, set(), Density.HYPER, "hyperdense"),
    ],
)
def test_density_is_told_in_the_long_templates_words(type, features, density, words) -> None:
    report = describe(spec_of(type, features=frozenset(features), density=density), (1, 1, 1), (0, 0, 0), 43.21)
    assert report["density"] == words


def test_the_serosa_of_hollow_organs_is_told() -> None:
    clear, gone = (
        describe(spec_of(LesionType.COLORECTAL_CANCER, invasion=one), (1, 1, 1), (0, 0, 0), 43.21)["surface characteristics"]
        for one in Invasion
    )
    assert "clear serosal surface" in clear
    assert "serosal surface irregularity" in gone
    solid = describe(spec_of(LesionType.LIVER_TUMOR), (1, 1, 1), (0, 0, 0), 43.21)["surface characteristics"]
    assert "serosal" not in solid


def test_features_of_form_are_told_with_the_shape_and_all_features_in_a_fixed_order() -> None:
    features = frozenset({Feature.LUMINAL_NARROWING, Feature.ULCER, Feature.INTRALUMINAL})
    report = describe(spec_of(LesionType.COLORECTAL_CANCER, shape=Shape.WALL, features=features), (1, 1, 1), (0, 0, 0), 43.21)
    assert report["shape"].startswith("irregular wall thickening")
    assert "luminal narrowing" in report["shape"]
    assert "protrusion into the lumen" in report["shape"]
    assert report["specific features"].split(", ") == sorted(feature.value for feature in features)
    assert describe(spec_of(LesionType.LIVER_TUMOR), (1, 1, 1), (0, 0, 0), 43.21)["specific features"] == ""
