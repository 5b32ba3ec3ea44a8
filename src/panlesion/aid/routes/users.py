"""Accounts, for administrators."""

from uuid import UUID

from fastapi import APIRouter, HTTPException, status
from sqlalchemy import select

from panlesion.aid.accounts.users import change_user, make_user
from panlesion.aid.deps import AdminDep, SessionDep
from panlesion.aid.schemas.accounts import UserChangeIn, UserIn, UserOut
from panlesion.aid.tables import User
from panlesion.errors import AccountError

router = APIRouter(prefix="/users", tags=["accounts"])


@router.get("")
def list_users(_admin: AdminDep, session: SessionDep) -> list[UserOut]:
    """All accounts, by name."""
    return [UserOut.model_validate(user) for user in session.scalars(select(User).order_by(User.name))]


@router.post("", status_code=201)
def add_user(told: UserIn, admin: AdminDep, session: SessionDep) -> UserOut:
    """Make an account; its password must be changed at the first login. 409 where the name is taken."""
    try:
        return UserOut.model_validate(make_user(session, told, by=admin))
    except AccountError as error:
        raise HTTPException(status.HTTP_409_CONFLICT, str(error)) from error


@router.patch("/{user_id}")
def update_user(user_id: UUID, told: UserChangeIn, admin: AdminDep, session: SessionDep) -> UserOut:
    """Change an account and end its sessions; 409 where no active administrator would be left."""
    try:
        user = change_user(session, user_id, told, by=admin)
    except AccountError as error:
        raise HTTPException(status.HTTP_409_CONFLICT, str(error)) from error
    if user is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such account")
    return UserOut.model_validate(user)
