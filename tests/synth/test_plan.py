"""A plan survives JSON unchanged, whatever it holds."""

import json

import pytest
from terrain_made import ball_plan, full_plan

from panlesion.synth.plan import LayerKind, from_json, to_json


@pytest.mark.parametrize("plan", [ball_plan(9.0), full_plan(1), full_plan(2)], ids=["least", "most", "most again"])
def test_a_plan_read_back_from_text_equals_the_one_written(plan) -> None:
    text = json.dumps(to_json(plan), allow_nan=False)
    assert from_json(json.loads(text)) == plan


def test_the_most_plan_uses_every_kind_of_layer() -> None:
    assert {layer.kind for layer in full_plan().matter.layers} == set(LayerKind)


def test_the_same_plan_is_written_as_the_same_text() -> None:
    assert json.dumps(to_json(full_plan())) == json.dumps(to_json(from_json(to_json(full_plan()))))


def test_a_record_with_a_word_outside_the_vocabulary_is_refused() -> None:
    record = to_json(ball_plan(9.0))
    record["spec"]["density"] = "Grey"
    with pytest.raises(ValueError, match="density"):
        from_json(record)
