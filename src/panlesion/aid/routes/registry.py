"""Every router and where it hangs: a new topic is one file and one line."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import APIRouter

from panlesion.aid.routes import accounts, audit, oidc, tokens, users

API = "/api"

ROUTES: Mapping[str, tuple[str, APIRouter]] = MappingProxyType(
    {
        "accounts": (API, accounts.router),
        "users": (API, users.router),
        "tokens": (API, tokens.router),
        "oidc": (API, oidc.router),
        "audit": (API, audit.router),
    }
)
