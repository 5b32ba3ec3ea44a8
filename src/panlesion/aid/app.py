"""`create_app`: the server, put together from its settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from panlesion import __version__
from panlesion.aid.db import migrate, open_engine, open_sessions
from panlesion.aid.events import Feed
from panlesion.aid.routes.registry import ROUTES
from panlesion.aid.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The server; the database is brought to the present tables, nothing runs yet."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    migrate(settings.database)
    engine = open_engine(settings.database)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        engine.dispose()

    app = FastAPI(title="panlesion aid", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings, app.state.sessions = settings, open_sessions(engine)
    app.state.feed = Feed(app.state.sessions)
    for prefix, router in ROUTES.values():
        app.include_router(router, prefix=prefix)
    return app
