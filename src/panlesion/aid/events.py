"""What changed, told to every open page: one look at the database for all of them, twice a second."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, select
from starlette.concurrency import run_in_threadpool

from panlesion.aid.db import Sessions
from panlesion.aid.deps import is_live, sees
from panlesion.aid.guard.incidents import where_of
from panlesion.aid.schemas.studies import Event
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Access, Login, Study, User, now
from panlesion.aid.worklist import row_of, rows_of

_log = logging.getLogger(__name__)
EVERY_S = 0.5
STILL_HERE = 10
"""Looks after which a page is told that the connection stands, though nothing changed."""
OVERLAP = timedelta(seconds=5)
"""A transaction's rows appear after the time they bear, and clocks differ; so far back is looked again."""
MOST = 500
"""Studies told of in one look; where more have changed, pages connect anew and doubt their lists."""
MOST_UNREAD = 64

Changed = dict[UUID, datetime]


class OverError(Exception):
    """The session is over: nothing is told any more."""


@dataclass(kw_only=True, eq=False)
class _Listener:
    """An open page; `queue` gets rows to send, or what ends it; `told` is what it knows of the last look's studies."""

    token: str
    queue: asyncio.Queue[list[str] | BaseException] = field(default_factory=lambda: asyncio.Queue(MOST_UNREAD))
    told: Changed = field(default_factory=Changed)

    def tell(self, what: list[str] | BaseException) -> None:
        if self.queue.full() or isinstance(what, BaseException):
            # what it has not read is not sent: it ends here, and a page that connects anew fetches its list
            while not self.queue.empty():
                self.queue.get_nowait()
            what = what if isinstance(what, BaseException) else StopAsyncIteration()
        self.queue.put_nowait(what)


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What one look found: rows of changed studies, who was granted them, and the accounts of the sessions that live."""

    rows: tuple[Row, ...]
    granted: dict[UUID, set[UUID]]
    accounts: dict[str, User]


class Feed:
    """Rows of studies that changed, handed to every session that may see them; looks only while somebody listens."""

    def __init__(self, sessions: Sessions, settings: Settings) -> None:
        self._sessions, self._settings = sessions, settings
        self._listeners: set[_Listener] = set()
        self._task: asyncio.Task[None] | None = None

    async def listen(self, token: str) -> AsyncIterator[list[str]]:
        """JSON of `Event`s, as they come; none of them now and then. A new listener is told of the last seconds, too.

        Ends where more happened than can be told.

        Args:
            token: The session's, hashed as the database has it.

        Raises:
            OverError: The session is over.
        """
        mine = _Listener(token=token)
        self._listeners.add(mine)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_on())
        try:
            while True:
                told = await mine.queue.get()
                if isinstance(told, OverError):
                    raise told
                if isinstance(told, BaseException):
                    return
                yield told
        finally:
            self._listeners.discard(mine)

    async def _look_on(self) -> None:
        since, rounds, failing = now(), 0, False
        while self._listeners:
            await asyncio.sleep(EVERY_S)
            begun, rounds = now(), rounds + 1
            listeners = list(self._listeners)  # who comes while it looks, is told by the next look
            try:
                look = await run_in_threadpool(self._look, since - OVERLAP, {one.token for one in listeners})
            except Exception as error:  # noqa: BLE001 (a database that is busy or away is asked again)
                if not failing:
                    _log.error("open pages are told nothing until the database answers: %s", where_of(error))
                failing = True
                continue
            failing = False
            # the server's clock, not that of whoever wrote the rows, which may go ahead
            since = begun
            told: dict[UUID, str] = {}
            for one in listeners:
                _tell(one, look, told, quiet=rounds % STILL_HERE != 0)

    def _look(self, since: datetime, tokens: Collection[str]) -> _Look:
        with self._sessions() as session:
            changed = rows_of(Study.changed_at > since).order_by(Study.changed_at).limit(MOST + 1)
            rows = session.execute(changed).all()
            granted: dict[UUID, set[UUID]] = defaultdict(set)
            if rows:
                for study_id, user_id in session.execute(
                    select(Access.study_id, Access.user_id).where(Access.study_id.in_([row.id for row in rows]))
                ):
                    granted[study_id].add(user_id)
            logins = session.scalars(select(Login).where(Login.token_sha256.in_(tokens)))
            live = {one.token_sha256: one.user for one in logins if is_live(one, self._settings) and not one.user.must_change}
            return _Look(rows=tuple(rows), granted=granted, accounts=live)


def _tell(one: _Listener, look: _Look, told: dict[UUID, str], *, quiet: bool) -> None:
    """Hand a page what is new to it of what its account may see; `told` keeps rows as JSON, each made once for all pages."""
    user = look.accounts.get(one.token)
    if user is None:
        one.tell(OverError("the session is over"))
        return
    if len(look.rows) > MOST:
        one.tell(StopAsyncIteration())
        return
    fresh = [
        row
        for row in look.rows
        if one.told.get(row.id) != row.changed_at
        and sees(user.role, restricted=row.restricted, granted=user.id in look.granted.get(row.id, ()))
    ]
    one.told = {row.id: row.changed_at for row in look.rows}
    for row in fresh:
        if row.id not in told:
            told[row.id] = Event.model_construct(study=row_of(row)).model_dump_json()
    if fresh or not quiet:
        one.tell([told[row.id] for row in fresh])
