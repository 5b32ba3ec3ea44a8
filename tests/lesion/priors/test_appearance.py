"""How lesions look is told for every type and phase, and follows the host."""

import numpy as np
import pytest

from panlesion.ct.phase import Phase
from panlesion.lesion.priors.appearance import APPEARANCE, Regression
from panlesion.lesion.taxonomy import TYPES, LesionType, Reference
from panlesion.lesion.vocabulary import Shape

CYSTS = (LesionType.LIVER_CYST, LesionType.PANCREAS_CYST, LesionType.KIDNEY_CYST)


def test_every_type_has_an_appearance_in_every_phase() -> None:
    assert set(APPEARANCE) == set(LesionType)
    assert all(set(look.density) == set(Phase) for look in APPEARANCE.values())


@pytest.mark.parametrize("type", LesionType)
def test_shares_are_shares(type) -> None:
    look = APPEARANCE[type]
    for share in (look.heterogeneous, look.ill_defined, look.close, *look.multiple, *look.shapes.values()):
        assert 0 <= share <= 1
    assert sum(look.multiple) == pytest.approx(1)
    assert sum(look.shapes.values()) == pytest.approx(1)
    assert set(look.shapes) <= set(Shape)
    assert (Shape.WALL in look.shapes) <= TYPES[type].hollow


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("type", LesionType)
def test_a_lesion_is_never_less_dense_for_a_denser_host(type, phase) -> None:
    line = APPEARANCE[type].density[phase]
    assert np.all(np.diff([line.mean_hu(reference) for reference in range(-20, 200, 20)]) >= 0)
    assert line.sd_hu > 0


def test_the_regression_is_a_line() -> None:
    assert Regression(intercept_hu=10.0, slope=0.5, sd_hu=1.0).mean_hu(60.0) == 40.0


# Reference tissue in HU, plain and portal: liver, pancreas, kidney and muscle (Lamba 2014; Bae 2010).
HOSTS = {
    LesionType.LIVER_TUMOR: (55.0, 110.0),
    LesionType.PANCREAS_TUMOR: (40.0, 95.0),
    LesionType.KIDNEY_TUMOR: (32.0, 170.0),
    LesionType.GASTRIC_CANCER: (55.0, 65.0),
    LesionType.LUNG_TUMOR: (55.0, 65.0),
}


@pytest.mark.parametrize("type", HOSTS)
def test_a_plain_host_gets_a_plain_lesion(type) -> None:
    plain_host, portal_host = HOSTS[type]
    plain = APPEARANCE[type].density[Phase.NON_CONTRAST].mean_hu(plain_host)
    portal = APPEARANCE[type].density[Phase.PORTAL].mean_hu(portal_host)
    assert 25 <= plain <= 55
    assert portal > plain + 15


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("type", CYSTS)
def test_cysts_are_water_in_every_phase_whatever_the_host(type, phase) -> None:
    line = APPEARANCE[type].density[phase]
    assert line.slope == 0
    assert line.intercept_hu - 2 * line.sd_hu >= 0
    assert line.intercept_hu + 2 * line.sd_hu <= 20
    assert TYPES[type].reference is Reference.ORGAN
