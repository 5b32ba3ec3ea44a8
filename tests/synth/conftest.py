"""Hosts shared by the tests of this room; made once, never changed."""

from dataclasses import dataclass

import numpy as np
import pytest

from panlesion.ct.phase import Phase
from panlesion.lesion.taxonomy import LesionType
from panlesion.phantom.phantom import make_phantom
from panlesion.synth.compose import Rendered, draw_lesion, render_lesion, settled_surface
from panlesion.synth.host import Host
from panlesion.synth.plan import Plan
from panlesion.synth.verify import Check, verify


@pytest.fixture(scope="session")
def phantom_host() -> Host:
    """A whole drawn torso in the portal phase."""
    phantom = make_phantom(7, spacing_mm=2.0, phase=Phase.PORTAL)
    return Host.of("phantom7", phantom.ct, phantom.organs)


@dataclass(frozen=True, kw_only=True)
class FirstDraw:
    """One lesion as it came out of its first draw; `plan` is as drawn, `rendered` has the surface as reported."""

    plan: Plan
    rendered: Rendered
    check: Check


SEEDS = range(4)


@pytest.fixture(scope="session")
def first_draws(phantom_host) -> dict[LesionType, list[FirstDraw]]:
    """Four lesions of every type, each drawn once, never again."""
    made: dict[LesionType, list[FirstDraw]] = {}
    for number, type in enumerate(LesionType):
        made[type] = []
        for seed in SEEDS:
            plan = draw_lesion(phantom_host, type, np.random.default_rng([seed, number]))
            rendered = render_lesion(plan, phantom_host)
            check = verify(rendered, phantom_host, phantom_host.ct.hu, phantom_host.organs.labels)
            rendered, check = settled_surface(rendered, check, max(phantom_host.ct.grid.spacing_mm))
            made[type].append(FirstDraw(plan=plan, rendered=rendered, check=check))
    return made
