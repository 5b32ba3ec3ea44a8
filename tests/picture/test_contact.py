import numpy as np
import pytest
from PIL import Image

from panlesion.ct.volume import Volume, standard_grid
from panlesion.picture.contact import PREDICTED_COLOUR, TRUTH_COLOUR, Spot, contact_sheet, spot_tile
from panlesion.picture.window import WINDOWS


def spot(**changes):
    hu = np.full((40, 30, 20), 40, dtype=np.int16)
    truth, predicted = np.zeros(hu.shape, dtype=bool), np.zeros(hu.shape, dtype=bool)
    truth[10:18, 10:18, 5:10] = True
    predicted[14:24, 12:20, 5:10] = True
    image = Volume(hu=hu, grid=standard_grid(hu.shape, 2.5))
    made = {"image": image, "truth": truth, "predicted": predicted, "at_ijk": (14, 14, 7), "window": WINDOWS["soft"]}
    return Spot(**(made | {"caption": "liver cyst 001, found"} | changes))


def coloured(tile, colour):
    return int((np.abs(np.asarray(tile).astype(int) - colour).max(axis=-1) < 60).sum())


def test_both_masks_are_outlined_in_their_colours():
    tile = spot_tile(spot())
    assert coloured(tile, TRUTH_COLOUR) > 40
    assert coloured(tile, PREDICTED_COLOUR) > 40
    nothing = np.zeros((40, 30, 20), dtype=bool)
    missed = spot_tile(spot(predicted=nothing))
    assert coloured(missed, TRUTH_COLOUR) > 40
    assert coloured(missed, PREDICTED_COLOUR) == 0


def test_a_slice_elsewhere_shows_neither():
    assert coloured(spot_tile(spot(at_ijk=(14, 14, 15))), TRUTH_COLOUR) == 0


def test_the_middle_close_up_has_no_outline():
    tile = spot_tile(spot(), panel_px=100)
    assert tile.width == 308
    assert coloured(tile.crop((104, 0, 204, 100)), TRUTH_COLOUR) == 0


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="truth has shape"):
        spot_tile(spot(truth=np.zeros((3, 3, 3), dtype=bool)))


def test_a_sheet_holds_every_tile_in_its_place():
    tiles = [Image.new("RGB", (60, 40), (40 * n, 200, 10)) for n in range(5)]
    page = np.asarray(contact_sheet(tiles, title="five", columns=2))
    for n in range(5):
        assert (np.all(page == (40 * n, 200, 10), axis=-1)).sum() == 60 * 40
    with pytest.raises(ValueError, match="no tile"):
        contact_sheet([], title="none")
