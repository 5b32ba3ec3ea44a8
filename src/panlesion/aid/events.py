"""What changed, told to every open page: one look at the database for all of them, twice a second."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from panlesion.aid.db import Sessions
from panlesion.aid.tables import Study, now

EVERY_S = 0.5
OVERLAP = timedelta(seconds=3)
"""A transaction's rows appear after the time they bear; so far back is looked again."""
MOST = 500
"""Studies told of in one look; a page that was told of so many asks anew for its list."""

Changed = dict[UUID, datetime]


class Feed:
    """Studies that changed, by our id, handed to whoever listens; looks only while somebody does."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._listeners: set[asyncio.Queue[Changed]] = set()
        self._task: asyncio.Task[None] | None = None

    async def listen(self) -> AsyncIterator[Changed]:
        """What changed since the last look; an empty one now and then, so that the listener can see whether it still may."""
        mine: asyncio.Queue[Changed] = asyncio.Queue(maxsize=64)
        self._listeners.add(mine)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            while True:
                yield await mine.get()
        finally:
            self._listeners.discard(mine)

    async def _look(self) -> None:
        since, told = now(), Changed()
        rounds = 0
        while self._listeners:
            await asyncio.sleep(EVERY_S)
            rounds += 1
            try:
                found = await run_in_threadpool(self._changed, since - OVERLAP)
            except Exception:  # noqa: BLE001 (a database that is busy or away is asked again)
                continue
            fresh = {key: at for key, at in found.items() if told.get(key) != at}
            told = found
            since = max([since, *found.values()])
            if fresh or rounds % 10 == 0:
                for queue in list(self._listeners):
                    if queue.full():  # a page that does not read: the oldest goes, the row comes again with its next change
                        queue.get_nowait()
                    queue.put_nowait(fresh)

    def _changed(self, since: datetime) -> Changed:
        with self._sessions() as session:
            changed = select(Study.id, Study.changed_at).where(Study.changed_at > since).order_by(Study.changed_at.desc())
            return {row[0]: row[1] for row in session.execute(changed.limit(MOST))}
