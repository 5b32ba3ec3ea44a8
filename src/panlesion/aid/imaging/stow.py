"""STOW-RS: images in by multipart/related, each part through the same door as every upload; answered instance by instance."""

from dataclasses import dataclass, field
from typing import Any

from panlesion.aid.db import Sessions
from panlesion.aid.imaging.accept import DICOM
from panlesion.aid.imaging.metadata import ROOT
from panlesion.aid.settings import Settings
from panlesion.aid.store.archive import Budget
from panlesion.aid.store.check import RefusedError, Told, check
from panlesion.aid.store.files import Landing, open_landing
from panlesion.aid.store.intake import Outcome, Taken, refuse, take_landed
from panlesion.aid.store.multipart import Part
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import StudySource
from panlesion.errors import PanlesionError

CANNOT_UNDERSTAND, OTHER_STUDY = 0xC000, 0xA900
"""Failure reasons of PS3.18 annex I: "cannot understand", and "does not match", here the study of the request."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A part that is not kept; `told` is None where not even its UIDs could be read."""

    told: Told | None
    code: int
    reason: str


@dataclass(kw_only=True)
class Storing:
    """Takes parts as they come: `begin`, `data`, `end`, as `store.multipart.Parts` calls them.

    `study_uid`: only images of this study are taken.
    """

    sessions: Sessions
    settings: Settings
    by: User
    study_uid: str | None
    kept: list[Taken] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    _budget: Budget = field(init=False)
    _open: Landing | None = field(default=None, init=False)
    _media: str = field(default=DICOM, init=False)
    _count: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._budget = Budget(files=self.settings.max_files, bytes=self.settings.max_upload_bytes)

    def begin(self, part: Part) -> None:
        """A new part.

        Raises:
            TooMuchError: More parts than one request may bring.
            DiskFullError: No room.
        """
        self.drop()
        self._budget.one_file()
        self._count += 1
        self._media = part.headers.get("content-type", DICOM).split(";")[0].strip().lower()
        self._open = open_landing(self.settings, name=f"part {self._count}")

    def data(self, piece: bytes) -> None:
        """Bytes of the part; one that grows beyond what a file may have is refused, and the others still taken.

        Raises:
            TooMuchError: More bytes than one request may bring.
            DiskFullError: No room.
        """
        self._budget.some_bytes(len(piece))
        if self._open is None:
            return
        try:
            self._open.write(piece)
        except RefusedError as error:
            self._refuse(None, str(error))
            self.drop()

    def end(self) -> None:
        """The part is whole: take it, or say why not.

        Raises:
            DiskFullError: No room.
        """
        if self._open is not None:
            self._open.finish()
            self._take(self._open)
        self.drop()

    def drop(self) -> None:
        """Forget a part that is not whole."""
        if self._open is not None:
            self._open.drop()
            self._open = None

    def _take(self, made: Landing) -> None:
        told: Told | None = None
        if self._media != DICOM:
            self._refuse(None, f"{made.name}: Content-Type {self._media[:64]}; {DICOM} is what is taken")
            return
        try:
            told = check(made.path, name=made.name)
        except PanlesionError as error:
            # a deflated file may still be taken, but what study it is of is known only then
            if self.study_uid is not None:
                self._refuse(None, str(error))
                return
        if told is not None and self.study_uid not in (None, told.study_uid):
            reason = f"{made.name}: it is of the study {told.study_uid}, the request of {self.study_uid}"
            self._refuse(told, reason, OTHER_STUDY)
            return
        taken = take_landed(self.sessions, self.settings, made, source=StudySource.STORE, by=self.by)
        if taken.outcome is Outcome.REFUSED:
            self.failed.append(Failed(told=told, code=CANNOT_UNDERSTAND, reason=taken.reason))
        else:
            self.kept.append(taken)

    def _refuse(self, told: Told | None, reason: str, code: int = CANNOT_UNDERSTAND) -> None:
        refuse(self.sessions, f"part {self._count}", reason, source=StudySource.STORE, by=self.by)
        self.failed.append(Failed(told=told, code=code, reason=reason))


def answer(storing: Storing) -> tuple[int, dict[str, Any]]:
    """Status and DICOM JSON by PS3.18 10.5.3: 200 all kept, 202 some, 409 none.

    Raises:
        RefusedError: The request had no part.
    """
    if not storing.kept and not storing.failed:
        raise RefusedError("the request has no part: nothing was stored")
    said: dict[str, Any] = {}
    studies = {taken.told.study_uid for taken in storing.kept if taken.told is not None}
    if storing.study_uid is not None or len(studies) == 1:
        uid = storing.study_uid or next(iter(studies))
        said["00081190"] = {"vr": "UR", "Value": [f"{ROOT}/studies/{uid}"]}
    if storing.kept:
        said["00081199"] = {"vr": "SQ", "Value": [_referenced(taken.told) for taken in storing.kept if taken.told is not None]}
    named = [_failed(one) for one in storing.failed if one.told is not None]
    others = [_failed(one) for one in storing.failed if one.told is None]
    if named:
        said["00081198"] = {"vr": "SQ", "Value": named}
    if others:
        said["0008119A"] = {"vr": "SQ", "Value": others}
    return (200 if not storing.failed else 202 if storing.kept else 409), said


def _referenced(told: Told) -> dict[str, Any]:
    url = f"{ROOT}/studies/{told.study_uid}/series/{told.series_uid}/instances/{told.sop_uid}"
    return {**_named(told), "00081190": {"vr": "UR", "Value": [url]}}


def _failed(one: Failed) -> dict[str, Any]:
    """With the reason in words as ErrorComment, where some archives put it; the standard has a number alone."""
    said = {"00081197": {"vr": "US", "Value": [one.code]}, "00000902": {"vr": "LO", "Value": [one.reason]}}
    return {**(_named(one.told) if one.told is not None else {}), **said}


def _named(told: Told) -> dict[str, Any]:
    return {"00081150": {"vr": "UI", "Value": [told.sop_class]}, "00081155": {"vr": "UI", "Value": [told.sop_uid]}}
