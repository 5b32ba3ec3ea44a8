"""Accounts are made, changed and never deleted; one active administrator always remains."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from panlesion.aid.accounts.logins import end_logins
from panlesion.aid.audit import record
from panlesion.aid.db import Turn, take_turn
from panlesion.aid.schemas.accounts import UserChangeIn, UserIn
from panlesion.aid.secrets import hash_password, new_password
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import Action, Role
from panlesion.errors import AccountError

FIRST_ADMIN, DEMO_READER = "admin", "reader"


def named(session: Session, name: str) -> User | None:
    """The account of a name, however it is capitalised."""
    return session.scalar(select(User).where(func.lower(User.name) == name.lower()))


def make_first_admin(session: Session) -> str | None:
    """Make the administrator of a server that has none, and tell the password, which is kept nowhere."""
    take_turn(session, Turn.ACCOUNTS)
    if session.scalar(select(User.id).where(User.role == Role.ADMIN).limit(1)) is not None:
        return None
    return _made(session, FIRST_ADMIN, "Administrator", Role.ADMIN)


def make_demo_reader(session: Session) -> str | None:
    """Make a reader for drawn patients, unless there is one of that name, and tell the password, which is kept nowhere."""
    take_turn(session, Turn.ACCOUNTS)
    if named(session, DEMO_READER) is not None:
        return None
    return _made(session, DEMO_READER, "Demo Reader", Role.READER)


def _made(session: Session, name: str, display_name: str, role: Role) -> str:
    password = new_password()
    user = User(name=name, display_name=display_name, role=role, password_hash=hash_password(password), must_change=True)
    session.add(user)
    session.flush()
    record(session, Action.ACCOUNT_CHANGED, by=None, account=str(user.id), made=True, role=role)
    return password


def reset_password(session: Session, name: str) -> str:
    """Give an account a new password that must be changed at the next login; all its sessions and tokens end.

    Raises:
        AccountError: there is no account of that name.
    """
    user = named(session, name)
    if user is None:
        names = session.scalars(select(User.name).order_by(User.name).limit(20)).all()
        raise AccountError(f"there is no account {name!r}; there are: {', '.join(names) or 'none, start the server first'}")
    password = new_password()
    user.password_hash, user.must_change = hash_password(password), True
    end_logins(session, user, tokens=True)
    record(session, Action.PASSWORD_CHANGED, by=None, account=str(user.id))
    return password


def make_user(session: Session, told: UserIn, *, by: User) -> User:
    """A new account; its password is a first one, to be changed.

    Raises:
        AccountError: the name is taken.
    """
    hashed = hash_password(told.password)  # slow: before other writers have to wait
    take_turn(session, Turn.ACCOUNTS)
    if named(session, told.name) is not None:
        raise AccountError(f"name {told.name!r} is taken; choose another")
    user = User(name=told.name, display_name=told.display_name, role=told.role, password_hash=hashed, must_change=True)
    session.add(user)
    session.flush()
    record(session, Action.ACCOUNT_CHANGED, by=by, account=str(user.id), made=True, role=told.role)
    return user


def change_user(session: Session, user_id: UUID, told: UserChangeIn, *, by: User) -> User | None:
    """Change an account; None where there is none. A new role or password, or none any more, ends its sessions.

    Raises:
        AccountError: no active administrator would be left.
    """
    hashed = None if told.password is None else hash_password(told.password)
    take_turn(session, Turn.ACCOUNTS)
    user = session.get(User, user_id, populate_existing=True)
    if user is None:
        return None
    changed = {
        field: value
        for field, value in told.model_dump(exclude={"password"}, exclude_none=True).items()
        if getattr(user, field) != value
    }
    if user.role is Role.ADMIN and user.active and (changed.get("active") is False or "role" in changed):
        keep_an_admin(session, user)
    for field, value in changed.items():
        setattr(user, field, value)
    if hashed is not None:
        user.password_hash, user.must_change = hashed, True
    if hashed is not None or changed.keys() & {"role", "active"}:
        end_logins(session, user, tokens=hashed is not None or not user.active)
    if changed:
        record(session, Action.ACCOUNT_CHANGED, by=by, account=str(user.id), **changed)
    if hashed is not None:
        record(session, Action.PASSWORD_CHANGED, by=by, account=str(user.id))
    return user


def keep_an_admin(session: Session, user: User) -> None:
    """Refuse to lose the last active administrator; asked within `Turn.ACCOUNTS`.

    Raises:
        AccountError: `user` is the last one.
    """
    others = select(func.count()).where(User.role == Role.ADMIN, User.active, User.id != user.id)
    if not session.scalar(others):
        raise AccountError(f"{user.name} is the last active administrator; make another one first")
