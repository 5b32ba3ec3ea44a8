"""Server-sent events: rows of the worklist as they change."""

from collections.abc import AsyncIterator, Iterable
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from panlesion.aid.db import Sessions
from panlesion.aid.deps import LoginDep, SessionsDep, SettingsDep, ViewerDep, is_live, visible_to
from panlesion.aid.events import Feed
from panlesion.aid.schemas.studies import Event
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Login, Study
from panlesion.aid.worklist import row_of, rows_of

router = APIRouter(tags=["events"])


@router.get("/events", response_class=StreamingResponse)
async def events(
    request: Request, login: LoginDep, _user: ViewerDep, sessions: SessionsDep, settings: SettingsDep
) -> StreamingResponse:
    """`event: study` with a row whenever one that this account may see has changed; ends with the session."""
    feed: Feed = request.app.state.feed
    told = _told(feed, sessions, settings, login.token_sha256)
    return StreamingResponse(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _told(feed: Feed, sessions: Sessions, settings: Settings, token: str) -> AsyncIterator[str]:
    yield ": hello\nretry: 3000\n\n"
    async for changed in feed.listen():
        rows = await run_in_threadpool(_rows, sessions, settings, token, changed)
        if rows is None:
            yield "event: over\ndata: {}\n\n"
            return
        # JSON escapes line ends, so that no name can begin an event of its own
        yield "".join(f"event: study\ndata: {row}\n\n" for row in rows) or ": still here\n\n"


def _rows(sessions: Sessions, settings: Settings, token: str, changed: Iterable[UUID]) -> list[str] | None:
    """Rows that the session's account may see; None when the session is over."""
    with sessions() as session:
        login = session.get(Login, token)
        if login is None or not is_live(login, settings):
            return None
        found = session.execute(rows_of(Study.id.in_(list(changed)), visible_to(login.user))).all() if changed else []
        return [Event(study=row_of(study, job)).model_dump_json() for study, job in found]
