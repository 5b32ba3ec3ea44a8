"""Accounts of people whom the identity provider knows: made at their first login, never joined to one of ours by name."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.accounts.logins import end_logins
from panlesion.aid.accounts.users import keep_an_admin, named
from panlesion.aid.audit import record
from panlesion.aid.db import Turn, take_turn
from panlesion.aid.secrets import sha256
from panlesion.aid.settings import Settings
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import Action, Role
from panlesion.errors import AccountError

_FOREIGN = re.compile(r"[^a-zA-Z0-9._@-]+")


def user_of_claims(session: Session, settings: Settings, claims: Mapping[str, Any]) -> User:
    """The account of a checked identity token; its role follows the provider's where that names roles.

    Raises:
        AccountError: the provider gives no role here, the account was made inactive, or no administrator would be left.
    """
    subject = sha256(f"{claims['iss']} {claims['sub']}")
    role = _role(settings, claims)
    take_turn(session, Turn.ACCOUNTS)
    user = session.scalar(select(User).where(User.oidc_subject == subject))
    if user is None:
        user = User(name=_free_name(session, claims, subject), display_name=_shown(claims), role=role, oidc_subject=subject)
        session.add(user)
        session.flush()
        record(session, Action.ACCOUNT_CHANGED, by=None, account=str(user.id), made=True, role=role, by_provider=True)
    if not user.active:
        raise AccountError("this account is not active; ask an administrator")
    if settings.oidc_role_claim and user.role is not role:
        if user.role is Role.ADMIN:
            keep_an_admin(session, user)
        user.role = role
        end_logins(session, user)
        record(session, Action.ACCOUNT_CHANGED, by=None, account=str(user.id), role=role, by_provider=True)
    return user


def _role(settings: Settings, claims: Mapping[str, Any]) -> Role:
    """Of several roles the first in the order of `Role`."""
    if not settings.oidc_role_claim:
        return Role.READER
    told = claims.get(settings.oidc_role_claim)
    values = (
        {told}
        if isinstance(told, str)
        else {value for value in told if isinstance(value, str)}
        if isinstance(told, list)
        else set()
    )
    for role in Role:
        if role.value in values:
            return role
    roles = ", ".join(Role)
    raise AccountError(
        f"the identity provider gives this account no role here: its claim {settings.oidc_role_claim!r} names none of {roles}"
    )


def _free_name(session: Session, claims: Mapping[str, Any], subject: str) -> str:
    wished = claims.get("preferred_username") or claims.get("email") or ""
    name = _FOREIGN.sub("-", str(wished)).strip("-")[:50] or f"oidc-{subject[:8]}"
    return name if named(session, name) is None else f"{name}-{subject[:8]}"


def _shown(claims: Mapping[str, Any]) -> str:
    told = str(claims.get("name") or claims.get("preferred_username") or claims.get("email") or "")
    return "".join(letter for letter in told if letter.isprintable())[:128] or "Reader"
