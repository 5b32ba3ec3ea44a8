import numpy as np
import pytest
from PIL import Image

from panlesion.errors import TrainingError
from panlesion.train.curves import draw_curves, series
from panlesion.train.journal import Journal


def a_run(folder, steps=80):
    with Journal(folder, 0) as journal:
        for step in range(1, steps + 1):
            journal.log(step, {"loss": 1 / step})
        journal.log(steps, {"check/dice": 0.5})
    return folder


def test_series_hold_every_logged_value(tmp_path):
    found = series(a_run(tmp_path))
    assert found["loss"][0].tolist() == list(range(1, 81))
    assert found["check/dice"][1].tolist() == [0.5]


def test_the_picture_is_a_png_with_something_on_it(tmp_path):
    draw_curves(a_run(tmp_path / "run"), tmp_path / "curves.png")
    assert np.asarray(Image.open(tmp_path / "curves.png").convert("L")).std() > 5


def test_a_folder_without_a_journal_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"journal\.jsonl is missing or empty"):
        series(tmp_path)


def test_a_line_cut_by_a_kill_is_left_out(tmp_path):
    run = a_run(tmp_path)
    with (run / "journal.jsonl").open("a") as stream:
        stream.write('{"step": 81, "lo')
    assert len(series(run)["loss"][0]) == 80
