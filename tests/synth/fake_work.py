"""Jobs that need no CT. Importable by worker processes."""

import os
import signal
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_info

from panlesion.data.publish import DiskFullError
from panlesion.errors import PlacementError


@dataclass(frozen=True)
class Job:
    number: int
    group: str = "a"


def work(job):
    if job.number == 3:
        raise PlacementError("no room")
    if job.number == 4:
        raise ZeroDivisionError("division by zero")
    if job.number == 5:
        raise DiskFullError("full")
    return job.number * 2, os.getpid()


def deadly(job):
    if job.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return job.number


def start():
    return work


def start_deadly():
    return deadly


def blas_threads(_job):
    """How many threads the libraries that compute matrix products would use here."""
    return max(pool["num_threads"] for pool in threadpool_info())


def start_blas_threads():
    assert np.__version__, "NumPy loads a BLAS"
    return blas_threads
