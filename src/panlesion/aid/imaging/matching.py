"""QIDO-RS, what is asked: matching keys, fields and pages of a query string, as conditions on our tables."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any

from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword
from sqlalchemy import ColumnElement, and_, exists, extract, false, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from panlesion.aid.tables import Instance, Series, Study

MOST, USUAL = 5000, 500
"""How many answers one page holds, at most and where nobody says."""
MAX_KEYS, MAX_VALUE = 50, 4096

_FLAGS = frozenset({"limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching", "multiplevaluematching"})
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2})(\d{2})?(\d{2})?(?:\.\d{1,6})?", re.ASCII)


class BadQueryError(ValueError):
    """A query that cannot be answered; the message names key, value and rule."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A query: what to match, what to tell beyond the usual (tags, or everything), which page, and what was passed over."""

    conditions: tuple[ColumnElement[bool], ...]
    fields: frozenset[str]
    everything: bool
    limit: int
    offset: int
    remarks: tuple[str, ...]


def _pattern(value: str) -> str:
    """DICOM's wildcards as those of LIKE, with LIKE's own taken literally."""
    return re.sub(r"([\\%_])", r"\\\1", value).replace("*", "%").replace("?", "_")


def _words(column: InstrumentedAttribute) -> Callable[[str], ColumnElement[bool]]:
    """Text, whole or with the wildcards * and ?."""

    def condition(value: str) -> ColumnElement[bool]:
        if not set(value) & set("*?"):
            return column == value
        return true() if not value.strip("*") else column.like(_pattern(value), escape="\\")

    return condition


def _name(value: str) -> ColumnElement[bool]:
    """A person's name in any case, whole or in one of its spellings (groups parted by =)."""
    name, wanted = func.lower(Study.patient_name), _pattern(value.lower())
    if not value.strip("*"):
        return true()
    return or_(*(name.like(form, escape="\\") for form in (wanted, f"{wanted}=%", f"%={wanted}", f"%={wanted}=%")))


def _uids(column: InstrumentedAttribute) -> Callable[[str], ColumnElement[bool]]:
    """One UID or a list of them, parted by commas or backslashes."""

    def condition(value: str) -> ColumnElement[bool]:
        return column.in_([uid.strip() for uid in re.split(r"[,\\]", value)])

    return condition


def _number(column: InstrumentedAttribute) -> Callable[[str], ColumnElement[bool]]:
    def condition(value: str) -> ColumnElement[bool]:
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", value.strip()):
            raise BadQueryError(f"{value!r} is no whole number")
        return column == int(value)

    return condition


def _between(value: str) -> tuple[str, str]:
    low, dash, high = (part.strip() for part in value.partition("-"))
    return (low, high) if dash else (low, low)


def _day(text: str) -> date:
    parts = _DATE.fullmatch(text)
    try:
        return date(*(int(part) for part in parts.groups())) if parts else date.fromisoformat("")
    except ValueError as error:
        raise BadQueryError(f"{text!r} is no date; YYYYMMDD, or two of them with - between") from error


def _study_date(value: str) -> ColumnElement[bool]:
    low, high = _between(value)
    found: list[ColumnElement[bool]] = []
    if low:
        found.append(Study.study_at >= _midnight(_day(low)))
    if high and _day(high) < date.max:
        found.append(Study.study_at < _midnight(_day(high) + timedelta(days=1)))
    return and_(true(), *found)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _birth_date(value: str) -> ColumnElement[bool]:
    low, high = _between(value)
    found: list[ColumnElement[bool]] = []
    if low:
        found.append(Study.birth_date >= _day(low))
    if high:
        found.append(Study.birth_date <= _day(high))
    return and_(true(), *found)


def _study_time(value: str) -> ColumnElement[bool]:
    low, high = _between(value)
    second: ColumnElement[Any] = (
        extract("hour", Study.study_at) * 3600 + extract("minute", Study.study_at) * 60 + extract("second", Study.study_at)
    )
    found: list[ColumnElement[bool]] = []
    if low:
        found.append(second >= _seconds(low)[0])
    if high:
        found.append(second < _seconds(high)[1])
    return and_(true(), *found)


def _seconds(text: str) -> tuple[int, int]:
    """First second of a time and the first after it: 10 is the whole hour."""
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise BadQueryError(f"{text!r} is no time; HHMMSS or its beginning, or two of them with - between")
    told = [int(part) for part in parts.groups() if part is not None]
    span = (3600, 60, 1)[len(told) - 1]
    begin = sum(n * unit for n, unit in zip(told, (3600, 60, 1), strict=False))
    return begin, begin + span


def _modalities(value: str) -> ColumnElement[bool]:
    """Studies that have any of the modalities."""
    wanted = [_words(Series.modality)(one.strip()) for one in re.split(r"[,\\]", value)]
    # of the study alone: a query of series or images has the table of series, too
    mine = select(1).where(Series.study_id == Study.id, or_(false(), *wanted))
    return exists(mine.correlate(Study))


_STUDY: Mapping[str, Callable[[str], ColumnElement[bool]]] = MappingProxyType(
    {
        "StudyDate": _study_date,
        "StudyTime": _study_time,
        "AccessionNumber": _words(Study.accession),
        "ModalitiesInStudy": _modalities,
        "StudyDescription": _words(Study.description),
        "PatientName": _name,
        "PatientID": _words(Study.patient_id),
        "PatientBirthDate": _birth_date,
        "PatientSex": _words(Study.sex),
        "StudyInstanceUID": _uids(Study.study_uid),
    }
)
_SERIES: Mapping[str, Callable[[str], ColumnElement[bool]]] = MappingProxyType(
    {
        "Modality": _words(Series.modality),
        "SeriesDescription": _words(Series.description),
        "SeriesInstanceUID": _uids(Series.series_uid),
        "SeriesNumber": _number(Series.number),
    }
)
_INSTANCE: Mapping[str, Callable[[str], ColumnElement[bool]]] = MappingProxyType(
    {
        "SOPClassUID": _uids(Instance.sop_class),
        "SOPInstanceUID": _uids(Instance.sop_uid),
        "InstanceNumber": _number(Instance.number),
        "Rows": _number(Instance.rows),
        "Columns": _number(Instance.columns),
        "NumberOfFrames": _number(Instance.frames),
    }
)
STUDY_KEYS = _STUDY
SERIES_KEYS = MappingProxyType({**_STUDY, **_SERIES})
INSTANCE_KEYS = MappingProxyType({**_STUDY, **_SERIES, **_INSTANCE})


def asked(query: Iterable[tuple[str, str]], keys: Mapping[str, Callable[[str], ColumnElement[bool]]]) -> Asked:
    """What a query string asks.

    Args:
        query: Its names and values, in order.
        keys: What can be matched at the level of the search.

    Raises:
        BadQueryError: An attribute that cannot be matched here, for ignoring it would answer with too much; a bad value.
    """
    found: dict[str, Any] = {"conditions": [], "fields": set(), "remarks": []}
    page = {"limit": USUAL, "offset": 0}
    for number, (name, value) in enumerate(query):
        if number >= MAX_KEYS or len(value) > MAX_VALUE or "\0" in value:
            raise BadQueryError(f"parameter {name[:64]!r}: at most {MAX_KEYS} parameters of {MAX_VALUE} characters without NUL")
        if name in page:
            page[name] = _count(name, value)
        elif name == "includefield":
            found["fields"].update(_fields(value))
        elif name == "fuzzymatching" and value.lower() == "true":
            found["remarks"].append("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
        elif name not in _FLAGS:
            _add_match(found, name, value, keys)
    return Asked(
        conditions=tuple(found["conditions"]),
        fields=frozenset(found["fields"] - {"all"}),
        everything="all" in found["fields"],
        limit=min(page["limit"], MOST),
        offset=page["offset"],
        remarks=tuple(found["remarks"]),
    )


def _add_match(found: dict[str, Any], name: str, value: str, keys: Mapping[str, Callable[[str], ColumnElement[bool]]]) -> None:
    keyword = _keyword(name)
    if keyword is None:
        found["remarks"].append("Parameters that are no DICOM attributes were passed over.")
    elif keyword not in keys:
        if value.strip("*"):
            raise BadQueryError(f"{name[:64]} cannot be matched here; these can: {', '.join(keys)}")
    elif value:
        try:
            found["conditions"].append(keys[keyword](value))
        except BadQueryError as error:
            raise BadQueryError(f"{keyword}: {error}") from error


def _keyword(name: str) -> str | None:
    """The attribute of a keyword or of eight hex digits; a name that is neither, and no path of a sequence, is None."""
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return (keyword_for_tag(int(name, 16)) if dictionary_has_tag(int(name, 16)) else "") or name
    if "." in name:
        first = name.split(".", 1)[0]
        return name if _keyword(first) is not None else None
    return name if tag_for_keyword(name) is not None else None


def _fields(value: str) -> Iterable[str]:
    """Tags of an includefield's attributes; what is none is passed over, for it could not be told anyway."""
    for name in value.split(","):
        if name.strip().lower() == "all":
            yield "all"
            continue
        keyword = _keyword(name.strip())
        tag = None if keyword is None else tag_for_keyword(keyword)
        if tag is not None:
            yield f"{tag:08X}"
        elif keyword is not None and re.fullmatch(r"[0-9A-Fa-f]{8}", keyword):
            yield keyword.upper()


def _count(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise BadQueryError(f"{name} is {value[:64]!r}; the rule is a whole number from 0 to 999999999")
    return int(value)
