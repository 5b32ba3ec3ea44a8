"""What OpenAPI says of parameters that DICOMweb's routes read from the request themselves."""

from collections.abc import Iterable
from typing import Any

TEXT = {"type": "string", "maxLength": 4096}


def of_query(*names: str) -> dict[str, Any]:
    """Query parameters, all of them optional text."""
    return {"parameters": [{"name": name, "in": "query", "required": False, "schema": TEXT} for name in names]}


def of_search(keys: Iterable[str]) -> dict[str, Any]:
    """Matching keys of a search, and what says which page and which fields."""
    numbers = [
        {"name": name, "in": "query", "required": False, "schema": {"type": "integer", "minimum": 0, "maximum": 999_999_999}}
        for name in ("limit", "offset")
    ]
    told = of_query(*keys, "includefield", "fuzzymatching")
    return {"parameters": [*told["parameters"], *numbers]}


OF_PICTURE = of_query("window", "viewport", "quality")
OF_STORE = {
    "requestBody": {
        "required": True,
        "content": {"multipart/related": {"schema": {"type": "string", "format": "binary"}}},
    }
}
