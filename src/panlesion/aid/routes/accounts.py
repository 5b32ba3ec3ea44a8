"""Logging in and out."""

from fastapi import APIRouter, HTTPException, Response, status
from sqlalchemy import select

from panlesion import __version__
from panlesion.aid.deps import COOKIE, LoginDep, SessionDep, SettingsDep
from panlesion.aid.schemas.accounts import LoginIn, SessionOut, UserOut, WelcomeOut
from panlesion.aid.secrets import new_token, password_fits, sha256
from panlesion.aid.tables import Login, User
from panlesion.aid.vocabulary import RESEARCH_USE

router = APIRouter(tags=["accounts"])


@router.get("/welcome")
def welcome(settings: SettingsDep) -> WelcomeOut:
    """What the login page shows."""
    return WelcomeOut(name="panlesion", version=__version__, banner=RESEARCH_USE, oidc=bool(settings.oidc_issuer))


@router.post("/login")
def log_in(told: LoginIn, response: Response, session: SessionDep, settings: SettingsDep) -> SessionOut:
    """Begin a session; the cookie is new each time."""
    user = session.scalar(select(User).where(User.name == told.name, User.active))
    if not password_fits(user.password_hash if user else None, told.password) or user is None:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "name and password do not fit")
    token = new_token()
    login = Login(token_sha256=sha256(token), user_id=user.id, csrf=new_token())
    session.add(login)
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=settings.secure, path="/")
    return SessionOut(user=UserOut.model_validate(user), csrf=login.csrf)


@router.get("/session")
def session_now(login: LoginDep) -> SessionOut:
    """Who is logged in."""
    return SessionOut(user=UserOut.model_validate(login.user), csrf=login.csrf)


@router.post("/logout", status_code=204)
def log_out(login: LoginDep, response: Response, session: SessionDep) -> None:
    """End the session, here and in the database."""
    session.delete(login)
    response.delete_cookie(COOKIE, path="/")
