"""Hosts shared by the tests of this room; made once, never changed."""

import pytest

from panlesion.ct.phase import Phase
from panlesion.phantom.phantom import make_phantom
from panlesion.synth.host import Host


@pytest.fixture(scope="session")
def phantom_host() -> Host:
    """A whole drawn torso in the portal phase."""
    phantom = make_phantom(7, spacing_mm=2.0, phase=Phase.PORTAL)
    return Host.of("phantom7", phantom.ct, phantom.organs)
