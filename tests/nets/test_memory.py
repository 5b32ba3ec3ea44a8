import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from panlesion.nets.memory import keep_freed_memory

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


RESIDENT = """
from pathlib import Path
import numpy as np
from panlesion.nets.memory import return_freed_memory

def resident_mb():
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024

if {back}:
    assert return_freed_memory()
np.ones(20_000_000 // 8)  # freed at once, from which glibc learns that blocks of 20 MB come and go
before = resident_mb()
blocks = [np.ones(4_000_000 // 8) for _ in range(40)]
kept = blocks[-1]  # at the top of the heap, so that nothing below it is trimmed
del blocks
print(resident_mb() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_blocks_are_given_back_though_something_lies_above_them():
    mb = [
        float(subprocess.run([sys.executable, "-c", RESIDENT.format(back=back)], capture_output=True, check=True).stdout)
        for back in (True, False)
    ]
    assert mb[0] < 15 < 100 < mb[1]
