"""Every router and where it hangs: a new topic is one file and one line."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import APIRouter

from panlesion.aid.routes import (
    accounts,
    audit,
    dicomweb,
    dicomweb_store,
    events,
    intake,
    jobs,
    nodes,
    oidc,
    propose,
    reading,
    reports,
    studies,
    tokens,
    users,
    volume,
)

API = "/api"

ROUTES: Mapping[str, tuple[str, APIRouter]] = MappingProxyType(
    {
        "accounts": (API, accounts.router),
        "dicomweb": ("/dicomweb", dicomweb.router),
        "dicomweb_store": ("/dicomweb", dicomweb_store.router),
        "volume": (API, volume.router),
        "intake": (API, intake.router),
        "reading": (API, reading.router),
        "reports": (API, reports.router),
        "studies": (API, studies.router),
        "jobs": (API, jobs.router),
        "events": (API, events.router),
        "users": (API, users.router),
        "tokens": (API, tokens.router),
        "oidc": (API, oidc.router),
        "audit": (API, audit.router),
        "nodes": (API, nodes.router),
        "propose": (API, propose.router),
    }
)
