import numpy as np
import pytest
import torch
from tabled_made import scan
from uses_made import model_for, use_for

from panlesion.ct.modality import Modality
from panlesion.ct.region import Region
from panlesion.errors import CheckpointError, OrganMapError
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.lesion.vocabulary import READINGS
from panlesion.nets.case_answer import answer_case, answer_rows, answers_of, check_segments, use_of, words_of


@pytest.mark.parametrize("task", list(CaseTask))
def test_probabilities_are_some_and_every_row_says_the_most_probable_word(task):
    use = use_for(task)
    found = answers_of(use, torch.randn(6, use.outputs) * 5)
    for name, words in words_of(use).items():
        assert found.classes[name].shape == (6, len(words))
        assert found.classes[name].min() >= 0
        assert found.classes[name].sum(axis=1) == pytest.approx(1)
    rows = answer_rows(use, found)
    assert len(rows) == 6
    for n, row in enumerate(rows):
        for name, words in words_of(use).items():
            assert row[f"predicted_{name}"] == words[int(found.classes[name][n].argmax())]


def test_the_weight_of_training_is_taken_back():
    use = use_for("detect", present_weight=10.0)
    found = answers_of(use, torch.tensor([[np.log(10.0)], [0.0]]))
    assert found.classes["present"][:, 1] == pytest.approx([0.5, 1 / 11])


def test_survival_falls_from_edge_to_edge_and_risk_is_minus_the_time_lived():
    use = use_for("survive")
    found = answers_of(use, torch.tensor([[-50.0, -50.0, -50.0], [50.0, 0.0, 0.0], [0.0, -50.0, 50.0]]))
    assert found.alive[2] == pytest.approx([0.5, 0.5, 0.0])
    assert bool((np.diff(found.alive, axis=1) <= 1e-12).all())
    # lives to the last edge; dies in the first interval; half die in the first, the others in the last
    assert found.risk == pytest.approx([-400.0, -50.0, -(75 + 100 + 25)], abs=1e-6)
    assert list(answer_rows(use, found)[0]) == ["risk", "p_free_at_100", "p_free_at_300", "p_free_at_400"]


def test_cox_gives_its_one_number():
    use = use_for("survive", likelihood=Likelihood.COX, edges=())
    assert answers_of(use, torch.tensor([[1.5], [-2.0]])).risk.tolist() == [1.5, -2.0]


@pytest.mark.parametrize("task", list(CaseTask))
def test_a_case_is_answered_from_its_images_and_label(task):
    image, label = scan()
    rows = answer_rows(model_for(task).info.case, answer_case(model_for(task), [image], label))
    assert len(rows) == 1
    assert len(words_of(use_for(task))) in (0, 1, len(READINGS))


def test_wrong_images_and_a_missing_label_are_said():
    image, label = scan()
    model = model_for("detect", channels=(Modality.CT, Modality.MR))
    with pytest.raises(CheckpointError, match=r"1 images for a network of 2 \(CT, MR\)"):
        answer_case(model, [image], label)
    with pytest.raises(OrganMapError, match="no label voxel"):
        answer_case(model, [image, image], None)
    with pytest.raises(OrganMapError, match="no label voxel"):
        answer_case(model_for("detect", Region.ORGAN), [image], type(label)(labels=label.labels * 0, grid=label.grid))


def test_a_model_says_what_it_can_and_cannot_do():
    model = model_for("stage")
    with pytest.raises(CheckpointError, match=r"run/m\.st .*\(stage\) and gives no masks.*panlesion predict cases\.csv OUT"):
        check_segments(model, "run/m.st")
    check_segments(model_for("stage", masks=True), "m")
    model.info = type(model.info)(**{**vars(model.info), "case": None})
    check_segments(model, "m")
    with pytest.raises(CheckpointError, match="answers no question about whole cases"):
        use_of(model)
