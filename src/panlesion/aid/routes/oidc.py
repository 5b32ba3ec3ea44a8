"""Logging in by an identity provider."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response, status
from fastapi.responses import RedirectResponse
from sqlalchemy import delete

from panlesion.aid.accounts.logins import begin_login
from panlesion.aid.accounts.provider import ProviderError, claims_of_code, discover, login_url
from panlesion.aid.accounts.subjects import user_of_claims
from panlesion.aid.audit import record
from panlesion.aid.deps import COOKIE, SessionsDep, SettingsDep, address_of
from panlesion.aid.secrets import new_token, same, sha256
from panlesion.aid.settings import Settings
from panlesion.aid.tables import OidcFlow, now
from panlesion.aid.vocabulary import Action, LoginRefusal
from panlesion.errors import AccountError

router = APIRouter(prefix="/oidc", tags=["accounts"])
FLOW_COOKIE, FLOW_PATH = "panlesion_oidc", "/api/oidc"
FLOW_LIVES = timedelta(minutes=10)
Told = Annotated[str, Query(max_length=4096)]


@router.get("/login", response_class=RedirectResponse, status_code=303)
def begin(request: Request, sessions: SessionsDep, settings: SettingsDep) -> Response:
    """Send the browser to the identity provider; what its answer must fit is kept in the database, bound to a cookie."""
    _needed(settings)
    uri = f"{str(settings.public_url or request.base_url).rstrip('/')}{FLOW_PATH}/callback"
    token, state, nonce, verifier = (new_token() for _ in range(4))
    try:
        url = login_url(settings, discover(settings), redirect_uri=uri, state=state, nonce=nonce, verifier=verifier)
    except ProviderError as error:
        return _refused(request, LoginRefusal.UNREACHABLE, str(error))
    with sessions.begin() as session:
        session.execute(delete(OidcFlow).where(OidcFlow.created_at < now() - FLOW_LIVES))
        session.add(
            OidcFlow(token_sha256=sha256(token), state_sha256=sha256(state), nonce=nonce, verifier=verifier, redirect_uri=uri)
        )
    response = RedirectResponse(url, status_code=303)
    # lax: the answer comes by a link from the provider's page, with which a strict cookie would not be sent
    response.set_cookie(
        FLOW_COOKIE, token, httponly=True, samesite="lax", secure=settings.secure, path=FLOW_PATH,
        max_age=int(FLOW_LIVES.total_seconds()),
    )  # fmt: skip
    return response


@router.get("/callback", response_class=RedirectResponse, status_code=303)
def end(
    request: Request,
    sessions: SessionsDep,
    settings: SettingsDep,
    state: Told = "",
    code: Told = "",
    error: Annotated[str, Query(max_length=256)] = "",
) -> Response:
    """The provider's answer: a session of ours if it fits the login that this browser began; one answer a login."""
    _needed(settings)
    flow = _take_flow(sessions, request.cookies.get(FLOW_COOKIE, ""), state)
    if flow is None:
        words = "this answer belongs to no login that this browser began; begin again"
        return _refused(request, LoginRefusal.NOT_BEGUN, words)
    if error or not code:
        return _refused(request, LoginRefusal.DENIED, f"the identity provider refused: {error[:64] or 'no code'}")
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(FLOW_COOKIE, path=FLOW_PATH)
    refusal = LoginRefusal.INVALID  # what an AccountError means until the claims are checked
    try:
        claims = claims_of_code(
            settings, discover(settings), code=code, redirect_uri=flow.redirect_uri, nonce=flow.nonce, verifier=flow.verifier
        )
        refusal = LoginRefusal.NO_ACCOUNT
        with sessions.begin() as session:
            user = user_of_claims(session, settings, claims)
            begin_login(session, settings, user, response, brought=request.cookies.get(COOKIE, ""))
            record(session, Action.LOGIN, by=user, address=address_of(request), by_provider=True)
    except ProviderError as problem:
        return _refused(request, LoginRefusal.UNREACHABLE, str(problem))
    except AccountError as problem:
        with sessions.begin() as session:
            record(session, Action.LOGIN_REFUSED, by=None, address=address_of(request), by_provider=True, why=refusal)
        return _refused(request, refusal, str(problem))
    return response


def _needed(settings: Settings) -> None:
    if not settings.oidc_issuer:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "this server has no identity provider; log in by name and password")


def _refused(request: Request, refusal: LoginRefusal, words: str) -> Response:
    """A browser is led back to the login page, which has words for each refusal; nobody else's words are shown there."""
    if "text/html" in request.headers.get("Accept", ""):
        return RedirectResponse(f"/?login={refusal}", status_code=303)
    unreachable = refusal is LoginRefusal.UNREACHABLE
    raise HTTPException(status.HTTP_502_BAD_GATEWAY if unreachable else status.HTTP_401_UNAUTHORIZED, words)


def _take_flow(sessions: SessionsDep, token: str, state: str) -> OidcFlow | None:
    """The login that this browser began, if the state is its; it is gone with this, whatever becomes of the answer."""
    with sessions.begin() as session:
        flow = session.get(OidcFlow, sha256(token))
        gone = delete(OidcFlow).where(OidcFlow.token_sha256 == sha256(token)).returning(OidcFlow.token_sha256)
        taken = session.scalar(gone) is not None
    if flow is None or not taken or flow.created_at < now() - FLOW_LIVES or not same(sha256(state), flow.state_sha256):
        return None
    return flow
