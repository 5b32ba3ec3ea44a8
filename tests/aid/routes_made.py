"""The route table, and a request to any of its routes."""

import re
from uuid import UUID

from panlesion.aid.deps import SAFE_METHODS
from panlesion.aid.routes.registry import ROUTES

ALL = [
    (method, prefix + route.path, route)
    for prefix, router in ROUTES.values()
    for route in router.routes
    for method in sorted(route.methods)
]

HERE, THERE = UUID(int=1), UUID(int=2)
"""Of a study with its reading, and of a PACS, that are there: a route may look for them before it looks at the role."""


def filled(path: str) -> str:
    """The path with something that could be in the place of each parameter."""
    known = {"study_id": HERE, "node_id": THERE}
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: str(known.get(found[1], HERE if found[1].endswith("_id") else 1)), path)


def ask(client, method, path, **more):
    return client.request(method, filled(path), **({} if method in SAFE_METHODS else {"json": {}}), **more)
