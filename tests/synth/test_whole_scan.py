import numpy as np
import pytest

from panlesion.lesion.taxonomy import TYPES
from panlesion.measure.detection import components
from panlesion.synth.whole_scan import draw_whole_scan


def drawn(seed, **wanted):
    return draw_whole_scan(np.random.default_rng(seed), spacing_mm=4.0, **({"lesions": 3} | wanted))


@pytest.fixture(scope="module")
def scan():
    return drawn(1, mass=True)


def test_lesions_lie_in_different_organ_systems(scan):
    systems = [TYPES[type_].system for type_ in scan.types if type_ is not None]
    assert len(systems) == len(set(systems)) == 3
    assert components(scan.lesion)[1] >= len(scan.types) - 1  # two may touch


def test_every_lesion_shows_in_the_image(scan):
    # the same draws without lesions: the body is the same, the voxels differ where lesions lie
    healthy = drawn(1, lesions=0)
    changed = healthy.ct.hu != scan.ct.hu
    assert changed[scan.lesion].mean() > 0.9
    assert changed.mean() < 0.2


def test_without_lesions_nothing_is_marked():
    scan = drawn(2, lesions=0)
    assert scan.types == () and not scan.lesion.any()


def test_a_mass_belongs_to_no_type(scan):
    assert scan.types[0] is None


def test_equal_seeds_give_equal_scans(scan):
    again = drawn(1, mass=True)
    assert np.array_equal(scan.ct.hu, again.ct.hu) and np.array_equal(scan.lesion, again.lesion)
    assert scan.types == again.types
