"""The database: one class a table. Times are UTC; ids of ours are UUIDs, DICOM's keep their own column."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    JSON,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
)
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.orm.attributes import get_history

from panlesion.aid.folding import folded
from panlesion.aid.vocabulary import (
    JobKind,
    JobState,
    NodeKind,
    ReadingState,
    Role,
    StudySource,
    StudyState,
)


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC, aware on both sides; SQLite itself keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError(f"time {value} has no zone; give it in UTC")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Word(TypeDecorator[Any]):
    """A member of a `StrEnum`, stored as its value; an unknown value in the database is an error, not a guess."""

    impl = String(32)
    cache_ok = True

    def __init__(self, kind: type) -> None:
        self.kind = kind
        super().__init__()

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else str(self.kind(value).value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else self.kind(value)


class Base(DeclarativeBase):
    """Base of all tables."""


class User(Base):
    """An account. Never deleted, only made inactive: signatures and the audit log name it."""

    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    display_name: Mapped[str] = mapped_column(String(128))
    role: Mapped[Role] = mapped_column(Word(Role))
    password_hash: Mapped[str | None] = mapped_column(String(256))
    oidc_subject: Mapped[str | None] = mapped_column(String(256), unique=True)
    must_change: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)


class Login(Base):
    """A browser's session; the cookie holds the token, the table its hash."""

    __tablename__ = "logins"
    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    seen_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    user: Mapped[User] = relationship(lazy="joined")


class ApiToken(Base):
    """What another viewer shows instead of a session, for DICOMweb alone."""

    __tablename__ = "api_tokens"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)
    user: Mapped[User] = relationship(lazy="joined")


class Attempt(Base):
    """A refused login, counted to slow guessing; `key` is a hash of the account's name or of the address."""

    __tablename__ = "attempts"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime] = mapped_column(UtcTime, default=now, index=True)


class OidcFlow(Base):
    """A login on its way through the identity provider: what its answer must fit. Taken out by the first answer."""

    __tablename__ = "oidc_flows"
    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    state_sha256: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(String(64))
    verifier: Mapped[str] = mapped_column(String(128))
    redirect_uri: Mapped[str] = mapped_column(String(512))
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now, index=True)


SEARCHED = ("patient_name", "patient_id", "accession", "description")


def _searched(context: DefaultExecutionContext) -> str:
    told = context.get_current_parameters()  # type: ignore[no-untyped-call]
    return "\n".join(folded(told.get(name) or "") for name in SEARCHED)


class Study(Base):
    """A DICOM study. `changed_at` moves with everything the worklist shows.

    `searched` is what a search looks in, a line each, folded (`folding`): databases differ in what they take for capitals.
    `primary_series` is the UID of the CT that is analysed and read, `suspicion` the overall one
    of the AI's findings and `findings` their number, None until analysed. `reported` is how many findings the reading has that
    nobody rejected, None until a reader changed something. `problem` says why a failed study failed.
    """

    __tablename__ = "studies"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    study_uid: Mapped[str] = mapped_column(String(64), unique=True)
    state: Mapped[StudyState] = mapped_column(Word(StudyState), default=StudyState.ARRIVING)
    source: Mapped[StudySource] = mapped_column(Word(StudySource))
    problem: Mapped[str] = mapped_column(Text, default="")
    patient_id: Mapped[str] = mapped_column(String(64), default="", index=True)
    patient_name: Mapped[str] = mapped_column(String(324), default="", index=True)
    birth_date: Mapped[date | None] = mapped_column(Date)
    sex: Mapped[str] = mapped_column(String(16), default="")
    accession: Mapped[str] = mapped_column(String(64), default="", index=True)
    description: Mapped[str] = mapped_column(String(256), default="")
    searched: Mapped[str] = mapped_column(Text, default=_searched, deferred=True)
    study_at: Mapped[datetime | None] = mapped_column(UtcTime, index=True)
    images: Mapped[int] = mapped_column(default=0)
    received_at: Mapped[datetime] = mapped_column(UtcTime, default=now, index=True)
    last_image_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    changed_at: Mapped[datetime] = mapped_column(UtcTime, default=now, onupdate=now, index=True)
    primary_series: Mapped[str | None] = mapped_column(String(64))
    suspicion: Mapped[float | None]
    findings: Mapped[int | None]
    reported: Mapped[int | None]
    priority: Mapped[int] = mapped_column(default=0)
    restricted: Mapped[bool] = mapped_column(default=False)
    prior_id: Mapped[UUID | None] = mapped_column(ForeignKey("studies.id"))
    series: Mapped[list["Series"]] = relationship(back_populates="study", cascade="all, delete-orphan")
    __table_args__ = (
        Index("studies_state_received", "state", "received_at"),
        Index("studies_suspicion_received", "suspicion", "received_at", "id"),
        # holds all that the worklist counts
        Index("studies_counted", "state", "restricted", "findings"),
    )


@event.listens_for(Study, "before_update")
def _search_anew(_mapper: object, _connection: object, study: Study) -> None:
    if any(get_history(study, name).has_changes() for name in SEARCHED):
        study.searched = "\n".join(folded(getattr(study, name)) for name in SEARCHED)


class Access(Base):
    """Who may open a restricted study."""

    __tablename__ = "access"
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)


class Series(Base):
    """A series of a study; `problem` says why it cannot be analysed, by the rules of `ct`."""

    __tablename__ = "series"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    series_uid: Mapped[str] = mapped_column(String(64), index=True)
    number: Mapped[int | None]
    modality: Mapped[str] = mapped_column(String(16), default="")
    description: Mapped[str] = mapped_column(String(256), default="")
    images: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str] = mapped_column(Text, default="")
    study: Mapped[Study] = relationship(back_populates="series")
    __table_args__ = (UniqueConstraint("study_id", "series_uid"),)


class Instance(Base):
    """One DICOM file; `path` is relative to the data folder, `sha256` that of the file as kept."""

    __tablename__ = "instances"
    sop_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    series_id: Mapped[UUID] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"), index=True)
    sop_class: Mapped[str] = mapped_column(String(64))
    transfer_syntax: Mapped[str] = mapped_column(String(64))
    number: Mapped[int | None]
    rows: Mapped[int] = mapped_column(default=0)
    columns: Mapped[int] = mapped_column(default=0)
    frames: Mapped[int] = mapped_column(default=1)
    path: Mapped[str] = mapped_column(String(512))
    bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))


class Rejected(Base):
    """A file that was not taken, and why; `name` is the file's own, never a path of the server."""

    __tablename__ = "rejected"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime, default=now, index=True)
    source: Mapped[StudySource] = mapped_column(Word(StudySource))
    name: Mapped[str] = mapped_column(String(256))
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))


class Job(Base):
    """Work for a worker. Only the holder of the lease, told by `lease`, may write what came of it.

    `key` makes queueing idempotent: there is one job of a key that is not finished. `answer` is a small result (JSON), `blob`
    a larger one (the mask of a proposal).
    """

    __tablename__ = "jobs"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[JobKind] = mapped_column(Word(JobKind))
    key: Mapped[str | None] = mapped_column(String(256), unique=True)
    study_id: Mapped[UUID | None] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    state: Mapped[JobState] = mapped_column(Word(JobState), default=JobState.QUEUED)
    priority: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    payload: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)
    lease: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(UtcTime)
    not_before: Mapped[datetime] = mapped_column(UtcTime, default=now)
    progress: Mapped[float] = mapped_column(default=0.0)
    stage: Mapped[str] = mapped_column(String(128), default="")
    cause: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)
    changed_at: Mapped[datetime] = mapped_column(UtcTime, default=now, onupdate=now, index=True)
    __table_args__ = (Index("jobs_next", "state", "priority", "created_at"),)


class Reading(Base):
    """What is read in a study: the document (JSON), counted up with every change.

    `mask_path` is the lesion mask of this version, `original_mask` the AI's own, `original_path` the folder that the analysis
    wrote (or, where it failed, the grid alone); all relative to the data folder. Once signed, nothing of it changes:
    `signed_sha256` is over the document and the mask.
    """

    __tablename__ = "readings"
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[ReadingState] = mapped_column(Word(ReadingState), default=ReadingState.READY)
    version: Mapped[int] = mapped_column(default=1)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    mask_path: Mapped[str] = mapped_column(String(512))
    original_mask: Mapped[str | None] = mapped_column(String(512))
    original_path: Mapped[str | None] = mapped_column(String(512))
    changed_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    changed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    signed_at: Mapped[datetime | None] = mapped_column(UtcTime)
    signed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    signed_path: Mapped[str | None] = mapped_column(String(512))
    signed_sha256: Mapped[str | None] = mapped_column(String(64))


class Version(Base):
    """A past version of a reading, kept so that a draft can be looked at as it was."""

    __tablename__ = "versions"
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    mask_path: Mapped[str] = mapped_column(String(512))
    at: Mapped[datetime] = mapped_column(UtcTime)
    by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))


class Addendum(Base):
    """A remark on a signed report, itself immutable.

    `path`, relative to the data folder, is where the SR lies that takes the place of the one before.
    """

    __tablename__ = "addenda"
    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[UUID] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    text: Mapped[str] = mapped_column(Text)
    path: Mapped[str | None] = mapped_column(String(512))


class Node(Base):
    """A PACS. `sends_to`: signed reports go there; `auto_sends`: unsigned AI results do too, as soon as they are there."""

    __tablename__ = "nodes"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[NodeKind] = mapped_column(Word(NodeKind))
    url: Mapped[str] = mapped_column(String(512), default="")
    user: Mapped[str] = mapped_column(String(128), default="")
    password: Mapped[str] = mapped_column(String(256), default="")
    host: Mapped[str] = mapped_column(String(256), default="")
    port: Mapped[int] = mapped_column(default=0)
    ae_title: Mapped[str] = mapped_column(String(16), default="")
    retrieves_by: Mapped[str] = mapped_column(String(8), default="get")
    sends_to: Mapped[bool] = mapped_column(default=False)
    auto_sends: Mapped[bool] = mapped_column(default=False)
    sends_pdf: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)


class AuditEntry(Base):
    """One line of the audit log; `hash` is SHA-256 over the line and the hash before it. No patient data in `detail`."""

    __tablename__ = "audit"
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(UtcTime)
    user_id: Mapped[UUID | None]
    action: Mapped[str] = mapped_column(String(32), index=True)
    study_id: Mapped[UUID | None] = mapped_column(index=True)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
