"""Images by the UIDs of a request, as far as an account may see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from fastapi import HTTPException, status
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from panlesion.aid.deps import visible_to
from panlesion.aid.tables import Instance, Series, Study, User
from panlesion.aid.vocabulary import Role

MAX_UID = 64


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An image's row with the ids it hangs below; `path` is absolute."""

    study_id: UUID
    series_id: UUID
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    number: int | None
    rows: int
    columns: int
    frames: int
    path: Path
    bytes: int
    sha256: str


_COLUMNS = (
    *(Study.id, Series.id, Study.study_uid, Series.series_uid, Instance.sop_uid, Instance.sop_class, Instance.transfer_syntax),
    *(Instance.number, Instance.rows, Instance.columns, Instance.frames, Instance.path, Instance.bytes, Instance.sha256),
)
_FIELDS = (
    *("study_id", "series_id", "study_uid", "series_uid", "sop_uid", "sop_class", "transfer_syntax"),
    *("number", "rows", "columns", "frames", "path", "bytes", "sha256"),
)


def kept(
    session: Session, data: Path, user: User, study_uid: str, series_uid: str | None = None, sop_uid: str | None = None
) -> list[Kept]:
    """The images of a study, of one of its series, or one image, in the order of their numbers.

    Raises:
        HTTPException: 404 where there is none below these UIDs, or none that the account may see.
    """
    if any("\0" in uid or len(uid) > MAX_UID for uid in (study_uid, series_uid or "", sop_uid or "")):
        raise _nothing()
    wanted = _wanted(user.id, user.role, series_uid is not None, sop_uid is not None)
    rows = session.execute(wanted, {"study": study_uid, "series": series_uid, "sop": sop_uid}).all()
    if not rows:
        raise _nothing()
    return [_kept(row, data) for row in rows]


def _nothing() -> HTTPException:
    return HTTPException(status.HTTP_404_NOT_FOUND, "no such images, or none that you have access to")


def _kept(row: Sequence, data: Path) -> Kept:
    told = dict(zip(_FIELDS, row, strict=True))
    path = data / told.pop("path")
    # rows are ours, yet a path that leaves the folder is never followed
    assert ".." not in path.parts, path
    return Kept(path=path, **told)


@lru_cache(maxsize=1024)
def _wanted(user_id: UUID, role: Role, of_series: bool, single: bool) -> Select:
    """The question of `kept`: to put it together takes SQLAlchemy longer than to ask it."""
    wanted: Select = (
        select(*_COLUMNS)
        .join(Series, Series.study_id == Study.id)
        .join(Instance, Instance.series_id == Series.id)
        .where(Study.study_uid == bindparam("study"), visible_to(User(id=user_id, role=role)))
    )
    if of_series:
        wanted = wanted.where(Series.series_uid == bindparam("series"))
    if single:
        return wanted.where(Instance.sop_uid == bindparam("sop"))
    return wanted.order_by(Series.number, Series.series_uid, Instance.number, Instance.sop_uid)


def kept_rows(rows: Sequence, data: Path) -> list[Kept]:
    """The images of rows (Study, Series, Instance)."""
    return [
        _kept([getattr(whose, column.key) for whose, column in zip((s, e, s, e, *[i] * 10), _COLUMNS, strict=True)], data)
        for s, e, i in rows
    ]


def present(images: Sequence[Kept]) -> Sequence[Kept]:
    """The images themselves, once their files are seen to lie there whole.

    Raises:
        HTTPException: 410 naming the first whose file is gone or of another size.
    """
    for image in images:
        try:
            size = image.path.stat().st_size
        except OSError:
            size = -1
        if size != image.bytes:
            said = "is gone" if size < 0 else f"has {size} bytes where {image.bytes} were received"
            raise HTTPException(
                status.HTTP_410_GONE, f"image {image.sop_uid}: its file {said}; restore the data folder from a backup"
            )
    return images
