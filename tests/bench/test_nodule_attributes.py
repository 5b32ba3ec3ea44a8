import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs_made import TINY
from scipy import ndimage

from panlesion.bench import nodule_attributes
from panlesion.bench.nodule_attributes import (
    QUESTIONS,
    Answer,
    Method,
    answers,
    measured,
    measured_evidence,
    network_evidence,
    results,
    run_nodule_attributes,
)  # fmt: skip
from panlesion.bench.protocol import Asked, Choices
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.data.sources.lidc_nodules import Score, ScoredNodule
from panlesion.errors import CheckpointError
from panlesion.lesion.vocabulary import READINGS
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.heads import ATTRIBUTE_HEAD, attribute_head
from panlesion.nets.model import Model, ModelInfo

MARGIN, TEXTURE, SPICULATION = QUESTIONS
SHAPE = (40, 40, 40)


def nodule(name="a", *, hu=40, blur=0.0, star=False, score=None):
    """A nodule in noisy lung without any soft tissue around: a ball of 12 mm, with `star` a ball with thick spikes."""
    offset = np.indices(SHAPE).T - np.array([20, 20, 20])
    lesion = (np.linalg.norm(offset, axis=-1) <= 6).T
    if star:
        for axis in range(3):
            line = [slice(19, 22)] * 3
            line[axis] = slice(9, 32)
            lesion[tuple(line)] = True
    clean = np.where(lesion, hu, -850.0)
    clean = ndimage.gaussian_filter(clean, blur) if blur else clean
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 60, SHAPE), 0.7)
    grid = standard_grid(SHAPE, 1.0)
    return ScoredNodule(
        id=name, patient=name, ct=Volume(hu=(clean + noise).round().astype(np.int16), grid=grid),
        label=LabelMap(labels=lesion.astype(np.uint8), grid=grid), readers=4,
        scores=dict.fromkeys(Score, 3.0) if score is None else score,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("question", "score", "seen"),
    [(MARGIN, 1.0, True), (MARGIN, 2.5, True), (MARGIN, 3.0, None), (MARGIN, 3.5, False),
     (TEXTURE, 1.0, True), (TEXTURE, 3.0, True), (TEXTURE, 3.5, None), (TEXTURE, 5.0, False),
     (SPICULATION, 5.0, True), (SPICULATION, 3.5, True), (SPICULATION, 2.5, None), (SPICULATION, 1.0, False)],
)  # fmt: skip
def test_ends_of_a_scale_answer_a_question_and_its_middle_does_not(question, score, seen):
    assert question.truth(score) is seen


def test_signs_say_which_end_of_a_scale_means_more_of_it():
    assert [question.sign for question in QUESTIONS] == [-1, -1, 1]


def test_measured_evidence_crosses_zero_where_the_class_changes():
    plain, faded, glass, star = (
        measured_evidence(measured(one)) for one in (nodule(), nodule(blur=2.5), nodule(hu=-500), nodule(star=True))
    )
    assert max(plain.values()) < 0
    assert faded["surface"] > 0
    assert glass["density"] > 0
    assert star["shape"] > 0


def test_network_evidence_is_taken_among_the_classes_asked_about():
    probabilities = {name: np.zeros(len(classes), dtype=np.float32) for name, classes in READINGS.items()}
    probabilities["shape"][:] = [0.1, 0.3, 0.0, 0.6]  # punctate, of which the readers' scale says nothing
    probabilities["density"][:] = [0.3, 0.3, 0.4]
    probabilities["surface"][:] = [0.25, 0.75]
    assert network_evidence(probabilities, SPICULATION) == pytest.approx(0.75 - 0.5)
    assert network_evidence(probabilities, TEXTURE) == pytest.approx(0.3 - 0.5)
    assert network_evidence(probabilities, MARGIN) == pytest.approx(0.75 - 0.5)


def said(method, score, evidence, patient, question=MARGIN):
    class_ = None if method is Method.VOLUME else evidence > 0
    return Answer(
        method=method, question=question.title, case=patient, patient=patient, score=score, evidence=evidence, said=class_
    )


def test_the_table_counts_what_the_readers_said_and_leaves_the_middle_to_the_rank():
    scores = [1, 2, 3, 4, 5, 5]
    right = [said(Method.MEASURED, score, 3 - score - 0.1, str(n)) for n, score in enumerate(scores)]
    size = [said(Method.VOLUME, score, 1.0 + n, str(n)) for n, score in enumerate(scores)]
    table = results(right + size)
    first, second = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    assert first["present / absent"] == "2 / 3"
    assert first["accuracy"].startswith("1.000")
    assert first["accuracy"].endswith("n = 5)")
    assert first["commonest class"] == "0.600"
    assert first["AUC"].startswith("1.000")
    assert first["Spearman"].startswith("1.000")
    assert first["Spearman"].endswith("n = 6)")
    assert (second["accuracy"], second["AUC"][:5], second["who answers"]) == ("-", "0.000", "volume alone")
    backwards = results([replace(one, evidence=-one.evidence, said=not one.said) for one in right])
    assert backwards.rows[0][3].startswith("0.000")
    scores = {(one.arm, one.metric): (one.value, one.n) for one in table.scores}
    assert scores[first["who answers"], f"accuracy ({MARGIN.title})"] == (1.0, 5)
    assert scores["volume alone", f"auc ({MARGIN.title})"] == (0.0, 5)
    assert [one.truth for one in table.said].count(True) == 2 * 2  # two nodules, two methods


def tiny(head):
    torch.manual_seed(0)
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16))
    if head:
        model.heads[ATTRIBUTE_HEAD] = attribute_head(TINY)
    return model.eval()


def test_every_method_answers_for_every_score_and_unscored_nodules_are_left_out():
    cases = [nodule("a"), nodule("b", score={}), nodule("c", score={Score.MARGIN: 1.0})]
    found = answers(cases, tuple(Method), tiny(head=True), lambda *_: None)
    assert {(one.case, one.question) for one in found} == {("a", q.title) for q in QUESTIONS} | {("c", MARGIN.title)}
    assert len(found) == 3 * 4
    volume = [one.evidence for one in found if one.method is Method.VOLUME]
    assert volume == pytest.approx([0.925] * 4, rel=0.01)


def test_a_run_keeps_what_was_said_and_wants_a_head_for_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(nodule_attributes, "read_lidc", lambda _root, **_spacing: iter([nodule("a"), nodule("b")]))
    save_checkpoint(tmp_path / "headless.safetensors", tiny(head=False))
    asked = Asked(
        root=tmp_path,
        checkpoint=str(tmp_path / "headless.safetensors"),
        out=tmp_path,
        choices=Choices(arms=("volume",), cases=1),
    )
    run_nodule_attributes("lidc_nodules", asked, lambda *_: None)
    lines = [json.loads(line) for line in (tmp_path / "readings.jsonl").read_text().splitlines()]
    assert [(line["case"], line["method"]) for line in lines] == [("a", "volume alone")] * 3
    with pytest.raises(CheckpointError, match="no head"):
        run_nodule_attributes("lidc_nodules", replace(asked, choices=Choices()), lambda *_: None)
    with pytest.raises(ValueError, match="guess is no arm; use some of network, measured, volume"):
        run_nodule_attributes("lidc_nodules", replace(asked, choices=Choices(arms=("guess",))), lambda *_: None)
