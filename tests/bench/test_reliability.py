import numpy as np
import pytest
from held_out_made import row
from PIL import Image

from panlesion.bench.held_out_scans import Split
from panlesion.bench.reliability import PICTURE, draw_reliability, reliability_table, told_and_true


def scans(count, rng, honest=1.0):
    """Each finding is a lesion as often as it says, or `honest` times as often."""
    rows = []
    for n in range(count):
        sure = float(rng.uniform())
        hit = rng.uniform() < honest * sure
        rows.append(row(f"scan_{n}", (100, sure, 100 if hit else 0)))
    return rows


def test_hits_and_false_findings_count_and_what_grazes_a_lesion_does_not():
    rows = [
        row("a", (100, 0.9, 100), (5, 0.6, 0), (50, 0.3, 1)),  # a hit, a false one, one that touches the lesion
        row("b", (10, 0.2, 0), type_=None),
        row("c", (10, 0.8, 0), split=Split.VALIDATION),
    ]
    told, true = told_and_true(rows)
    assert sorted(zip(told.tolist(), true.tolist(), strict=True)) == [(0.2, False), (0.6, False), (0.9, True)]


@pytest.mark.parametrize(("honest", "error"), [(1.0, 0.0), (0.5, 0.25)])
def test_the_calibration_error_is_how_much_is_promised_too_much(honest, error):
    table = reliability_table(scans(4000, np.random.default_rng(0), honest))
    told = float(table.notes[0].split("calibration error ")[1].split(". ")[0])
    assert told == pytest.approx(error, abs=0.03)
    assert sum(int(line[1]) for line in table.rows) == 4000


def test_a_picture_is_drawn(tmp_path):
    draw_reliability(scans(200, np.random.default_rng(1)), tmp_path / PICTURE)
    with Image.open(tmp_path / PICTURE) as image:
        assert min(image.size) > 400


def test_scans_in_which_nothing_was_marked_have_no_curve():
    with pytest.raises(ValueError, match="have a row"):
        reliability_table([row("a")])
