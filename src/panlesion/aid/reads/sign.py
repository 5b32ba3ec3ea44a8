"""Signing: a draft becomes a report that nobody changes any more."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from threading import BoundedSemaphore
from typing import cast
from uuid import UUID

import numpy as np
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions
from panlesion.aid.reads.delivery import queue_send
from panlesion.aid.reads.dicom_out import PDF_FILE, SEG_FILE, SR_FILE, write_pdf_dicom, write_seg_and_sr
from panlesion.aid.reads.fhir import FHIR_FILE, diagnostic_report
from panlesion.aid.reads.report import (
    DOCUMENT_FILE,
    MASK_FILE,
    Images,
    Report,
    Signature,
    Signed,
    fingerprint,
    load_images,
)
from panlesion.aid.reads.report_content import content_of
from panlesion.aid.reads.report_pdf import PDF_FILE as REPORT_PDF
from panlesion.aid.reads.report_pdf import report_pdf
from panlesion.aid.reads.report_view import HTML_FILE, report_html
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job, Node, Reading, Study, User, now
from panlesion.aid.vocabulary import Action, Decision, Parcel, ReadingState, StudyState
from panlesion.data.publish import publishing
from panlesion.errors import PanlesionError

_building = BoundedSemaphore(2)


class SigningRefusedError(PanlesionError):
    """This reading cannot be signed as it is; `status` is HTTP's."""

    def __init__(self, words: str, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> None:
        super().__init__(words)
        self.status = status


@contextmanager
def building() -> Iterator[None]:
    """Few reports are written at a time: each holds a CT in memory."""
    with _building:
        yield


def unsignable(report: Report, images: Images) -> str:
    """Why a reading cannot be signed yet, in words; empty where it can."""
    undecided = [one.number for one in report.document.findings if one.decision is Decision.OPEN]
    if undecided:
        return f"findings {_listed(undecided)} are not decided; accept or reject each before signing"
    told = {one.number: one for one in report.document.findings if one.decision is Decision.ACCEPTED}
    empty = [number for number, one in told.items() if one.size is None or not images.voxels[number]]
    if empty:
        return f"accepted findings {_listed(empty)} have no outline; paint one, or reject or remove them"
    nobodys = [int(label) for label in np.flatnonzero(images.voxels[1:]) + 1 if label not in _numbers(report)]
    if nobodys:
        return f"the mask has labels {_listed(nobodys)} of no finding; erase them or add the findings"
    return ""


def _numbers(report: Report) -> set[int]:
    return {one.number for one in report.document.findings}


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def sign(sessions: Sessions, settings: Settings, report: Report, signer: User) -> Signature:
    """Freeze a reading: write all that leaves, then commit state, audit and what is to be sent in one transaction.

    A kill before the commit leaves a folder that no row names, and the draft as it was.

    Raises:
        SigningRefusedError: Something is not decided or not outlined, or the reading was changed or signed meanwhile.
        ReadError: The CT or the mask is gone or damaged.
        DiskFullError: No room; the draft is as it was.
    """
    with building():
        images = load_images(settings, report)
        problem = unsignable(report, images)
        if problem:
            raise SigningRefusedError(problem)
        folder, signature = _write(settings, report, images, signer)
    written = False
    try:
        with sessions.begin() as session:
            _freeze(session, settings, report, folder, signature, signer)
            written = True
    except BaseException:
        # a commit whose answer was lost may have been one: then the row names the folder
        if not written:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return signature


def _write(settings: Settings, report: Report, images: Images, signer: User) -> tuple[Path, Signature]:
    """Everything of the signed reading, published as one folder."""
    told = Signed(
        study=report.facts,
        version=report.version,
        signed_by=signer.display_name,
        signed_at=now(),
        document=report.document,
        comparison=report.comparison,
    )
    document, mask = told.canonical(), report.mask.read_bytes()
    signature = Signature(name=told.signed_by, at=told.signed_at, sha256=fingerprint(document, mask))
    # a token, since a killed signing may have left a folder of the same version
    folder = settings.data / "signed" / str(report.study_id) / f"{report.version}-{token_hex(4)}"
    with publishing(folder) as partial:
        (partial / DOCUMENT_FILE).write_bytes(document)
        (partial / MASK_FILE).write_bytes(mask)
        write_files(partial, replace(report, signature=signature, mask=partial / MASK_FILE), images)
    return folder, signature


def write_words(folder: Path, report: Report, images: Images) -> bytes:
    """The report as page, PDF and FHIR; returns the PDF."""
    content = content_of(report, images)
    pdf = report_pdf(content)
    (folder / HTML_FILE).write_text(report_html(content), encoding="utf-8")
    (folder / REPORT_PDF).write_bytes(pdf)
    told = json.dumps(diagnostic_report(report, pdf), ensure_ascii=False, indent=1)
    (folder / FHIR_FILE).write_text(told, encoding="utf-8")
    return pdf


def write_files(folder: Path, report: Report, images: Images) -> None:
    """The report in every form it leaves in: words and DICOM."""
    pdf = write_words(folder, report, images)
    write_seg_and_sr(folder, report, images)
    write_pdf_dicom(folder / PDF_FILE, report, images, pdf)


def _freeze(session: Session, settings: Settings, report: Report, folder: Path, signature: Signature, signer: User) -> None:
    """Commit the signature, unless somebody was faster."""
    relative = folder.relative_to(settings.data).as_posix()
    frozen = session.execute(
        update(Reading)
        .where(Reading.study_id == report.study_id, Reading.version == report.version, Reading.state != ReadingState.SIGNED)
        .values(
            state=ReadingState.SIGNED,
            signed_at=signature.at,
            signed_by=signer.id,
            signed_path=relative,
            signed_sha256=signature.sha256,
        )
    )
    if cast(CursorResult, frozen).rowcount != 1:
        raise SigningRefusedError(
            "the reading was changed or signed while it was being signed; look at it again", HTTPStatus.PRECONDITION_FAILED
        )
    session.execute(update(Study).where(Study.id == report.study_id).values(state=StudyState.SIGNED, changed_at=now()))
    record(session, Action.SIGN, by=signer, study_id=report.study_id, version=report.version, sha256=signature.sha256)
    queue_signed(session, report.study_id, relative, signer.id)


def queue_signed(session: Session, study_id: UUID, folder: str, by: UUID) -> list[Job]:
    """Queue the sending of a signed folder to every node that is to have it."""
    nodes = session.scalars(select(Node).where(Node.active, Node.sends_to).order_by(Node.name)).all()
    files = [SEG_FILE, SR_FILE]
    return [
        queue_send(session, study_id, node, folder, files + [PDF_FILE] * node.sends_pdf, by, what=Parcel.SIGNED)
        for node in nodes
    ]
