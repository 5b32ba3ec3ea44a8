from dataclasses import replace

import numpy as np
import pytest

from panlesion.ct.volume import Volume, standard_grid
from panlesion.picture.comparison import FOUND_COLOUR, TRUTH_COLOUR, Compared, comparison_sheet
from panlesion.picture.window import WINDOWS


def a_row(truth=True, found=True):
    grid = standard_grid((30, 28, 26), 2.0)
    masks = [np.zeros(grid.shape, dtype=bool) for _ in range(2)]
    masks[0][8:16, 8:16, 8:16] = truth
    masks[1][6:12, 6:12, 6:12] = found
    image = Volume(hu=np.full(grid.shape, 40, dtype=np.int16), grid=grid)
    return Compared(image=image, truth=masks[0], found=masks[1], title="case")


def has(sheet, colour):
    """Whether the panels (not the key above them) show a line of about that colour."""
    pixels = np.asarray(sheet)[82:].astype(int)
    return bool((np.abs(pixels - colour).max(axis=-1) < 25).any())


@pytest.mark.parametrize(("truth", "found"), [(True, True), (True, False), (False, True)])
def test_each_mask_has_its_own_outline(truth, found):
    sheet = comparison_sheet([a_row(truth, found)], title="t", window=WINDOWS["soft"])
    assert has(sheet, TRUTH_COLOUR) == truth
    assert has(sheet, FOUND_COLOUR) == found


def test_nothing_drawn_and_nothing_found_is_the_middle_of_the_image():
    sheet = comparison_sheet([a_row(False, False)], title="t", window=WINDOWS["soft"])
    assert not has(sheet, TRUTH_COLOUR) and not has(sheet, FOUND_COLOUR)


def test_no_rows_and_foreign_masks_are_refused():
    with pytest.raises(ValueError, match="rows is empty"):
        comparison_sheet([], title="t", window=WINDOWS["soft"])
    foreign = replace(a_row(), truth=np.zeros((2, 2, 2), dtype=bool))
    with pytest.raises(ValueError, match="case: masks have shapes"):
        comparison_sheet([a_row(), foreign], title="t", window=WINDOWS["soft"])
