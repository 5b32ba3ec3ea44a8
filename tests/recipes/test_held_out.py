import numpy as np
import pytest
import torch
from labelled_made import annotated
from runs_made import TINY

from panlesion.data.sources.labelled_check import CheckedCase, LabelClasses
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.errors import TrainingError
from panlesion.nets.classes import LESIONS, Classes, ClassGroup
from panlesion.nets.model import Model, ModelInfo
from panlesion.picture.window import WINDOWS
from panlesion.recipes import held_out as room
from panlesion.recipes.held_out import (
    MOST_ROWS,
    choose_held_out,
    class_dice,
    default_count,
    mean_dice,
    picture,
    try_out,
    validation_dice,
)
from panlesion.train.finetune import Labelled


def a_case(id, patient=None, values=(1,)):
    return CheckedCase(id=id, patient=patient or id, values=values, voxels=1, ct_crc=hash(id), label_crc=0)


def a_model():
    torch.manual_seed(0)
    classes = Classes(groups=(ClassGroup(name=LESIONS, classes=("none", "dense", "airy")),))
    return Model(ModelInfo(preset=TINY, classes=classes, spacing_mm=4.0, patch_voxels=16)).eval()


def test_one_in_five_patients_is_kept_aside_and_none_of_few():
    assert [default_count(n) for n in (1, 3, 4, 9, 10, 26, 400)] == [0, 0, 1, 1, 2, 5, 8]


def test_the_draw_follows_the_seed_and_takes_patients_whole():
    cases = [a_case(f"{patient}{n}", patient) for patient in "abcdefgh" for n in (0, 1)]
    drawn = {choose_held_out(cases, patients=2, seed=seed) for seed in range(8)}
    assert len(drawn) > 2
    assert choose_held_out(cases, patients=2, seed=3) == choose_held_out(cases[::-1], patients=2, seed=3)
    assert all(len(ids) == 4 and len({id[0] for id in ids}) == 2 for ids in drawn)


@pytest.mark.parametrize("seed", range(6))
def test_every_class_stays_among_the_others(seed):
    cases = [a_case("a", values=(1, 2)), a_case("b"), a_case("c"), a_case("d"), a_case("healthy", values=())]
    assert choose_held_out(cases, patients=None, seed=seed)[0] in "bcd"
    with pytest.raises(TrainingError, match="which allows 3"):
        choose_held_out(cases, patients=4, seed=seed)


def test_dice_counts_each_class_and_no_unknown_voxel():
    target = np.zeros((4, 4, 4), dtype=np.uint8)
    target[0], target[1, :2] = 1, 255
    predicted = np.zeros_like(target)
    predicted[0, :2], predicted[1] = 1, 1
    assert class_dice(a_model(), predicted, target) == {"dense": pytest.approx(2 * 8 / (16 + 8 + 8))}


def test_a_network_that_is_right_scores_one(monkeypatch):
    """On the CT's own grid, finer than the network's, up to what resampling costs."""
    ct, label = annotated(0)
    case = LabelledCT(id="a", patient="a", ct=ct, label=label)
    classes = LabelClasses(names=("dense", "airy"), values=(1, 3))
    monkeypatch.setattr(room, "_classes_of", lambda _, standard, __: room_truth(label, classes, standard))
    trial = try_out(a_model(), case, classes)
    assert all(score > 0.8 for score in trial.score.dice.values())
    assert trial.score.found_ml["airy"] == pytest.approx(trial.score.truth_ml["airy"], rel=0.2)
    assert sorted(row.title for row in trial.compared()) == ["a · airy", "a · dense"]


def room_truth(label, classes, standard):
    from panlesion.ct.standardise import standardise_labels

    labels = classes.target_of(standardise_labels(label, standard.grid.spacing_mm[0]).labels)
    assert labels.shape == standard.grid.shape
    return labels


def test_a_real_network_fills_the_whole_grid_and_the_curve_has_its_classes():
    ct, label = annotated(1, values=(1,))
    classes = LabelClasses(names=("dense", "airy"), values=(1, 3))
    windows = []
    trial = try_out(a_model(), LabelledCT(id="a", patient="p", ct=ct, label=label), classes,
                    progress=lambda done, of: windows.append((done, of)))  # fmt: skip
    assert trial.predicted.shape == ct.grid.shape
    assert list(trial.score.dice) == ["dense"]
    assert windows[-1][0] == windows[-1][1]
    hu, target = ct.hu, classes.target_of(label.labels)
    scores = validation_dice(a_model(), [Labelled(id="a", hu=hu, target=target)])
    assert list(scores) == ["dense"]
    assert mean_dice({"a": 0.2, "b": 0.4}) == pytest.approx(0.3)


def test_the_picture_has_a_row_for_each_case_and_class_up_to_a_limit():
    ct, label = annotated(0)
    classes = LabelClasses(names=("dense", "airy"), values=(1, 3))
    rows = try_out(a_model(), LabelledCT(id="a", patient="a", ct=ct, label=label), classes).compared()
    one = picture(rows[:1], title="t", window=WINDOWS["soft"])
    many = picture(rows[:1] * (MOST_ROWS + 3), title="t", window=WINDOWS["soft"])
    assert many.height - one.height == (MOST_ROWS - 1) * 266
