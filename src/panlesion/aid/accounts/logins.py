"""Sessions of browsers: begun with a new token each time, ended all at once where an account changes."""

from datetime import timedelta

from fastapi import Response
from sqlalchemy import delete
from sqlalchemy.orm import Session

from panlesion.aid.accounts.limits import begin_try, end_try
from panlesion.aid.audit import record
from panlesion.aid.db import Sessions
from panlesion.aid.deps import COOKIE
from panlesion.aid.secrets import new_token, password_fits, sha256
from panlesion.aid.settings import Settings
from panlesion.aid.tables import ApiToken, Login, User, now
from panlesion.aid.vocabulary import Action


def proven(sessions: Sessions, settings: Settings, user: User, password: str, address: str) -> bool:
    """Whether whoever is logged in knows the password; wrong ones are counted and written down like those of a login.

    Raises:
        HTTPException: 429: refused too often.
    """
    told = begin_try(sessions, settings, user.name, address)
    fits = password_fits(user.password_hash, password)
    with sessions.begin() as session:
        if fits:
            end_try(session, told)
        else:
            record(session, Action.LOGIN_REFUSED, by=user, address=address)
    return fits


def begin_login(session: Session, settings: Settings, user: User, response: Response, *, brought: str) -> Login:
    """A new session under a new token; the one the browser came with ends, whosever it was.

    Args:
        session: The login is there when its transaction is.
        settings: How long logins live, and whether the cookie is for TLS alone.
        user: Proven by then.
        response: Takes the cookie.
        brought: The cookie that came with the request, or "".
    """
    session.execute(delete(Login).where(Login.token_sha256 == sha256(brought)))
    session.execute(delete(Login).where(Login.created_at < now() - timedelta(hours=settings.login_hours)))
    token = new_token()
    login = Login(token_sha256=sha256(token), user_id=user.id, csrf=new_token())
    session.add(login)
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=settings.secure, path="/")
    return login


def end_logins(session: Session, user: User, *, but: str | None = None, tokens: bool = False) -> None:
    """End all sessions of an account.

    Args:
        session: They are gone when its transaction is done.
        user: Whose.
        but: `token_sha256` of the one that may go on.
        tokens: Take the bearer tokens back as well.
    """
    ended = delete(Login).where(Login.user_id == user.id)
    session.execute(ended if but is None else ended.where(Login.token_sha256 != but))
    if tokens:
        session.execute(delete(ApiToken).where(ApiToken.user_id == user.id))
