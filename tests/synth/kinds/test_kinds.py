"""Every type has its drawing function, and draws specs of its own type and phase."""

import pytest

from panlesion.lesion.priors.size import SIZES
from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.kinds import KINDS


def test_every_type_can_be_drawn() -> None:
    assert set(KINDS) == set(LesionType) == set(SIZES)
    assert all(callable(draw) for draw in KINDS.values())


@pytest.mark.parametrize("type", LesionType)
def test_a_plan_is_of_its_own_type_and_of_the_hosts_phase(first_draws, phantom_host, type) -> None:
    for draw in first_draws[type]:
        assert draw.plan.spec.type is type
        assert draw.plan.spec.phase is phantom_host.facts.phase
        assert draw.plan.spec.seat in phantom_host.facts.atlas.seats(draw.plan.spec.organ_label)
