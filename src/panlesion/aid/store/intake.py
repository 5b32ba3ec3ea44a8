"""One DICOM file in: landed, checked, put in its place, and its row committed; or refused, and the reason listed."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions, is_full
from panlesion.aid.deps import visible_to
from panlesion.aid.settings import Settings
from panlesion.aid.store.check import RefusedError, Told, check, clean
from panlesion.aid.store.files import (
    Landing,
    Readable,
    content_sha256,
    image_path,
    inflate,
    is_deflated,
    landing,
    pour,
    settle_down,
)
from panlesion.aid.tables import Instance, Job, Reading, Rejected, Series, Study, User, now
from panlesion.aid.vocabulary import Action, JobState, ReadingState, StudySource, StudyState
from panlesion.data.publish import DiskFullError
from panlesion.errors import PanlesionError

MOST_REFUSED = 100_000
"""So many are listed: a machine that sends what cannot be kept, all day, fills no disk with the list."""
ATTEMPTS = 8
"""How often a file is written down again when another one of its study came between."""


class Outcome(StrEnum):
    """What became of a file."""

    TAKEN = "taken"
    AGAIN = "again"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a sender said of a file before sending it; one that is another is refused. Empty: anything."""

    study_uid: str | None = None
    sop_uid: str | None = None
    sop_class: str | None = None

    def check(self, told: Told, name: str) -> None:
        """Compare with the file's own header.

        Raises:
            RefusedError: Another image than was said.
        """
        for what, said, found in (
            ("StudyInstanceUID", self.study_uid, told.study_uid),
            ("SOPInstanceUID", self.sop_uid, told.sop_uid),
            ("SOPClassUID", self.sop_class, told.sop_class),
        ):
            if said is not None and said != found:
                raise MismatchError(
                    f"{name}: {what} {found} in the file, {clean(said, 64)} in the request. Nothing is kept of it"
                )


ANYTHING = Wanted()


class MismatchError(RefusedError):
    """A file that is not the one that was announced."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a file; `rejected_id` is its line in the list of refused files, `told` what its header says."""

    outcome: Outcome
    name: str
    study_id: UUID | None = None
    told: Told | None = None
    reason: str = ""
    rejected_id: int | None = None
    mismatch: bool = False


@dataclass(frozen=True, kw_only=True)
class _Landed:
    path: Path
    name: str
    size: int
    sha256: str
    told: Told


def analyse_key(study_id: UUID) -> str:
    """The key of a study's analysis in the queue."""
    return f"analyse:{study_id}"


def take_file(sessions: Sessions, settings: Settings, path: Path, *, name: str, source: StudySource, by: User | None) -> Taken:
    """`take_stream` of a file, which stays where it is."""
    with path.open("rb") as stream:
        return take_stream(sessions, settings, stream, name=name, source=source, by=by)


def take_stream(
    sessions: Sessions,
    settings: Settings,
    stream: Readable,
    *,
    name: str,
    source: StudySource,
    by: User | None,
    wanted: Wanted = ANYTHING,
) -> Taken:
    """Take one DICOM file from a stream of bytes, or refuse it with a reason.

    Args:
        sessions: Its rows are committed when the file is in its place, so that a kill loses nothing that was told as taken.
        settings: Where the data lie, and how large a file may be.
        stream: Read to its end.
        name: What the sender calls it; never used as a path.
        source: How it came.
        by: Who brought it; None for another machine.
        wanted: What the sender announced.

    Raises:
        DiskFullError: Nothing of it was kept; the same file can be sent again.
    """
    with landing(settings, name=clean(name, 256)) as made:
        try:
            pour(stream, made)
        except RefusedError as error:
            return refuse(sessions, made.name, str(error), source=source, by=by)
        return take_landed(sessions, settings, made, source=source, by=by, wanted=wanted)


def take_landed(
    sessions: Sessions,
    settings: Settings,
    made: Landing,
    *,
    source: StudySource,
    by: User | None,
    wanted: Wanted = ANYTHING,
) -> Taken:
    """Take a file that is whole in `incoming/`; whoever opened it drops it.

    Raises:
        DiskFullError: Nothing of it was kept; the same file can be sent again.
    """
    made.finish()
    told: Told | None = None
    with landing(settings, name=made.name) as plain:
        try:
            if made.size > settings.max_file_bytes:
                raise RefusedError(f"{made.name}: {made.size} bytes; one file may have {settings.max_file_bytes} here")
            used = made
            if is_deflated(made.path, name=made.name):
                inflate(made.path, plain)
                used = plain
            sha256 = used.finish()
            told = check(used.path, name=made.name)
            wanted.check(told, made.name)
            landed = _Landed(path=used.path, name=made.name, size=used.size, sha256=sha256, told=told)
            return _first_or_again(sessions, settings, landed, source, by)
        except DiskFullError:
            raise
        except PanlesionError as error:
            refused = refuse(sessions, made.name, str(error), source=source, by=by)
            return replace(refused, told=told, mismatch=isinstance(error, MismatchError))


def refuse(sessions: Sessions, name: str, reason: str, *, source: StudySource, by: User | None) -> Taken:
    """List a file that is not taken."""
    name = clean(name, 256) or "a file without a name"
    reason = clean(reason.removeprefix(f"{name}: "), 4000)
    row = Rejected(source=source, name=name, reason=reason, by=None if by is None else by.id)
    with sessions.begin() as session:
        session.add(row)
        session.flush()
        session.execute(delete(Rejected).where(Rejected.id <= row.id - MOST_REFUSED))
    return Taken(outcome=Outcome.REFUSED, name=name, reason=reason, rejected_id=row.id)


def _first_or_again(sessions: Sessions, settings: Settings, landed: _Landed, source: StudySource, by: User | None) -> Taken:
    """Write a file down; whoever is first of two that bring the same image wins, the other finds it there."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _written_down(sessions, settings, landed, source, by)
        except IntegrityError:
            continue
    return _written_down(sessions, settings, landed, source, by)


def _written_down(sessions: Sessions, settings: Settings, landed: _Landed, source: StudySource, by: User | None) -> Taken:
    told = landed.told
    target: Path | None = None
    written = False
    try:
        with sessions.begin() as session:
            study = _study(session, told, source, by, landed.name)
            kept = _kept(session, study, landed)
            if kept is None:
                series = _series(session, study, told)
                instance = _instance(study, series, landed)
                session.add(instance)
                _count_in(session, study, series, told)
                session.flush()
                target = settings.data / instance.path
                settle_down(landed.path, target)
            elif not (settings.data / kept.path).is_file():
                _mend(settings, kept, landed)
            elif kept.sha256 != landed.sha256 and not _same_image(settings, kept, landed):
                raise RefusedError(
                    f"{landed.name}: the image {told.sop_uid} differs from what is kept under its UID; that one stays"
                )
            written = True
    except OperationalError as error:
        # a commit whose answer was lost may have been one: without a row the file is taken in later
        if not written:
            _take_back(target)
        if is_full(error):
            raise DiskFullError(
                f"{landed.name}: the database cannot be written: {error.orig}. Free some space, then send again"
            ) from error
        raise
    except BaseException:
        if not written:
            _take_back(target)
        raise
    return Taken(outcome=Outcome.AGAIN if kept else Outcome.TAKEN, name=landed.name, study_id=study.id, told=told)


def _take_back(target: Path | None) -> None:
    if target is not None:
        target.unlink(missing_ok=True)


def _study(session: Session, told: Told, source: StudySource, by: User | None, name: str) -> Study:
    """The study, new or kept, its row held until the transaction ends, so that images of one study are written one by one."""
    held = update(Study).where(Study.study_uid == told.study_uid).values(images=Study.images, changed_at=Study.changed_at)
    if session.execute(held.execution_options(synchronize_session=False)).rowcount == 0:  # type: ignore[attr-defined]
        study = Study(
            id=uuid4(),
            study_uid=told.study_uid,
            source=source,
            patient_id=told.patient_id,
            patient_name=told.patient_name,
            birth_date=told.birth_date,
            sex=told.sex,
            accession=told.accession,
            description=told.study_description,
            study_at=told.study_at,
        )
        session.add(study)
        session.flush()
        record(session, Action.RECEIVED, by=by, study_id=study.id, source=source.value)
        return study
    study = session.scalars(select(Study).where(Study.study_uid == told.study_uid)).one()
    if by is not None and session.scalar(select(Study.id).where(Study.id == study.id, visible_to(by))) is None:
        raise RefusedError(f"{name}: its study is kept here, and closed to you. Ask a study manager")
    if study.patient_id != told.patient_id:
        raise RefusedError(
            f"{name}: its study is kept under another PatientID; one study is of one patient. Correct it where it comes from"
        )
    return study


def _kept(session: Session, study: Study, landed: _Landed) -> Instance | None:
    kept = session.get(Instance, landed.told.sop_uid)
    if kept is None:
        return None
    series = session.get_one(Series, kept.series_id)
    if series.study_id != study.id or series.series_uid != landed.told.series_uid:
        other = "study" if series.study_id != study.id else "series"
        raise RefusedError(f"{landed.name}: the image {landed.told.sop_uid} is kept as one of another {other}; that one stays")
    return kept


def _series(session: Session, study: Study, told: Told) -> Series:
    series = session.scalar(select(Series).where(Series.study_id == study.id, Series.series_uid == told.series_uid))
    if series is None:
        series = Series(
            id=uuid4(),
            study_id=study.id,
            series_uid=told.series_uid,
            number=told.series_number,
            modality=told.modality,
            description=told.series_description,
            images=0,
        )
        session.add(series)
        session.flush()
    return series


def _instance(study: Study, series: Series, landed: _Landed) -> Instance:
    told = landed.told
    return Instance(
        sop_uid=told.sop_uid,
        series_id=series.id,
        sop_class=told.sop_class,
        transfer_syntax=told.transfer_syntax,
        number=told.number,
        rows=told.rows,
        columns=told.columns,
        frames=told.frames,
        path=image_path(study.id, series.id, told.sop_uid),
        bytes=landed.size,
        sha256=landed.sha256,
    )


def _count_in(session: Session, study: Study, series: Series, told: Told) -> None:
    """A new image: counted, and the study arrives again where it would change what was, or is to be, analysed."""
    study.images += 1
    series.images += 1
    reading = session.get(Reading, study.id)
    begun = reading is not None and reading.state is not ReadingState.READY
    concerned = study.primary_series in (None, told.series_uid) and told.is_ct
    if study.state is StudyState.ARRIVING or (concerned and not begun):
        study.last_image_at = now()
    if not concerned or begun:
        return
    if study.state in (StudyState.QUEUED, StudyState.READY, StudyState.FAILED):
        study.state, study.problem = StudyState.ARRIVING, ""
        session.execute(delete(Job).where(Job.key == analyse_key(study.id), Job.state == JobState.QUEUED))


def _mend(settings: Settings, kept: Instance, landed: _Landed) -> None:
    """The row is there and its file is not: the image that came again takes the place."""
    settle_down(landed.path, settings.data / kept.path)
    kept.bytes, kept.sha256, kept.transfer_syntax = landed.size, landed.sha256, landed.told.transfer_syntax


def _same_image(settings: Settings, kept: Instance, landed: _Landed) -> bool:
    same_syntax = kept.transfer_syntax == landed.told.transfer_syntax
    return same_syntax and content_sha256(settings.data / kept.path) == content_sha256(landed.path)
