import numpy as np
import pytest
from pydantic import ValidationError

from panlesion.phantom.limb.limb import make_limb
from panlesion.synth.mass import draw_mass
from panlesion.synth.mass_host import MassHost
from panlesion.synth.mass_plan import mass_from_json, mass_to_json


def test_a_record_gives_its_plan_again_and_a_broken_one_is_refused():
    plan = draw_mass(MassHost.of_limb(make_limb(1)), np.random.default_rng(0))
    record = mass_to_json(plan)
    assert mass_from_json(record) == plan
    del record["stuff"]
    with pytest.raises(ValidationError, match="stuff"):
        mass_from_json(record)
