from dataclasses import replace

import numpy as np
import pytest
import torch
from described_made import BallCrops
from runs_made import TINY, tiny_model

from panlesion.bench.attributes import (
    Arm,
    AttributeBench,
    drawn_blocks,
    markdown_table,
    read_all,
    results,
    run_attributes,
    shuffled,
)  # fmt: skip
from panlesion.errors import CheckpointError, StoreError
from panlesion.nets.heads import ATTRIBUTE_HEAD, attribute_head
from panlesion.nets.look import Look, Pooling
from panlesion.train.readings import Vectors

LOOK = Look(spacing_mm=3.0, crop_voxels=16, pooling=(Pooling.LESION, Pooling.SHELL, Pooling.FORM), levels=(0, 1))
PLAN = AttributeBench(train_bodies=3, test_bodies=3, views=1)
PLAN = replace(PLAN, fit=replace(PLAN.fit, steps=150, optim=replace(PLAN.fit.optim, rate=1e-2, warmup_steps=0)))


def model():
    model = tiny_model()
    model.heads[ATTRIBUTE_HEAD] = attribute_head(TINY, LOOK)
    return model.eval()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench")
    train = drawn_blocks(BallCrops(seed=1, patches=24), 3, out / "train")
    test = drawn_blocks(BallCrops(seed=2, patches=24), 3, out / "test")
    return read_all(model(), train, test, PLAN, out)


def scores(rows, attribute):
    return {one.arm: one.naming for one in results(rows) if one.attribute == attribute}


def test_a_trained_head_beats_what_needs_no_image(rows):
    density = scores(rows, "density")
    assert density[Arm.TRAINED].accuracy.mean > 0.9
    assert density[Arm.MAJORITY].balanced.mean == pytest.approx(1 / 3)
    assert density[Arm.TRAINED].balanced.low > density[Arm.TYPE].balanced.high


def test_shuffled_labels_teach_nothing(rows):
    density = scores(rows, "density")
    assert density[Arm.SHUFFLED].balanced.mean < 0.5
    assert density[Arm.SHUFFLED].balanced.high < density[Arm.TRAINED].balanced.low


def test_every_arm_answers_for_the_same_known_readings(rows):
    assert not [row for row in rows if row.attribute == "heterogeneity"]
    asked = {arm: sorted((row.attribute, row.lesion, row.truth) for row in rows if row.arm is arm) for arm in Arm}
    assert all(one == asked[Arm.OWN] for one in asked.values())
    assert scores(rows, "density")[Arm.OWN].lesions == 72
    assert scores(rows, "invasion")[Arm.OWN].lesions == 48
    assert scores(rows, "density")[Arm.OWN].accuracy.n == 3


def test_the_table_has_a_line_for_each(rows):
    lines = markdown_table(results(rows)).splitlines()
    assert len(lines) == 2 + 4 * len(Arm)
    assert lines[2].startswith("| shape | the model's head | 72 |")


def test_shuffling_keeps_how_often_a_class_occurs():
    data = Vectors(vectors=np.zeros((50, 1, 2), dtype=np.float32), labels=np.arange(250).reshape(50, 5))
    other = shuffled(data, 0)
    assert sorted(other.labels[:, 0]) == sorted(data.labels[:, 0])
    assert (other.labels[:, 0] != data.labels[:, 0]).mean() > 0.8
    assert np.array_equal(other.labels[:, 1], other.labels[:, 0] + 1)


def test_a_finished_run_is_read_again_and_another_model_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(AttributeBench, "crops", lambda *_: BallCrops(patches=6))
    plan = replace(PLAN, train_bodies=1, test_bodies=1, fit=replace(PLAN.fit, steps=2))
    first = run_attributes(model(), plan, tmp_path)
    monkeypatch.setattr("panlesion.bench.attributes.read_all", None)
    assert run_attributes(model(), plan, tmp_path) == first
    torch.manual_seed(9)
    with pytest.raises(StoreError, match="another model"):
        other = model()
        other.heads[ATTRIBUTE_HEAD][0].weight.data += 1
        run_attributes(other, plan, tmp_path)


def test_a_model_without_the_head_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(CheckpointError, match="--stage 2"):
        run_attributes(tiny_model(), PLAN, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_training_and_test_lesions_have_other_seeds_at_the_looks_spacing():
    train, test = (AttributeBench().crops(model(), part) for part in ("train", "test"))
    assert train.seed != test.seed
    assert train.spacing_mm == (3.0, 3.0)
    assert train.size_voxels >= 16
    assert AttributeBench(seed=1).crops(model(), "train").seed != test.seed
