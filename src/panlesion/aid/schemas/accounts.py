"""Accounts, sessions and the audit log."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from panlesion.aid.vocabulary import Role

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9._@-]+$")]
Password = Annotated[str, Field(min_length=12, max_length=256)]


class In(BaseModel):
    """What a client sends: nothing beyond the fields, and no NUL, which PostgreSQL's texts cannot hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_nul(cls, told: Any) -> Any:
        if _has_nul(told):
            raise ValueError("there is a NUL character in it; leave it out")
        return told


def _has_nul(told: Any) -> bool:
    """Without recursion: what comes may be nested deeper than Python calls."""
    todo = [told]
    while todo:
        part = todo.pop()
        if isinstance(part, str) and "\0" in part:
            return True
        if isinstance(part, dict):
            todo += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple):
            todo += part
    return False


class Out(BaseModel):
    """What the server answers, made from a row or by hand."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class WelcomeOut(Out):
    """What anyone may know before logging in."""

    name: str
    version: str
    banner: str
    oidc: bool


class LoginIn(In):
    name: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=256)]


class UserOut(Out):
    id: UUID
    name: str
    display_name: str
    role: Role
    active: bool
    must_change: bool


class SessionOut(Out):
    """`csrf` goes into the header X-CSRF-Token of every request that changes something."""

    user: UserOut
    csrf: str


class PasswordIn(In):
    old: Annotated[str, Field(max_length=256)]
    new: Password


class UserIn(In):
    name: Name
    display_name: Annotated[str, Field(min_length=1, max_length=128)]
    role: Role
    password: Password


class UserChangeIn(In):
    display_name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    role: Role | None = None
    active: bool | None = None
    password: Password | None = None


class TokenIn(In):
    name: Annotated[str, Field(min_length=1, max_length=64)]
    days: Annotated[int, Field(ge=1, le=365)] = 30


class TokenOut(Out):
    """`token` is told once, when it is made."""

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime
    token: str | None = None


class AuditOut(Out):
    seq: int
    at: datetime
    user: str | None
    action: str
    study_id: UUID | None
    detail: dict[str, Any]
    hash: str
