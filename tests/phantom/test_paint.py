import json
from dataclasses import asdict

import numpy as np
import pytest

from panlesion.ct.phase import Phase
from panlesion.ct.volume import standard_grid
from panlesion.phantom.attenuation import ATTENUATION
from panlesion.phantom.paint import draw_paint, render_paint
from panlesion.phantom.tissue import Tissue


def hu_of(tissue, phase, n=60, **kwargs):
    return np.array([draw_paint(phase, np.random.default_rng(seed), **kwargs).hu[tissue] for seed in range(n)])


def test_every_tissue_has_an_attenuation():
    assert set(ATTENUATION) == set(Tissue)


def test_phases_come_in_the_right_order():
    aorta = {phase: hu_of(Tissue.ARTERIAL_BLOOD, phase).mean() for phase in Phase}
    assert aorta[Phase.ARTERIAL] > aorta[Phase.PORTAL] > aorta[Phase.DELAYED] > aorta[Phase.NON_CONTRAST]
    liver = {phase: hu_of(Tissue.LIVER, phase).mean() for phase in Phase}
    assert liver[Phase.PORTAL] > liver[Phase.DELAYED] > liver[Phase.ARTERIAL] > liver[Phase.NON_CONTRAST]
    pelvis = {phase: hu_of(Tissue.RENAL_PELVIS, phase).mean() for phase in Phase}
    assert pelvis[Phase.DELAYED] > 300 > 30 > pelvis[Phase.PORTAL]


@pytest.mark.parametrize("phase", list(Phase))
def test_every_patient_of_a_phase_is_in_order(phase):
    for seed in range(40):
        hu = draw_paint(phase, np.random.default_rng(seed)).hu
        assert hu[Tissue.GAS] < hu[Tissue.LUNG] < hu[Tissue.FAT] < hu[Tissue.URINE] + 60
        assert hu[Tissue.FAT] < hu[Tissue.BILE] < hu[Tissue.MUSCLE] < hu[Tissue.MARROW] < hu[Tissue.CORTICAL_BONE]
        if phase.enhanced:
            assert hu[Tissue.ARTERIAL_BLOOD] > hu[Tissue.MUSCLE]
        if phase is Phase.ARTERIAL:
            assert hu[Tissue.KIDNEY_CORTEX] > hu[Tissue.KIDNEY_MEDULLA] + 40


def test_plain_kidney_is_of_one_piece():
    hu = np.array([draw_paint(Phase.NON_CONTRAST, np.random.default_rng(seed)).hu for seed in range(30)])
    assert np.abs(hu[:, Tissue.KIDNEY_CORTEX] - hu[:, Tissue.KIDNEY_MEDULLA]).max() < 3


def test_tissues_of_one_patient_move_together():
    paints = [draw_paint(Phase.PORTAL, np.random.default_rng(seed)).hu for seed in range(200)]
    aorta, portal = (np.array([hu[t] for hu in paints]) for t in (Tissue.ARTERIAL_BLOOD, Tissue.PORTAL_BLOOD))
    assert np.corrcoef(aorta, portal)[0, 1] > 0.6


def test_marrow_loses_density_with_age():
    assert hu_of(Tissue.MARROW, Phase.PORTAL, age=30).mean() - hu_of(Tissue.MARROW, Phase.PORTAL, age=80).mean() > 80


def test_paint_is_json_and_decided_by_its_seed():
    a, b = (draw_paint(Phase.PORTAL, np.random.default_rng(4)) for _ in range(2))
    assert a == b
    assert json.loads(json.dumps(asdict(a)))["phase"] == "portal"


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
def test_rendered_tissues_keep_their_mean(spacing_mm):
    paint = draw_paint(Phase.PORTAL, np.random.default_rng(2))
    grid = standard_grid((60, 40, 40), spacing_mm)
    tissues = np.full(grid.shape, Tissue.LIVER, dtype=np.uint8)
    tissues[20:40] = Tissue.SPLEEN
    tissues[40:] = Tissue.KIDNEY_CORTEX
    hu = render_paint(paint, tissues, grid)
    assert hu.dtype == np.float32
    for tissue in (Tissue.LIVER, Tissue.SPLEEN, Tissue.KIDNEY_CORTEX):
        assert hu[tissues == tissue].mean() == pytest.approx(paint.hu[tissue], abs=3)
    assert np.array_equal(hu, render_paint(paint, tissues, grid))


def test_the_supine_lung_is_denser_behind():
    paint = draw_paint(Phase.PORTAL, np.random.default_rng(2))
    tissues = np.full((40, 60, 40), Tissue.LUNG, dtype=np.uint8)
    hu = render_paint(paint, tissues, standard_grid(tissues.shape, 2.0))
    gradient = (hu[:, 50:].mean() - hu[:, :10].mean()) / 100.0
    assert gradient == pytest.approx(paint.lung_gradient_hu_per_mm, abs=0.2)
