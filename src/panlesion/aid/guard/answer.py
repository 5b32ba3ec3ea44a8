"""Answers that are sent without a route: one JSON object with the reason in words."""

import json
from collections.abc import Mapping

from starlette.types import Send


async def refuse(send: Send, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
    """Answer `{"detail": …}`; whatever of the request is unread stays unread."""
    body = json.dumps({"detail": detail}).encode()
    told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in told.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
