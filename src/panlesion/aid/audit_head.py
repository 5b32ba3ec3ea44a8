"""How long the audit log is and what its last hash is, noted beside the database: a log cut off at its end is found by it."""

import fcntl
import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from panlesion.ct.atomic import replacing
from panlesion.errors import StoreError

HEAD, _LOCK = "audit.head", ".audit.head.lock"
_PENDING, _FOLDER = "audit head", "audit head's folder"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last line of the log: how many there are, and its hash."""

    seq: int
    hash: str


def read_head(data: Path) -> Head | None:
    """What was noted last; None where nothing ever was.

    Raises:
        StoreError: the file is there and says something else.
    """
    try:
        words = (data / HEAD).read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        return None
    if len(words) != 2 or not words[0].isdecimal() or len(words[1]) != 64:
        raise StoreError(f"{HEAD} holds no count and hash of the audit log; it was changed by hand or is damaged: see a backup")
    return Head(seq=int(words[0]), hash=words[1])


def write_head(data: Path, head: Head) -> None:
    """Note a head unless a later one is noted already: writers may come here in another order than they committed."""
    with (data / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        noted = None
        with suppress(StoreError):
            noted = read_head(data)
        if noted is None or noted.seq < head.seq:
            with replacing(data / HEAD) as stream:
                stream.write(f"{head.seq} {head.hash}\n".encode())


def has_notes(session: Session) -> bool:
    """Whether heads of this session's log are noted at all."""
    return _FOLDER in session.info


def noted_head(session: Session) -> Head | None:
    """What was noted last of the log that a session writes.

    Raises:
        StoreError: It says something else.
    """
    return read_head(session.info[_FOLDER]) if has_notes(session) else None


def announce(session: Session, head: Head) -> None:
    """Have this head noted as soon as the session's transaction is committed, and not before."""
    session.info[_PENDING] = head


def keep_head(sessions: sessionmaker[Session], data: Path) -> None:
    """Note what sessions of this maker announce."""
    sessions.configure(info={_FOLDER: data})

    def committed(session: Session) -> None:
        if session.in_nested_transaction() or (head := session.info.pop(_PENDING, None)) is None:
            return
        try:
            write_head(data, head)
        except OSError as error:
            # the log itself is safe by now; a head that lags behind is still one of its lines
            _log.error("%s could not be written (%s): the audit log's end is not guarded", HEAD, error.strerror)

    def rolled_back(session: Session, _transaction: object) -> None:
        session.info.pop(_PENDING, None)

    event.listen(sessions, "after_commit", committed)
    event.listen(sessions, "after_soft_rollback", rolled_back)
