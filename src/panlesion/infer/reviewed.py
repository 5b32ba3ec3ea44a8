"""What a person has made of the findings of a network: what DICOM SEG and SR say of them beyond the findings themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Made(StrEnum):
    """How an outline came about, in DICOM's words."""

    AUTOMATIC = "AUTOMATIC"
    SEMIAUTOMATIC = "SEMIAUTOMATIC"
    """A network's, changed by a person, or made at a person's click."""
    MANUAL = "MANUAL"


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """Who answers for a report. `name` is a DICOM person name, `at` has a zone."""

    name: str
    organisation: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Review:
    """A reading of findings, by finding number where it says something of one.

    Without a verifier the report is preliminary. `changed` are the attributes that a person set, `remarks` a person's words on
    findings, `comment` those on the study, `notices` further lines of the summary.
    """

    made: Mapping[int, Made] = field(default_factory=dict)
    changed: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    remarks: Mapping[int, str] = field(default_factory=dict)
    verifier: Verifier | None = None
    comment: str = ""
    notices: tuple[str, ...] = ()

    def how(self, number: int) -> Made:
        """How the outline of a finding was made; by the network, where nothing else is said."""
        return self.made.get(number, Made.AUTOMATIC)


UNSEEN = Review()
"""Nobody has looked at the findings."""
