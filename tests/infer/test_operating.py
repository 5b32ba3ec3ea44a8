from dataclasses import replace

import pytest

from panlesion.errors import CheckpointError
from panlesion.infer.operating import WITHOUT_TABLE, operating_point
from panlesion.nets.model import new_model

TABLE = [
    {"allowed": 0.5, "least_score": 0.8, "false_per_scan": 0.4, "sensitivity": 0.2},
    {"allowed": 1.0, "least_score": 0.5, "false_per_scan": 0.9, "sensitivity": 0.4},
    {"allowed": 2.0, "least_score": 0.4, "false_per_scan": 1.8, "sensitivity": 0.4},
    {"allowed": 8.0, "least_score": 0.1, "false_per_scan": 7.5, "sensitivity": 0.6},
]


def model_with(points):
    model = new_model("nano", spacing_mm=2.5, patch_voxels=48)
    if points is not None:
        model.info = replace(model.info, provenance={"stage_three": {"operating_points": points, "calibration_scans": 30}})
    return model


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        ({}, 0.5),  # one false positive a scan
        ({"false_per_scan": 0.5}, 0.8),
        ({"false_per_scan": 2.0}, 0.5),  # the stricter of two that find the same
        ({"false_per_scan": 100.0}, 0.1),
        ({"sensitivity": 0.3}, 0.5),
        ({"sensitivity": 0.6}, 0.1),
        ({"probability": 0.33}, 0.33),
    ],
)
def test_the_point_that_was_asked_for(asked, least):
    assert operating_point(model_with(TABLE), **asked).least_probability == least


def test_a_point_says_what_it_gave_and_on_what():
    point = operating_point(model_with(TABLE), sensitivity=0.6)
    assert (point.sensitivity, point.false_per_scan, point.calibrated_on) == (0.6, 7.5, "30 drawn scans")


def test_without_a_table_a_plain_threshold_and_no_promise():
    point = operating_point(model_with(None))
    assert (point.least_probability, point.sensitivity, point.false_per_scan) == (WITHOUT_TABLE, None, None)


@pytest.mark.parametrize(
    ("points", "asked", "error", "says"),
    [
        (TABLE, {"sensitivity": 0.9}, CheckpointError, "finds 90% of lesions; the most is 60%"),
        (TABLE, {"false_per_scan": 0.1}, CheckpointError, "least: 0.4"),
        (None, {"sensitivity": 0.5}, CheckpointError, "no table"),
        ([{"x": 1}], {}, CheckpointError, "is no list of"),
        (TABLE, {"sensitivity": 0.5, "probability": 0.5}, ValueError, "give one of them"),
        (TABLE, {"sensitivity": 1.5}, ValueError, "sensitivity is 1.5"),
        (TABLE, {"probability": -0.1}, ValueError, "probability is -0.1"),
        (TABLE, {"false_per_scan": -1.0}, ValueError, "cannot be negative"),
    ],
)
def test_what_cannot_be_had_is_said(points, asked, error, says):
    with pytest.raises(error, match=says):
        operating_point(model_with(points), **asked)
