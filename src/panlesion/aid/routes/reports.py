"""Signing, and everything that leaves: reports, DICOM, FHIR, archives, and what is on its way to a PACS."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Depends, Header, HTTPException, Response, status
from fastapi.responses import StreamingResponse
from sqlalchemy import CursorResult, func, select, update

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions
from panlesion.aid.deps import LoginDep, ReaderDep, SessionDep, SessionsDep, SettingsDep, StudyDep, ViewerDep, visible_to
from panlesion.aid.reads.addenda import add
from panlesion.aid.reads.compare import comparison_of
from panlesion.aid.reads.dicom_out import SEG_FILE, SR_FILE, write_seg_and_sr
from panlesion.aid.reads.export import prepare, series_of
from panlesion.aid.reads.fhir import FHIR_FILE, diagnostic_report
from panlesion.aid.reads.report import Images, Report, load_images, report_of
from panlesion.aid.reads.report_content import content_of
from panlesion.aid.reads.report_pdf import PDF_FILE, report_pdf
from panlesion.aid.reads.report_view import HTML_FILE, report_html
from panlesion.aid.reads.sign import SigningRefusedError, building, sign
from panlesion.aid.schemas.reading import AddendumIn, AddendumOut, DeliveryOut, SignIn
from panlesion.aid.schemas.reports import SignedOut
from panlesion.aid.secrets import password_fits, sha256
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Attempt, Job, Login, Reading, User, now
from panlesion.aid.vocabulary import Action, JobKind, JobState, Parcel, ReadingState

router = APIRouter(prefix="/studies/{study_id}", tags=["reports"])

FRESH = timedelta(minutes=15)
"""So long after logging in at an identity provider a signature needs no other proof."""
GUESSES_FOR = timedelta(minutes=15)
PDF, DICOM, FHIR = "application/pdf", "application/dicom", "application/fhir+json"
PAGE_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-modals"
NOT_THERE = "nothing has been read in this study yet; wait for its analysis or begin by hand"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A report that was asked for, by whom; the database is free again while it is made."""

    report: Report
    user: User
    sessions: Sessions
    settings: Settings

    def audited(self, what: str, **detail: object) -> None:
        """Write down what left."""
        with self.sessions.begin() as session:
            record(session, Action.EXPORT, by=self.user, study_id=self.report.study_id, what=what, **detail)


def asked(study: StudyDep, user: ViewerDep, session: SessionDep, sessions: SessionsDep, settings: SettingsDep) -> Asked:
    """The report of the study in the path; 404 where nothing has been read."""
    report = report_of(session, settings, study)
    if report is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, NOT_THERE)
    # Making a report takes seconds; no other writer waits for this request's transaction meanwhile.
    session.commit()
    if report.signature is None:
        with sessions() as looking:
            report = replace(report, comparison=comparison_of(looking, settings, study, visible_to(user)))
    return Asked(report=report, user=user, sessions=sessions, settings=settings)


AskedDep = Annotated[Asked, Depends(asked, scope="function")]


@router.post("/sign")
def sign_reading(
    told: SignIn,
    signer: ReaderDep,
    wanted: AskedDep,
    login: LoginDep,
    settings: SettingsDep,
    if_match: Annotated[str | None, Header()] = None,
) -> SignedOut:
    """Sign the reading: nothing of it changes any more, and every node that gets reports is sent this one."""
    version = version_of(if_match)
    report, sessions = wanted.report, wanted.sessions
    if report.signature is not None:
        raise HTTPException(status.HTTP_409_CONFLICT, f"signed already, by {report.signature.name}")
    if report.version != version:
        raise _stale(sessions, report)
    _prove(told, login, signer, sessions, settings)
    try:
        signature = sign(sessions, settings, report, signer)
    except SigningRefusedError as error:
        if error.status is HTTPStatus.PRECONDITION_FAILED:
            raise _stale(sessions, report) from error
        raise HTTPException(error.status, str(error)) from error
    with sessions() as session:
        query = select(func.count()).where(Job.study_id == report.study_id, Job.kind == JobKind.SEND)
        deliveries = session.scalar(query) or 0
    return SignedOut(
        study_id=report.study_id,
        version=version,
        signed_at=signature.at,
        signed_by=signature.name,
        sha256=signature.sha256,
        deliveries=deliveries,
    )


def version_of(if_match: str | None) -> int:
    """The version that a change was made on."""
    if if_match is None:
        raise HTTPException(status.HTTP_428_PRECONDITION_REQUIRED, 'tell the version you looked at: If-Match: "7"')
    told = if_match.removeprefix("W/").strip('"')
    if not (told.isascii() and told.isdigit() and len(told) < 10):
        raise HTTPException(status.HTTP_400_BAD_REQUEST, f'If-Match is {if_match[:40]!r}, it must be a version like "7"')
    return int(told)


def _stale(sessions: Sessions, report: Report) -> HTTPException:
    """Another change came in between: which, and whose."""
    with sessions() as session:
        reading = session.get(Reading, report.study_id)
        assert reading is not None
        by = None if reading.changed_by is None else session.get(User, reading.changed_by)
        if reading.state is ReadingState.SIGNED:
            return HTTPException(status.HTTP_409_CONFLICT, "signed meanwhile")
        told = {
            "detail": "the reading was changed since you looked at it; look again before signing",
            "version": reading.version,
            "by": None if by is None else by.display_name,
            "at": reading.changed_at.isoformat(),
        }
    return HTTPException(status.HTTP_412_PRECONDITION_FAILED, told)


def _prove(told: SignIn, login: Login, signer: User, sessions: Sessions, settings: Settings) -> None:
    """That it is the signer who signs: the password again, or a fresh login at the identity provider.

    Wrong passwords are counted for themselves: they lock nobody out of logging in.
    """
    if signer.password_hash is None:
        if now() - login.created_at > FRESH:
            raise HTTPException(status.HTTP_403_FORBIDDEN, "log in again, then sign: your login is older than 15 minutes")
        return
    key = sha256(f"sign:{signer.id}")
    with sessions() as session:
        query = select(func.count()).where(Attempt.key == key, Attempt.at > now() - GUESSES_FOR)
        tried = session.scalar(query) or 0
    if tried >= settings.attempts_per_15_min:
        wait = str(int(GUESSES_FOR.total_seconds()))
        raise HTTPException(
            status.HTTP_429_TOO_MANY_REQUESTS, "too many wrong passwords; wait 15 minutes", headers={"Retry-After": wait}
        )
    if not password_fits(signer.password_hash, told.password):
        with sessions.begin() as session:
            session.add(Attempt(key=key))
        raise HTTPException(status.HTTP_403_FORBIDDEN, "the password does not fit; nothing was signed")


@router.post("/addenda", status_code=201)
def add_addendum(told: AddendumIn, study: StudyDep, user: ReaderDep, session: SessionDep, settings: SettingsDep) -> AddendumOut:
    """Add a remark to a signed report; it stays as it is, too. Every PACS that got the report gets it with the remark."""
    reading = session.get(Reading, study.id)
    if reading is None or reading.state is not ReadingState.SIGNED:
        raise HTTPException(status.HTTP_409_CONFLICT, "only a signed report has addenda; change the draft instead")
    if not told.text.strip():
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, "text is empty; write what is to be added")
    return add(session, settings, study, reading, told.text, user)


def _kept(report: Report, name: str) -> bytes | None:
    """A file as it was signed, while it still says everything."""
    if report.signed_folder is None or report.addenda:
        return None
    path = report.signed_folder / name
    return path.read_bytes() if path.is_file() else None


def _made(wanted: Asked, make: Callable[[Images], bytes]) -> bytes:
    with building():
        return make(load_images(wanted.settings, wanted.report))


def _answer(body: bytes, kind: str, name: str = "") -> Response:
    """A page or PDF is shown, anything else is saved; a page may load nothing and run nothing."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if kind.startswith("text/html"):
        headers["Content-Security-Policy"] = PAGE_POLICY
    return Response(body, media_type=kind, headers=headers)


@router.get("/report.html")
def report_page(wanted: AskedDep) -> Response:
    """The report as a page that needs nothing else."""
    report = wanted.report
    body = _kept(report, HTML_FILE) or _made(wanted, lambda images: report_html(content_of(report, images)).encode())
    wanted.audited("report.html")
    return _answer(body, "text/html; charset=utf-8")


@router.get("/report.pdf")
def report_as_pdf(wanted: AskedDep) -> Response:
    """The report on A4."""
    body = pdf_of(wanted)
    wanted.audited("report.pdf")
    return _answer(body, PDF)


def pdf_of(wanted: Asked) -> bytes:
    """The PDF that was signed, or one made now."""
    report = wanted.report
    return _kept(report, PDF_FILE) or _made(wanted, lambda images: report_pdf(content_of(report, images)))


@router.get("/seg.dcm")
def seg(wanted: AskedDep) -> Response:
    """The reported findings as DICOM SEG; 404 where there are none."""
    body = _dicom(wanted, SEG_FILE)
    if body is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no finding is reported, and a DICOM SEG cannot be without one")
    wanted.audited(SEG_FILE)
    return _answer(body, DICOM, SEG_FILE)


@router.get("/sr.dcm")
def sr(wanted: AskedDep) -> Response:
    """The report as DICOM SR."""
    body = _dicom(wanted, SR_FILE)
    assert body is not None
    wanted.audited(SR_FILE)
    return _answer(body, DICOM, SR_FILE)


def _dicom(wanted: Asked, name: str) -> bytes | None:
    """A file as it was signed, the SR with every addendum; else as it would be now."""
    report = wanted.report
    if report.signed_folder is not None:
        amended = name == SR_FILE and report.amended_folder is not None
        path = (report.amended_folder if amended else report.signed_folder) / name  # type: ignore[operator]
        return path.read_bytes() if path.is_file() else None
    with building(), tempfile.TemporaryDirectory() as folder:
        write_seg_and_sr(Path(folder), report, load_images(wanted.settings, report))
        path = Path(folder, name)
        return path.read_bytes() if path.is_file() else None


@router.get("/fhir")
def fhir(wanted: AskedDep) -> Response:
    """The report as an R4 DiagnosticReport."""
    report = wanted.report
    body = _kept(report, FHIR_FILE)
    if body is None:
        pdf = pdf_of(wanted) if report.signature else None
        body = json.dumps(diagnostic_report(report, pdf), ensure_ascii=False, indent=1).encode()
    wanted.audited("fhir")
    return _answer(body, FHIR, FHIR_FILE)


@router.get("/export.zip")
def export(wanted: AskedDep, sessions: SessionsDep, settings: SettingsDep, deidentify: bool = False) -> StreamingResponse:
    """Images and reports of the study in one archive, de-identified at wish; streamed."""
    report = wanted.report
    with sessions() as session:
        series = series_of(session, settings, report.study_id)
    made = prepare(settings, report, series, of_nobody=deidentify)
    wanted.audited("export.zip", deidentified=deidentify)
    name = f"panlesion-{'anonymous' if deidentify else str(report.study_id)[:8]}.zip"
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(made.stream(), media_type="application/zip", headers=headers)


@router.get("/deliveries")
def deliveries(study: StudyDep, session: SessionDep) -> list[DeliveryOut]:
    """What of the study is on its way to a PACS, or arrived, newest first."""
    query = select(Job).where(Job.study_id == study.id, Job.kind == JobKind.SEND)
    return [_delivery(job) for job in session.scalars(query.order_by(Job.created_at.desc(), Job.id))]


@router.post("/deliveries/{job_id}/retry")
def retry_delivery(job_id: UUID, study: StudyDep, user: ReaderDep, session: SessionDep) -> DeliveryOut:
    """Send again what failed; the PACS sees the same instances."""
    query = select(Job).where(Job.id == job_id, Job.study_id == study.id, Job.kind == JobKind.SEND)
    job = session.scalar(query)
    if job is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such delivery of this study")
    # one statement, so that of two retries one wins
    again = update(Job).where(Job.id == job_id, Job.state == JobState.FAILED)
    fresh = {"state": JobState.QUEUED, "attempts": 0, "cause": "", "lease": None, "not_before": now(), "finished_at": None}
    if cast(CursorResult, session.execute(again.values(**fresh))).rowcount != 1:
        raise HTTPException(status.HTTP_409_CONFLICT, f"this delivery is {job.state}; only a failed one is sent again")
    record(session, Action.QUEUED, by=user, study_id=study.id, job=str(job_id))
    session.refresh(job)
    return _delivery(job)


def _delivery(job: Job) -> DeliveryOut:
    return DeliveryOut(
        job_id=job.id,
        node=job.payload["name"],
        what=Parcel(job.payload.get("what", Parcel.SIGNED)),
        state=job.state,
        cause=job.cause,
        attempts=job.attempts,
        finished_at=job.finished_at,
    )
