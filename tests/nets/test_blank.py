import subprocess
import sys

import torch

from panlesion.nets.blank import without_storage
from panlesion.nets.model import new_model


def test_a_model_made_inside_has_shapes_and_nothing_else():
    before = torch.get_rng_state()
    with without_storage():
        blank = new_model("nano", spacing_mm=2.0, patch_voxels=64)
    assert torch.equal(torch.get_rng_state(), before)
    assert {parameter.device.type for parameter in blank.parameters()} == {"meta"}
    full = new_model("nano", spacing_mm=2.0, patch_voxels=64)
    assert [p.shape for p in blank.parameters()] == [p.shape for p in full.parameters()]
    assert all(bool(p.std() > 0) for p in full.parameters() if p.dim() == 5)


def test_it_loads_no_symbolic_algebra():
    code = """
import sys
from panlesion.nets.blank import without_storage
from panlesion.nets.model import new_model
with without_storage():
    new_model("nano", spacing_mm=2.0, patch_voxels=64)
assert "sympy" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
