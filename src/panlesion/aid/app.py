"""`create_app`: the server, put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel

from panlesion import __version__
from panlesion.aid.bring_up import bring_up
from panlesion.aid.db import open_engine, open_sessions
from panlesion.aid.events import Feed
from panlesion.aid.guard.bodies import Bodies
from panlesion.aid.guard.foreign_viewers import ForeignViewers
from panlesion.aid.guard.headers import Headers
from panlesion.aid.guard.hosts import Hosts
from panlesion.aid.guard.incidents import Incidents
from panlesion.aid.guard.words import speak_plainly
from panlesion.aid.page import Page, built_page
from panlesion.aid.private import open_data
from panlesion.aid.routes.registry import ROUTES
from panlesion.aid.settings import Settings


class Problem(BaseModel):
    """What every refusal says, in words for a person."""

    detail: str


def create_app(settings: Settings, *, page: Path | None = None) -> FastAPI:
    """The server; the database is brought to the present tables, nothing runs yet.

    Args:
        settings: Frozen from here on.
        page: Folder of the built page; the installed one's if not told.
    """
    open_data(settings.data)
    bring_up(settings, look_through=True)
    engine = open_engine(settings.database)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    app = FastAPI(
        title="panlesion aid",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses={"4XX": {"model": Problem, "description": "refused, and why"}},
    )
    app.state.settings, app.state.sessions = settings, open_sessions(engine, settings.data)
    app.state.feed = Feed(app.state.sessions, settings)
    for prefix, router in ROUTES.values():
        app.include_router(router, prefix=prefix)
    app.router.default = Page(page or built_page())
    speak_plainly(app)
    _guard(app, settings)
    return app


def _guard(app: FastAPI, settings: Settings) -> None:
    """Outermost last: headers are on every answer, and nothing is read before the host and the size are known to be ours."""
    app.add_middleware(Bodies, settings=settings)
    app.add_middleware(Hosts, settings=settings)
    app.add_middleware(ForeignViewers, settings=settings)
    app.add_middleware(Incidents)
    app.add_middleware(Headers, settings=settings)
