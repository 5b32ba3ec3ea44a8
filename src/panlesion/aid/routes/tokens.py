"""Bearer tokens: what another viewer shows to `/dicomweb` in its user's name."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, HTTPException, status
from sqlalchemy import func, select

from panlesion.aid.audit import record
from panlesion.aid.deps import SessionDep, UserDep
from panlesion.aid.schemas.accounts import TokenIn, TokenOut
from panlesion.aid.secrets import new_token, sha256
from panlesion.aid.tables import ApiToken, now
from panlesion.aid.vocabulary import Action

router = APIRouter(prefix="/tokens", tags=["accounts"])
MOST = 50


@router.get("")
def list_tokens(user: UserDep, session: SessionDep) -> list[TokenOut]:
    """One's own tokens, newest first, without their secrets."""
    own = select(ApiToken).where(ApiToken.user_id == user.id).order_by(ApiToken.created_at.desc())
    return [
        TokenOut(id=one.id, name=one.name, created_at=one.created_at, expires_at=one.expires_at) for one in session.scalars(own)
    ]


@router.post("", status_code=201)
def make_token(told: TokenIn, user: UserDep, session: SessionDep) -> TokenOut:
    """A new token; its secret is told here and never again. 409 where there are too many."""
    if (session.scalar(select(func.count()).where(ApiToken.user_id == user.id)) or 0) >= MOST:
        raise HTTPException(status.HTTP_409_CONFLICT, f"there are {MOST} tokens already; remove one first")
    secret, at = new_token(), now()
    token = ApiToken(
        token_sha256=sha256(secret), user_id=user.id, name=told.name, created_at=at, expires_at=at + timedelta(days=told.days)
    )
    session.add(token)
    session.flush()
    record(session, Action.TOKEN_MADE, by=user, token=str(token.id), days=told.days)
    return TokenOut(id=token.id, name=token.name, created_at=at, expires_at=token.expires_at, token=secret)


@router.delete("/{token_id}", status_code=204)
def remove_token(token_id: UUID, user: UserDep, session: SessionDep) -> None:
    """Take one of one's own tokens back."""
    token = session.scalar(select(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user.id))
    if token is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such token of yours")
    session.delete(token)
    record(session, Action.TOKEN_REMOVED, by=user, token=str(token.id))
