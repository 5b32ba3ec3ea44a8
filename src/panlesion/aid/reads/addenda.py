"""Addenda: a signed report is never changed; its SR is written anew with the remark, and takes the place of the one before."""

import shutil
from pathlib import Path
from secrets import token_hex

from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.db import Turn, take_turn
from panlesion.aid.reads.delivery import queue_addendum
from panlesion.aid.reads.dicom_out import ORGANISATION, SR_FILE, addendum_words, person_name
from panlesion.aid.reads.report import addenda_of, amended_folder
from panlesion.aid.schemas.reading import AddendumOut
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Addendum, Reading, Study, User, now
from panlesion.aid.vocabulary import Action
from panlesion.data.publish import publishing
from panlesion.infer.dicom_amend import write_amended_sr
from panlesion.infer.reviewed import Verifier


def add(session: Session, settings: Settings, study: Study, reading: Reading, text: str, by: User) -> AddendumOut:
    """Add a remark to a signed report, and queue its SR to every PACS that got the report.

    A kill before the commit leaves a folder that no row names.

    Raises:
        ReadError: The SR that was signed is gone or damaged.
        DiskFullError: No room; nothing was added.
    """
    take_turn(session, Turn.AUDIT)  # one after the other: each takes the place of the one before
    number = len(addenda_of(session, study.id)) + 1
    told = AddendumOut(at=now(), by=by.display_name, text=text)
    folder = _write(session, settings, reading, told, number)
    try:
        relative = folder.relative_to(settings.data).as_posix()
        session.add(Addendum(study_id=study.id, by=by.id, at=told.at, text=text, path=relative))
        study.changed_at = now()
        session.flush()
        record(session, Action.ADDENDUM, by=by, study_id=study.id, number=number)
        queue_addendum(session, reading, relative, by.id)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return told


def _write(session: Session, settings: Settings, reading: Reading, told: AddendumOut, number: int) -> Path:
    assert reading.signed_path is not None
    signed = settings.data / reading.signed_path
    before = amended_folder(session, settings, reading.study_id) or signed
    by = Verifier(name=person_name(told.by), organisation=settings.organisation or ORGANISATION, at=told.at)
    # a token, since a kill may have left a folder of the same number
    folder = signed.parent / f"addendum-{number}-{token_hex(4)}"
    with publishing(folder) as partial:
        write_amended_sr(partial / SR_FILE, before / SR_FILE, addendum_words(told), by)
    return folder
