import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from panlesion.train.memory import keep_freed_memory

if {keep}:
    assert keep_freed_memory()
def use():
    np.ones(10_000_000)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    # huge pages would hide what is counted here
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(keep=keep)], env={"NUMPY_MADVISE_HUGEPAGE": "0"}, capture_output=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_large_blocks_are_used_again_without_new_pages():
    assert faults(True) * 20 < faults(False)
