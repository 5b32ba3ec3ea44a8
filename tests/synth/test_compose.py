"""A healthy host becomes a case whose report is true, whose record makes it again, and whose box holds all that changed."""

import json

import numpy as np
import pytest
from terrain_made import KIDNEY, LIVER, liver_host, sac_host

from panlesion.errors import PlacementError, VerifyError
from panlesion.lesion.report import PUBLIC_FIELDS
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface
from panlesion.synth.compose import draw_lesion, make_case, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.plan import from_json, to_json

VOCABULARIES = dict(zip(PUBLIC_FIELDS, (Shape, Density, Heterogeneity, Surface, Invasion), strict=True))
CASES = [
    (LesionType.LUNG_TUMOR,),
    (LesionType.LIVER_TUMOR, LesionType.LIVER_TUMOR, LesionType.LIVER_CYST),
    (LesionType.GALLSTONE,),
    (LesionType.KIDNEY_CYST, LesionType.KIDNEY_STONE, LesionType.KIDNEY_TUMOR),
    (LesionType.GASTRIC_CANCER,),
    (LesionType.BONE_METASTASIS, LesionType.BONE_METASTASIS),
]


def test_the_report_of_a_first_draw_is_true_in_95_of_100(first_draws) -> None:
    draws = [(type, n, draw.check.failures) for type in LesionType for n, draw in enumerate(first_draws[type])]
    failed = [(type.value, n, failures) for type, n, failures in draws if failures]
    assert 1 - len(failed) / len(draws) >= 0.95, failed


@pytest.mark.parametrize("type", LesionType)
def test_a_record_makes_the_same_plan_and_the_same_bytes(first_draws, phantom_host, type) -> None:
    draw = first_draws[type][0]
    plan = from_json(json.loads(json.dumps(to_json(draw.plan), allow_nan=False)))
    assert plan == draw.plan
    again = render_lesion(plan, phantom_host)
    assert again.box == draw.rendered.box
    for name in ("hu", "labels", "mask"):
        assert getattr(again, name).tobytes() == getattr(draw.rendered, name).tobytes()


@pytest.mark.parametrize("type", LesionType)
def test_a_lesion_lies_in_its_box_and_on_its_organ(first_draws, phantom_host, type) -> None:
    for draw in first_draws[type]:
        box, mask = draw.rendered.box, draw.rendered.mask
        assert box.clipped(phantom_host.ct.grid.shape) == box
        assert mask.any()
        assert mask.shape == draw.rendered.hu.shape == draw.rendered.labels.shape == box.shape
        organ = phantom_host.organs.mask(TYPES[type].organ_labels)[box.slices]
        assert (mask & organ).any()


@pytest.mark.parametrize("type", LesionType)
def test_only_the_rim_of_a_box_is_quiet(first_draws, phantom_host, type) -> None:
    """What changes fades out before the box ends: no edge is cut through it."""
    for draw in first_draws[type]:
        if draw.plan.matter.push > 0:
            continue
        host = phantom_host.ct.hu[draw.rendered.box.slices].astype(np.float32)
        change, sd = draw.rendered.hu - host, phantom_host.facts.noise(draw.plan.spec.organ_label).sd_hu
        for axis in range(3):
            for face, end in ((0, 0), (-1, host.shape[axis])):
                border = 0 if face == 0 else phantom_host.ct.grid.shape[axis]
                start = draw.rendered.box.start[axis]
                if start + end != border:
                    assert np.sqrt(np.mean(np.take(change, face, axis) ** 2)) < 0.5 * sd + 1


@pytest.fixture(scope="module", params=CASES, ids=lambda types: "+".join(types))
def case(request, phantom_host):
    return request.param, make_case(phantom_host, request.param, np.random.default_rng(21))


def test_all_that_changed_lies_in_the_box(case, phantom_host) -> None:
    _, made = case
    outside = np.ones(phantom_host.ct.grid.shape, dtype=bool)
    outside[made.box.slices] = False
    assert np.array_equal(made.image.hu[outside], phantom_host.ct.hu[outside])
    assert np.array_equal(made.organs.labels[outside], phantom_host.organs.labels[outside])
    assert not (made.label.labels[outside] == 2).any()
    assert not np.array_equal(made.image.hu, phantom_host.ct.hu)
    assert made.image.grid.same_as(phantom_host.ct.grid)


def test_the_label_has_organ_and_lesion(case, phantom_host) -> None:
    types, made = case
    assert set(np.unique(made.label.labels)) == {0, 1, 2}
    organ = phantom_host.organs.mask(TYPES[types[0]].organ_labels)
    assert (made.label.labels == 1)[~organ].sum() == 0
    assert made.image.hu.dtype == np.int16


def test_the_report_is_in_the_loaders_words_and_keyed_by_its_organ(case) -> None:
    types, made = case
    key = next(iter(made.report))
    assert int(key) in TYPES[types[0]].organ_labels
    for lesion in (made.report[key], *made.report[key]["lesions"]):
        for field, vocabulary in VOCABULARIES.items():
            assert lesion[field] in {word.value for word in vocabulary}
    assert 1 <= len(made.report[key]["lesions"]) <= len(types)
    json.dumps(made.report, allow_nan=False)


def test_the_report_agrees_with_what_was_measured(case) -> None:
    types, made = case
    reports = made.report[next(iter(made.report))]["lesions"]
    rows = json.loads(json.dumps(made.record, allow_nan=False))["lesions"]
    assert len(reports) == len(rows)
    for report, row in zip(reports, rows, strict=True):
        measured = row["measured"]
        for field in PUBLIC_FIELDS:
            assert report[field] == measured[field.lower()] == row["plan"]["spec"][field.lower()]
        assert report["location in organ"] == measured["seat"]
        assert abs(report["diameter_mm"] - measured["size"]["diameter_mm"]) <= max(0.1 * report["diameter_mm"], 2.05)
        assert report["size"] == f"[{measured['size']['extent_voxels']}] pixel"
        assert report["lesion type"] in types
        assert 1 <= row["draws"] <= 4


def test_the_record_makes_the_case_again(case, phantom_host) -> None:
    """Rendered one after the other from the record alone, the lesions give the same image."""
    _, made = case
    hu, labels = phantom_host.ct, phantom_host.organs
    for row in json.loads(json.dumps(made.record))["lesions"]:
        rendered = render_lesion(from_json(row["plan"]), phantom_host, hu, labels)
        new_hu, new_labels = hu.hu.copy(), labels.labels.copy()
        new_hu[rendered.box.slices], new_labels[rendered.box.slices] = rendered.hu, rendered.labels
        hu, labels = type(hu)(hu=new_hu, grid=hu.grid), type(labels)(labels=new_labels, grid=labels.grid)
    assert np.array_equal(hu.hu, made.image.hu)
    assert np.array_equal(labels.labels, made.organs.labels)


def test_lesions_of_one_case_do_not_overlap(case, phantom_host) -> None:
    _, made = case
    plans = [from_json(row["plan"]) for row in made.record["lesions"]]
    hu, labels, seen = phantom_host.ct, phantom_host.organs, np.zeros(phantom_host.ct.grid.shape, dtype=np.uint8)
    for plan in plans:
        rendered = render_lesion(plan, phantom_host, hu, labels)
        new = labels.labels.copy()
        new[rendered.box.slices] = rendered.labels
        labels = type(labels)(labels=new, grid=labels.grid)
        seen[rendered.box.slices] += rendered.mask
    assert seen.max() == 1
    assert np.array_equal(seen == 1, made.label.labels == 2)


@pytest.mark.parametrize("types", [CASES[0], CASES[1], CASES[2]], ids=lambda types: "+".join(types))
def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_case(phantom_host, types) -> None:
    first, again, other = (make_case(phantom_host, types, np.random.default_rng(n)) for n in (21, 21, 22))
    for name in ("image", "label", "organs"):
        key = "hu" if name == "image" else "labels"
        assert getattr(getattr(first, name), key).tobytes() == getattr(getattr(again, name), key).tobytes()
    assert json.dumps(first.record) == json.dumps(again.record)
    assert json.dumps(first.report) == json.dumps(again.report)
    assert json.dumps(first.record) != json.dumps(other.record)


def test_the_host_is_left_as_it_was(phantom_host) -> None:
    before = phantom_host.ct.hu.tobytes()
    make_case(phantom_host, [LesionType.LIVER_CYST], np.random.default_rng(1))
    assert phantom_host.ct.hu.tobytes() == before


def test_an_absent_organ_is_an_error_that_names_host_and_labels() -> None:
    with pytest.raises(PlacementError, match=r"\[10\]"):
        make_case(liver_host(), [LesionType.PANCREAS_CYST], np.random.default_rng(0))


def test_lesions_of_two_organ_systems_are_no_case() -> None:
    with pytest.raises(ValueError, match="one organ system"):
        make_case(liver_host(), [LesionType.LIVER_CYST, LesionType.KIDNEY_CYST], np.random.default_rng(0))
    with pytest.raises(ValueError, match="organ system"):
        make_case(liver_host(), [], np.random.default_rng(0))


def test_a_wish_nothing_can_meet_is_an_error_that_says_why() -> None:
    with pytest.raises((PlacementError, VerifyError), match="liver_cyst"):
        make_case(liver_host(), [LesionType.LIVER_CYST], np.random.default_rng(0), wanted=Wanted(diameter_mm=(150.0, 150.0)))
    with pytest.raises(PlacementError):
        draw_lesion(liver_host(), LesionType.LIVER_CYST, np.random.default_rng(0), wanted=Wanted(seat="no such seat"))


def test_a_case_with_room_for_fewer_lesions_has_fewer() -> None:
    made = make_case(sac_host(), [LesionType.GALLSTONE] * 3, np.random.default_rng(4), wanted=Wanted(diameter_mm=(20.0, 22.0)))
    assert 1 <= len(made.record["lesions"]) <= 3
    assert LIVER not in made.report
    assert str(KIDNEY) not in made.report
