"""What routes ask for: the settings, a database session, who is asking, and the study they may see."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, HTTPException, Request, status
from sqlalchemy import ColumnElement, exists, or_, select, true, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from panlesion.aid.db import Sessions
from panlesion.aid.secrets import same, sha256
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Access, ApiToken, Login, Study, User, now
from panlesion.aid.vocabulary import Role

COOKIE, CSRF_HEADER = "panlesion_session", "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SEEN_EVERY_S = 60.0


def settings_of(request: Request) -> Settings:
    """The settings the server was started with."""
    settings: Settings = request.app.state.settings
    return settings


def sessions_of(request: Request) -> Sessions:
    """The maker of database sessions, for what outlives a request."""
    sessions: Sessions = request.app.state.sessions
    return sessions


def address_of(request: Request) -> str:
    """Where a request comes from; "" where that is no network."""
    return "" if request.client is None else request.client.host


def database(request: Request) -> Iterator[Session]:
    """One session a request, committed when the route returns and rolled back when it raises."""
    with sessions_of(request).begin() as session:
        yield session


SettingsDep = Annotated[Settings, Depends(settings_of)]
SessionsDep = Annotated[Sessions, Depends(sessions_of)]
# scope="function": committed before the answer is sent, so that who reads next finds what was told as done
SessionDep = Annotated[Session, Depends(database, scope="function")]


def live_login(session: Session, settings: Settings, token: str) -> Login | None:
    """The login of a cookie's token; None where there is none, or it was idle or lasted too long."""
    login = session.get(Login, sha256(token))
    return login if login is not None and is_live(login, settings) else None


def is_live(login: Login, settings: Settings) -> bool:
    """Whether it still opens anything: its account is active, and it was not idle and did not last too long."""
    at = now()
    return (
        login.user.active
        and at - login.seen_at <= timedelta(minutes=settings.idle_minutes)
        and at - login.created_at <= timedelta(hours=settings.login_hours)
    )


def live_token(session: Session, token: str) -> ApiToken | None:
    """The bearer token of that secret; None where there is none, it expired, or its account is inactive."""
    found = session.scalar(select(ApiToken).where(ApiToken.token_sha256 == sha256(token)))
    return found if found is not None and found.user.active and found.expires_at > now() else None


def login_of(request: Request, session: SessionDep, sessions: SessionsDep, settings: SettingsDep) -> Login:
    """The login that the cookie names; 401 without one, 403 where a change comes without the session's CSRF token."""
    login = live_login(session, settings, request.cookies.get(COOKIE, ""))
    if login is None:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "log in first")
    if request.method not in SAFE_METHODS and not same(request.headers.get(CSRF_HEADER, ""), login.csrf):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, f"the header {CSRF_HEADER} is not that of this session; load the page again"
        )
    at = now()
    if (at - login.seen_at).total_seconds() > SEEN_EVERY_S:
        # in a transaction of its own: a route that waits for a worker must not keep SQLite's one write lock meanwhile
        with suppress(OperationalError), sessions.begin() as own:  # on a full disk one can still read
            own.execute(update(Login).where(Login.token_sha256 == login.token_sha256).values(seen_at=at))
    return login


LoginDep = Annotated[Login, Depends(login_of)]


def user_of_account(user: User) -> User:
    """The account itself; 403 until its first password has been changed."""
    if user.must_change:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "change your first password before anything else")
    return user


def user_of(login: LoginDep) -> User:
    """Whoever is logged in; 403 until a first password has been changed."""
    return user_of_account(login.user)


UserDep = Annotated[User, Depends(user_of)]


@dataclass(frozen=True)
class Having:
    """A dependency that lets only these roles in."""

    roles: tuple[Role, ...]

    def __call__(self, user: UserDep) -> User:
        if user.role not in self.roles:
            words = f"this is for {' and '.join(self.roles)} accounts, yours is {user.role}"
            raise HTTPException(status.HTTP_403_FORBIDDEN, words)
        return user


def having(*roles: Role) -> Having:
    """Only these."""
    return Having(roles)


ReaderDep = Annotated[User, Depends(having(Role.READER))]
ManagerDep = Annotated[User, Depends(having(Role.MANAGER))]
AdminDep = Annotated[User, Depends(having(Role.ADMIN))]
StaffDep = Annotated[User, Depends(having(Role.MANAGER, Role.ADMIN))]
ReaderOrManagerDep = Annotated[User, Depends(having(Role.READER, Role.MANAGER))]
"""Whoever works with studies; an administrator who was granted one only looks at it."""


def visible_to(user: User) -> ColumnElement[bool]:
    """Which studies an account may see, as a condition: a reader's own and all unrestricted ones."""
    if user.role is Role.MANAGER:
        return true()
    if user.role is Role.ADMIN:
        return exists(select(1).where(Access.study_id == Study.id, Access.user_id == user.id))
    granted = exists(select(1).where(Access.study_id == Study.id, Access.user_id == user.id))
    return or_(Study.restricted.is_(False), granted)


def sees(role: Role, *, restricted: bool, granted: bool) -> bool:
    """The rule of `visible_to` for one study that is at hand."""
    return role is Role.MANAGER or granted or (role is Role.READER and not restricted)


def viewer_of(user: UserDep, session: SessionDep) -> User:
    """Whoever may look at images at all: readers, managers, and administrators who were granted a study."""
    if user.role is Role.ADMIN and session.scalar(select(Access.user_id).where(Access.user_id == user.id).limit(1)) is None:
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "admin accounts see no images unless a study manager grants them a study"
        )
    return user


ViewerDep = Annotated[User, Depends(viewer_of)]


def viewer_or_token(request: Request, session: SessionDep, sessions: SessionsDep, settings: SettingsDep) -> User:
    """A viewer by session, or by `Authorization: Bearer`, which alone counts where it is sent and needs no CSRF token."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return viewer_of(user_of(login_of(request, session, sessions, settings)), session)
    token = live_token(session, secret.strip()) if scheme.lower() == "bearer" else None
    if token is None:
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED,
            "the bearer token is not known here, or has expired; make a new one",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return viewer_of(user_of_account(token.user), session)


DicomwebDep = Annotated[User, Depends(viewer_or_token)]
"""Who asks `/dicomweb`."""


def study_of(study_id: UUID, user: ViewerDep, session: SessionDep) -> Study:
    """The study named in the path; 404 where there is none, or none that this account may see."""
    study = session.scalar(select(Study).where(Study.id == study_id, visible_to(user)))
    if study is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such study, or none that you have access to")
    return study


StudyDep = Annotated[Study, Depends(study_of)]
