"""Every router and where it hangs: a new topic is one file and one line."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import APIRouter

from panlesion.aid.routes import accounts, reading, reports

API = "/api"

ROUTES: Mapping[str, tuple[str, APIRouter]] = MappingProxyType(
    {
        "accounts": (API, accounts.router),
        "reading": (API, reading.router),
        "reports": (API, reports.router),
    }
)
