"""What can be asked of a whole case, and what a row of a table must say so that a network can learn to answer it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from panlesion.lesion.vocabulary import READINGS


class CaseTask(StrEnum):
    """One question about a case."""

    DETECT = "detect"
    """Is there a lesion in the organ?"""
    DESCRIBE = "describe"
    """Which classes do the five report attributes of the lesion have?"""
    STAGE = "stage"
    """Which of several ordered stages has the disease?"""
    SURVIVE = "survive"
    """How long until the event?"""


class Likelihood(StrEnum):
    """What `survive` learns by."""

    HAZARD = "hazard"
    """The chance of the event in each of a few intervals of time."""
    COX = "cox"
    """Who has it first of those at risk (Cox 1975); no times come out of it."""


TARGET_COLUMNS: Mapping[CaseTask, tuple[str, ...]] = MappingProxyType(
    {
        CaseTask.DETECT: ("present",),
        CaseTask.DESCRIBE: tuple(READINGS),
        CaseTask.STAGE: ("stage",),
        CaseTask.SURVIVE: ("time", "event"),
    }
)
"""The columns of a table that hold a task's targets."""
