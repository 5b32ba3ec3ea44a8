"""Every router and where it hangs: a new topic is one file and one line."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import APIRouter

from panlesion.aid.routes import accounts, intake, nodes

API = "/api"

ROUTES: Mapping[str, tuple[str, APIRouter]] = MappingProxyType(
    {
        "accounts": (API, accounts.router),
        "intake": (API, intake.router),
        "nodes": (API, nodes.router),
    }
)
