"""Every router and where it hangs: a new topic is one file and one line."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import APIRouter

from panlesion.aid.routes import accounts, dicomweb, events, intake, jobs, nodes, propose, reading, reports, studies, volume

API = "/api"

ROUTES: Mapping[str, tuple[str, APIRouter]] = MappingProxyType(
    {
        "accounts": (API, accounts.router),
        "dicomweb": ("/dicomweb", dicomweb.router),
        "volume": (API, volume.router),
        "intake": (API, intake.router),
        "reading": (API, reading.router),
        "reports": (API, reports.router),
        "studies": (API, studies.router),
        "jobs": (API, jobs.router),
        "events": (API, events.router),
        "nodes": (API, nodes.router),
        "propose": (API, propose.router),
    }
)
