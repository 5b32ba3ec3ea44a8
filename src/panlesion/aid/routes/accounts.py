"""Logging in and out."""

from fastapi import APIRouter, HTTPException, Request, Response, status

from panlesion import __version__
from panlesion.aid.accounts.limits import begin_try, end_try
from panlesion.aid.accounts.logins import begin_login, end_logins, proven
from panlesion.aid.accounts.users import named
from panlesion.aid.audit import record
from panlesion.aid.deps import COOKIE, LoginDep, SessionDep, SessionsDep, SettingsDep, address_of
from panlesion.aid.schemas.accounts import LoginIn, PasswordIn, SessionOut, UserOut, WelcomeOut
from panlesion.aid.secrets import hash_password, password_fits
from panlesion.aid.vocabulary import RESEARCH_USE, Action

router = APIRouter(tags=["accounts"])


@router.get("/welcome")
def welcome(settings: SettingsDep) -> WelcomeOut:
    """What the login page shows."""
    return WelcomeOut(name="panlesion", version=__version__, banner=RESEARCH_USE, oidc=bool(settings.oidc_issuer))


@router.post("/login")
def log_in(told: LoginIn, request: Request, response: Response, sessions: SessionsDep, settings: SettingsDep) -> SessionOut:
    """Begin a session; the cookie is new each time. 429 after too many refusals, for a right password too."""
    address = address_of(request)
    attempt = begin_try(sessions, settings, told.name, address)
    with sessions.begin() as session:
        user = named(session, told.name)
    fits = password_fits(user.password_hash if user else None, told.password)
    with sessions.begin() as session:
        if user is not None and fits and user.active:
            end_try(session, attempt)
            login = begin_login(session, settings, user, response, brought=request.cookies.get(COOKIE, ""))
            record(session, Action.LOGIN, by=user, address=address)
            return SessionOut(user=UserOut.model_validate(user), csrf=login.csrf)
        # the name that was typed is not written down: it is a password often enough
        record(session, Action.LOGIN_REFUSED, by=user, address=address)
    raise HTTPException(status.HTTP_401_UNAUTHORIZED, "name and password do not fit")


@router.get("/session")
def session_now(login: LoginDep) -> SessionOut:
    """Who is logged in."""
    return SessionOut(user=UserOut.model_validate(login.user), csrf=login.csrf)


@router.post("/logout", status_code=204)
def log_out(login: LoginDep, response: Response, session: SessionDep) -> None:
    """End the session, here and in the database."""
    record(session, Action.LOGOUT, by=login.user)
    session.delete(login)
    response.delete_cookie(COOKIE, path="/")


@router.post("/password", status_code=204)
def change_password(told: PasswordIn, login: LoginDep, request: Request, sessions: SessionsDep, settings: SettingsDep) -> None:
    """Change one's own password; all other sessions of the account end, and its bearer tokens."""
    if login.user.password_hash is None:
        raise HTTPException(status.HTTP_409_CONFLICT, "this account has no password here; change it at the identity provider")
    if not proven(sessions, settings, login.user, told.old, address_of(request)):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "the old password is not right")
    if told.new == told.old or told.new.casefold() == login.user.name.casefold():
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, "new: it must be neither the old password nor the name")
    hashed = hash_password(told.new)
    with sessions.begin() as session:
        user = session.merge(login.user, load=True)
        user.password_hash, user.must_change = hashed, False
        end_logins(session, user, but=login.token_sha256, tokens=True)
        record(session, Action.PASSWORD_CHANGED, by=user)
