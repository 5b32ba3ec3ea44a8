"""LIDC's XML: what up to four radiologists outlined and scored in a CT.

A reading session is one reader. A nodule of 3 mm or more has outlines and scores; smaller ones, and what is no nodule, have
one point each and are counted, not read. A file with a document type is refused: entities of such a file could expand
without limit, and LIDC's have none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from panlesion.data.sources.lidc_nodules import Score
from panlesion.errors import ReadError

MOST_BYTES = 64 << 20
"""The largest file of the collection has a few megabytes."""

_FEWEST_POINTS = 3
_HEAD_BYTES = 16_384
_SERIES = re.compile(r"<(?:\w+:)?SeriesInstanceUid>\s*([\d.]+)\s*<", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Outline:
    """One closed line on one slice, in pixels (column, row); `included` is False for what is cut out of a nodule."""

    image: str
    z_mm: float
    included: bool
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class ReadNodule:
    """A nodule of 3 mm or more as one reader saw it."""

    reader: int
    id: str
    scores: Mapping[Score, float]
    outlines: tuple[Outline, ...]


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """All that was marked in one CT; `small` and `non_nodules` count marks that have no outline."""

    path: Path
    series: str
    readers: int
    nodules: tuple[ReadNodule, ...]
    small: int
    non_nodules: int


def series_of_xml(path: Path) -> str:
    """SeriesInstanceUID of the CT that a file is about; "" for files of other kinds, such as those of chest radiographs."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES).decode("utf-8", errors="replace")
    found = _SERIES.search(head) if "LidcReadMessage" in head else None
    return found[1].strip(".") if found else ""


def read_annotations(path: Path) -> Annotations:
    """Read one CT's file.

    Raises:
        ReadError: No XML of LIDC, damaged, or with a document type; a value that is no number or out of range.
    """
    root = _parsed(path)
    if _name(root) != "LidcReadMessage":
        raise ReadError(f"{path}: root element {_name(root)}; a CT's file has LidcReadMessage. Give the XML beside the CT")
    sessions = root.findall("{*}readingSession")
    series = _text(root.find("{*}ResponseHeader"), "SeriesInstanceUid")
    if not sessions or not series:
        missing = "no readingSession" if series else "no SeriesInstanceUid in ResponseHeader"
        raise ReadError(f"{path}: {missing}; the file is damaged. Download it again")
    nodules: list[ReadNodule] = []
    small = non_nodules = 0
    for reader, session in enumerate(sessions, 1):
        non_nodules += len(session.findall("{*}nonNodule"))
        for element in session.findall("{*}unblindedReadNodule"):
            nodule = _nodule(element, reader, path)
            small += nodule is None
            nodules += [nodule] if nodule is not None else []
    return Annotations(
        path=path, series=series, readers=len(sessions), nodules=tuple(nodules), small=small, non_nodules=non_nodules
    )


def _parsed(path: Path) -> Element:
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path}: cannot be read as UTF-8 text ({error}). Download it again") from error
    if len(data) > MOST_BYTES:
        raise ReadError(f"{path}: larger than {MOST_BYTES} bytes; no file of LIDC is")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ReadError(
            f"{path}: has a document type (<!DOCTYPE>), which files of LIDC have not and which is not read. Download it again"
        )
    try:
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise ReadError(f"{path}: damaged XML ({error}). Download it again") from error


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: Element | None, name: str) -> str:
    return "" if element is None else (element.findtext(f"{{*}}{name}") or "").strip()


def _nodule(element: Element, reader: int, path: Path) -> ReadNodule | None:
    """A nodule with outlines and scores; None for one smaller than 3 mm, which has a point in their place."""
    name = f"{path}: reader {reader}, nodule {_text(element, 'noduleID') or '?'}"
    outlines = tuple(_outline(roi, name) for roi in element.findall("{*}roi"))
    if not outlines:
        raise ReadError(f"{name}: no roi; every mark has one. Download the file again")
    scores = _scores(element.find("{*}characteristics"), name)
    if not scores and max(len(outline.points) for outline in outlines) < _FEWEST_POINTS:
        return None
    return ReadNodule(reader=reader, id=_text(element, "noduleID"), scores=scores, outlines=outlines)


def _scores(element: Element | None, name: str) -> dict[Score, float]:
    scores = {score: _number(text, f"{name}: {score}") for score in Score if (text := _text(element, score))}
    for score, value in scores.items():
        if not 1 <= value <= 5:
            raise ReadError(f"{name}: {score} is {value:g}; it must lie between 1 and 5")
    return scores


def _outline(roi: Element, name: str) -> Outline:
    said = _text(roi, "inclusion").upper()
    if said not in ("TRUE", "FALSE"):
        raise ReadError(f"{name}: inclusion is {said!r}; it must be TRUE or FALSE")
    return Outline(
        image=_text(roi, "imageSOP_UID"),
        z_mm=_number(_text(roi, "imageZposition"), f"{name}: imageZposition"),
        included=said == "TRUE",
        points=_points(roi.findall("{*}edgeMap"), name),
    )


def _points(edges: Sequence[Element], name: str) -> tuple[tuple[int, int], ...]:
    points = []
    for edge in edges:
        x, y = (_number(_text(edge, axis), f"{name}: {axis}") for axis in ("xCoord", "yCoord"))
        if not (x.is_integer() and y.is_integer()):
            raise ReadError(f"{name}: a point at ({x:g}, {y:g}); outlines run from pixel to pixel, in whole numbers")
        points.append((int(x), int(y)))
    return tuple(points)


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise ReadError(f"{name} is {text!r}; it must be a number. Download the file again") from error
    if not abs(value) < 1e9:
        raise ReadError(f"{name} is {text}; it must be a finite number. Download the file again")
    return value
