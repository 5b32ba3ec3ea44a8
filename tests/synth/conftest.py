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


class FirstDraws(dict[LesionType, list[FirstDraw]]):
    """Four lesions of a type, each drawn once, never again; drawn when first asked for, since test processes share none."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host

    def __missing__(self, type: LesionType) -> list[FirstDraw]:
        made = []
        for seed in SEEDS:
            plan = draw_lesion(self.host, type, np.random.default_rng([seed, list(LesionType).index(type)]))
            rendered = render_lesion(plan, self.host)
            check = verify(rendered, self.host, self.host.ct.hu, self.host.organs.labels)
            rendered, check = settled_surface(rendered, check, max(self.host.ct.grid.spacing_mm))
            made.append(FirstDraw(plan=plan, rendered=rendered, check=check))
        self[type] = made
        return made


@pytest.fixture(scope="session")
def first_draws(phantom_host) -> FirstDraws:
    return FirstDraws(phantom_host)
