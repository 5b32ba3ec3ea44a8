"""The weights in the package: small, readable, and good for what their card says they are for."""

import numpy as np
import torch

import panlesion
from panlesion.ct.organs import V1_LABELS
from panlesion.measure.froc import RATES
from panlesion.nets.candidates import detection_look
from panlesion.nets.checkpoint import WEIGHTS_FOLDER, shipped_models
from panlesion.nets.classes import ANATOMY_LABELS
from panlesion.nets.sliding import predict_logits
from panlesion.phantom.phantom import make_phantom


def test_nano_is_shipped_with_its_origin():
    assert "nano" in shipped_models()
    info = panlesion.load_model("nano").info
    assert info.preset.name == "nano"
    assert info.provenance["data"] == "drawn phantoms only"
    assert info.recipe["blocks"]["seed"] == 1
    assert len(info.offsets) == len(info.classes)


def test_nano_looks_twice_and_says_what_that_gives():
    model = panlesion.load_model("nano")
    assert set(model.heads) == {"attributes", "detection"}
    assert detection_look(model).spacing_mm == model.info.spacing_mm
    points = model.info.provenance["stage_three"]["operating_points"]
    assert [point["allowed"] for point in points] == list(RATES)
    assert all(point["false_per_scan"] <= point["allowed"] for point in points)
    assert (WEIGHTS_FOLDER / "nano.safetensors").stat().st_size <= 8e6


def test_nano_finds_the_liver_of_a_body_it_never_saw():
    model = panlesion.load_model("nano")
    phantom = make_phantom(987_654, spacing_mm=model.info.spacing_mm, shape=(64, 64, 64), centre="liver")
    with torch.inference_mode():
        logits = predict_logits(model, phantom.ct)
    found = np.asarray(logits[model.classes.channels("anatomy")].argmax(0)) == 1 + list(ANATOMY_LABELS).index("liver")
    truth = phantom.organs.labels == V1_LABELS["liver"]
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7
