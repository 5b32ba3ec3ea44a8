"""A contact sheet of many cases as one HTML file that needs nothing else: no network, no folder beside it."""

import base64
import html
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import chain, zip_longest
from pathlib import Path
from typing import TypeVar

from panlesion.ct.atomic import replacing
from panlesion.ct.volume import LabelMap, Volume
from panlesion.picture.sheet import case_tile
from panlesion.picture.window import Window

T = TypeVar("T")

MOST_CASES = 500
"""Above it browsers get slow: about 30 MB of pictures."""

_QUALITY = 82
_BRIEF = frozenset({"Location", "Size"})  # fields of the report that stand under the picture


@dataclass(frozen=True, kw_only=True)
class Card:
    """One case of a gallery; `kind` is what the filter buttons are made of, `jpeg` its picture."""

    id: str
    kind: str
    jpeg: bytes
    lines: Sequence[tuple[str, str]] = field(default=())


def make_card(
    id: str,
    kind: str,
    image: Volume,
    label: LabelMap,
    *,
    window: Window,
    healthy: Volume | None = None,
    lines: Sequence[tuple[str, str]] = (),
) -> Card:
    """The card of a case (`label`: organ 1, lesion 2); small enough to be sent between processes."""
    stream = io.BytesIO()
    case_tile(image, label, window=window, healthy=healthy).save(stream, format="JPEG", quality=_QUALITY)
    return Card(id=id, kind=kind, jpeg=stream.getvalue(), lines=lines)


def choose(cases: Sequence[T], kind: Callable[[T], str], most: int = MOST_CASES) -> list[T]:
    """At most that many cases: the first ones of every kind in turn, in the order given."""
    if len(cases) <= most:
        return list(cases)
    by_kind: dict[str, list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        by_kind[kind(case)].append(index)
    turns = (index for index in chain.from_iterable(zip_longest(*by_kind.values())) if index is not None)
    return [cases[index] for index in sorted(index for index, _ in zip(turns, range(most), strict=False))]


def write_gallery(out: Path, cards: Iterable[Card], *, title: str, of: int | None = None) -> None:
    """Write one self-contained HTML file, whole or not at all; where not all cases are shown, `of` tells how many there are.

    Cards are taken one at a time; only their compressed pictures stay in memory.
    """
    figures: list[str] = []
    kinds: Counter[str] = Counter()
    for card in cards:
        kinds[card.kind] += 1
        figures.append(_figure(card))
    shown = len(figures)
    note = f"{shown} cases." if of is None or of <= shown else f"{shown} of {of} cases, the first of every type."
    note += " Overview, healthy, synthetic, outlined (orange: lesion, blue: organ)."
    page = resources.files("panlesion.picture").joinpath("gallery.html").read_text(encoding="utf-8")
    parts = {"@TITLE@": html.escape(title), "@NOTE@": note, "@FILTERS@": _filters(kinds), "@CARDS@": "\n".join(figures)}
    for mark, text in parts.items():
        page = page.replace(mark, text)
    with replacing(out) as stream:
        stream.write(page.encode())


def _figure(card: Card) -> str:
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in card.lines)
    kind, id_ = html.escape(card.kind), html.escape(card.id)
    facts = " · ".join(html.escape(value) for name, value in card.lines if name in _BRIEF)
    source = base64.b64encode(card.jpeg).decode("ascii")
    return (
        f'<figure tabindex="0" data-kind="{kind}">'
        f'<img decoding="async" alt="{kind} {id_}" src="data:image/jpeg;base64,{source}">'
        f"<figcaption><b>{kind}</b> {id_}<br>{facts}</figcaption><dl>{rows}</dl></figure>"
    )


def _filters(kinds: Counter[str]) -> str:
    buttons = ['<button data-kind="" aria-pressed="true">all</button>']
    for kind, count in kinds.items():
        name = html.escape(kind)
        buttons.append(f'<button data-kind="{name}" aria-pressed="false">{name} {count}</button>')
    return "".join(buttons)
