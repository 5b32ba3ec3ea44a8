"""Guessing passwords is slowed by counting, per account name and per address, what was refused of late."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil

from fastapi import HTTPException, status
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from panlesion.aid.db import Sessions
from panlesion.aid.secrets import sha256
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Attempt, now

WINDOW = timedelta(minutes=15)
ADDRESS_FACTOR = 5
"""A whole ward may sit behind one address: it may be refused so many times more often than one name."""


@dataclass(frozen=True, kw_only=True)
class Try:
    """A password that is about to be looked at; counted before, so that many at once are no way around."""

    name_row: int
    address_row: int
    name_key: str


def begin_try(sessions: Sessions, settings: Settings, name: str, address: str) -> Try:
    """Count a try, or refuse to look at the password at all.

    Raises:
        HTTPException: 429 with Retry-After: the name, or the address, was refused too often within `WINDOW`.
    """
    name_key, address_key = sha256(f"name {name.casefold()}"), sha256(f"address {_network(address)}")
    with sessions.begin() as session:
        session.execute(delete(Attempt).where(Attempt.at < now() - WINDOW))
        rows = Attempt(key=name_key), Attempt(key=address_key)
        session.add_all(rows)
        session.flush()
        told = Try(name_row=rows[0].id, address_row=rows[1].id, name_key=name_key)
    # counted after the commit: of tries at the same moment, each sees all the others
    with sessions.begin() as session:
        allowed = settings.attempts_per_15_min
        waits = [_wait_s(session, name_key, allowed), _wait_s(session, address_key, allowed * ADDRESS_FACTOR)]
        if any(waits):
            _forget(session, told.name_row, told.address_row)  # only tries that were looked at count
    if any(waits):
        raise HTTPException(
            status.HTTP_429_TOO_MANY_REQUESTS,
            f"too many wrong passwords; try again in {ceil(max(waits) / 60)} min",
            headers={"Retry-After": str(max(waits))},
        )
    return told


def end_try(session: Session, told: Try) -> None:
    """The password was right: the name's count begins anew, and the address is not charged for this one."""
    session.execute(delete(Attempt).where(Attempt.key == told.name_key))
    _forget(session, told.address_row)


def _wait_s(session: Session, key: str, allowed: int) -> int:
    """Seconds until one more may be looked at; 0: now. The newest row is the try itself."""
    times = session.scalars(select(Attempt.at).where(Attempt.key == key).order_by(Attempt.at.desc(), Attempt.id.desc())).all()
    if len(times) <= allowed:
        return 0
    frees: datetime = times[allowed] + WINDOW
    return max(1, ceil((frees - now()).total_seconds()))


def _forget(session: Session, *rows: int) -> None:
    session.execute(delete(Attempt).where(Attempt.id.in_(rows)))


def _network(address: str) -> str:
    """The address itself; of IPv6 the /64, all of which belongs to one customer."""
    try:
        told = ip_address(address)
    except ValueError:
        return address
    return str(told) if told.version == 4 else str(ip_network((told, 64), strict=False))
