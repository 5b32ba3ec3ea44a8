import numpy as np
import pytest

from panlesion.lesion.taxonomy import LesionType
from panlesion.picture.window import WINDOWS, Window, apply_window, overview_of, parse_window, window_for


def test_the_edges_of_a_window_are_black_and_white_and_its_centre_is_middle_grey():
    grey = apply_window(np.array([-160, 40, 240, -2000, 3000]), Window(centre_hu=40, width_hu=400))
    assert grey.tolist() == [0, 128, 255, 0, 255]
    assert grey.dtype == np.uint8


def test_denser_is_never_darker():
    grey = apply_window(np.arange(-1024, 3000, dtype=np.int16), WINDOWS["bone"])
    assert (np.diff(grey.astype(int)) >= 0).all()


@pytest.mark.parametrize("type", list(LesionType))
def test_every_lesion_type_has_a_window(type):
    assert window_for(type).width_hu > 0


def test_no_type_is_seen_in_the_soft_tissue_window():
    assert window_for(None) == WINDOWS["soft"]


def test_the_overview_of_a_lung_lesion_shows_the_lungs_and_of_others_soft_tissue():
    assert overview_of(WINDOWS["lung"]) == WINDOWS["lung"]
    assert overview_of(WINDOWS["bone"]) == WINDOWS["soft"]


def test_windows_are_named_or_given_in_hu():
    assert parse_window("lung") == WINDOWS["lung"]
    assert parse_window("-30.5/150") == Window(centre_hu=-30.5, width_hu=150)


@pytest.mark.parametrize("text", ["brain?", "40", "40/", "40/0", "40/-5", "a/b", ""])
def test_what_is_no_window_is_refused_by_name(text):
    with pytest.raises(ValueError, match="centre/width such as 40/400"):
        parse_window(text)
