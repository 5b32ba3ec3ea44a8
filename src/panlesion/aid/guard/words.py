"""Errors that were foreseen, as `{"detail": "…"}` in words for a person."""

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from panlesion.aid.deps import settings_of
from panlesion.data.publish import DiskFullError
from panlesion.errors import PanlesionError

FULL = "the server's disk is full, and nothing was changed; tell whoever keeps it"


def speak_plainly(app: FastAPI) -> None:
    """Give the app its words for bad input and for errors of ours."""
    app.add_exception_handler(PanlesionError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def without_paths(words: str, data: Path) -> str:
    """Words that tell nothing of where on the server things lie."""
    for folder in sorted({str(data), str(data.resolve())}, key=len, reverse=True):
        words = words.replace(folder.rstrip("/") + "/", "").replace(folder, "the data folder")
    return words


def _ours(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DiskFullError):
        return JSONResponse({"detail": FULL}, 507)
    return JSONResponse({"detail": without_paths(str(error), settings_of(request).data)}, 422)


async def _http(request: Request, error: Exception) -> Response:
    """As Starlette has it; what a route took over from an error of ours loses its paths."""
    assert isinstance(error, HTTPException)
    if isinstance(error.detail, str):
        error.detail = without_paths(error.detail, settings_of(request).data)
    return await http_exception_handler(request, error)


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Which field and what rule; never the value: it may be a password."""
    assert isinstance(error, RequestValidationError)
    told = [
        f"{'.'.join(str(part) for part in problem['loc'][1:]) or problem['loc'][0]}: {problem['msg']}"
        for problem in error.errors()[:10]
    ]
    return JSONResponse({"detail": "; ".join(told)}, 422)
