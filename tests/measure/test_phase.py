"""The phase guessed from HU that textbooks give for each phase."""

import pytest

from panlesion.ct.phase import Phase
from panlesion.measure.phase import guess_phase

KEYS = ("artery", "portal", "vein", "liver", "spleen", "kidney", "collecting", "urine")
FULL = {
    Phase.NON_CONTRAST: dict(zip(KEYS, (42, 42, 42, 58, 49, 32, 60, 5), strict=True)),
    Phase.ARTERIAL: dict(zip(KEYS, (310, 115, 85, 72, 122, 140, 210, 5), strict=True)),
    Phase.PORTAL: dict(zip(KEYS, (160, 172, 140, 111, 122, 180, 210, 7), strict=True)),
    Phase.DELAYED: dict(zip(KEYS, (112, 114, 110, 92, 94, 149, 600, 150), strict=True)),
}


@pytest.mark.parametrize("phase", list(Phase))
def test_textbook_values_give_their_phase(phase):
    assert guess_phase(FULL[phase]) is phase


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("change", [-8, 8])
def test_a_patient_who_differs_by_8_hu_everywhere_is_of_the_same_phase(phase, change):
    assert guess_phase({key: value + change for key, value in FULL[phase].items()}) is phase


@pytest.mark.parametrize("phase", list(Phase))
def test_aorta_and_portal_vein_suffice(phase):
    assert guess_phase({key: FULL[phase][key] for key in ("artery", "portal")}) is phase


def test_without_vessels_kidney_spleen_or_liver_tell_plain_from_enhanced():
    for key in ("kidney", "spleen", "liver"):
        assert guess_phase({key: FULL[Phase.NON_CONTRAST][key]}) is Phase.NON_CONTRAST
        assert guess_phase({key: FULL[Phase.PORTAL][key]}).enhanced


def test_a_kidney_stone_does_not_make_a_plain_scan_delayed():
    assert guess_phase(FULL[Phase.NON_CONTRAST] | {"collecting": 700.0}) is Phase.NON_CONTRAST


def test_nothing_known_is_no_guess():
    assert guess_phase({}) is None
    assert guess_phase({"urine": 10.0}) is None
