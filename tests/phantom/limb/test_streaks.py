from dataclasses import replace

import numpy as np

from panlesion.ct.volume import standard_grid
from panlesion.phantom.limb.streaks import Band, draw_streaks, render_streaks

GRID = standard_grid((48, 48, 6), 3.0)
BODY = np.ones(GRID.shape, dtype=bool)


def drawn(**changes):
    streaks = draw_streaks(np.random.default_rng(3), noise_hu=20.0)
    return replace(streaks, **{"bands": (), "sd_hu": 8.0, "angle_rad": 0.0} | changes)


def test_streaks_have_their_sd_and_run_along_their_direction():
    hu = render_streaks(drawn(), GRID, BODY)
    assert abs(hu.std() - 8.0) < 0.1
    along, across = np.diff(hu, axis=0).std(), np.diff(hu, axis=1).std()
    assert along < 0.5 * across


def test_no_streaks_add_nothing():
    assert not render_streaks(drawn(sd_hu=0.0), GRID, BODY).any()


def test_a_band_darkens_the_body_only():
    band = Band(angle_rad=0.0, offset_mm=0.0, half_width_mm=6.0, hu=-20.0)
    body = BODY.copy()
    body[:10] = False
    hu = render_streaks(drawn(sd_hu=0.0, bands=(band,)), GRID, body)
    assert not hu[:10].any()
    assert hu[20, 24, 3] < -18
    assert abs(hu[20, 0, 3]) < 0.1
