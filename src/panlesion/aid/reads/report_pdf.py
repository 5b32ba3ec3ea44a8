"""`report.pdf`: the report on A4, with the research-use banner, the patient and the page number on every page."""

import io
from collections.abc import Iterable, Sequence

from reportlab.lib.colors import HexColor, white
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    Image,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)

from panlesion.aid.reads.fonts import BOLD, PLAIN, markup, register
from panlesion.aid.reads.report_content import COLUMNS, NOTES, NUMERIC, Content, Entry
from panlesion.aid.reads.report_view import MEASURED_COLUMNS, PAIR_COLUMNS
from panlesion.aid.vocabulary import RESEARCH_USE

PDF_FILE = "report.pdf"
_SIDE, _TOP, _BOTTOM = 16 * mm, 24 * mm, 18 * mm
_WIDTH = A4[0] - 2 * _SIDE
_INK, _GREY, _RULE, _RED = HexColor("#16191d"), HexColor("#545c66"), HexColor("#9aa3ad"), HexColor("#a3001e")
_GREEN, _BROWN, _PALE, _AMBER = HexColor("#14532d"), HexColor("#8a4b00"), HexColor("#c6ccd3"), HexColor("#fff6e0")
_FINDING_WIDTHS = (8.5, 20, 23, 19.5, 16.5, 17.5, 20, 40, 15)


def report_pdf(content: Content) -> bytes:
    """The report as a PDF; every word is escaped."""
    register()
    stream = io.BytesIO()
    document = BaseDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=_SIDE,
        rightMargin=_SIDE,
        topMargin=_TOP,
        bottomMargin=_BOTTOM,
        title="CT lesion report",
        author="panlesion",
        subject=RESEARCH_USE,
        lang="en-GB",
    )
    frame = Frame(_SIDE, _BOTTOM, _WIDTH, A4[1] - _TOP - _BOTTOM, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    document.addPageTemplates([PageTemplate(id="page", frames=[frame])])
    document.build(_story(content), canvasmaker=_pages(content))
    return stream.getvalue()


def _style(size: float, **how: object) -> ParagraphStyle:
    told = {"fontName": PLAIN, "fontSize": size, "leading": size * 1.33, "textColor": _INK, "splitLongWords": 1, **how}
    return ParagraphStyle("style", **told)


_BODY, _SMALL, _CAPTION = _style(9.5, spaceAfter=1.5 * mm), _style(8), _style(7, textColor=_GREY, leading=8.4)
_CELL, _NUMBER = _style(7.6, leading=9.6), _style(7.6, leading=9.6, alignment=TA_RIGHT)
_SUBHEADING = _style(9.5, fontName=BOLD, spaceBefore=1.5 * mm, spaceAfter=0.5 * mm, keepWithNext=1)


def _say(text: str, style: ParagraphStyle = _BODY) -> Paragraph:
    return Paragraph(markup(text), style)


def _story(content: Content) -> list[Flowable]:
    story = [*_head(content), *_section("Impression", _bullets(content.impression) or [_say("None written.")])]
    if content.comment:
        story += _section("Comment", _lines(content.comment))
    if content.addenda:
        story += _section(
            "Addenda", [part for head, text in content.addenda for part in (_say(head, _SUBHEADING), *_lines(text))]
        )
    if content.doubts:
        story += [Spacer(1, 3 * mm), _box("Read with caution", content.doubts)]
    rows = _table(COLUMNS, content.table, _FINDING_WIDTHS, NUMERIC) if content.table else _say("No finding is reported.")
    story += _section("Findings", [rows, *([Spacer(1, mm), _say(content.rejected)] if content.rejected else [])])
    if content.measurements:
        story += _section("Measurements", [_table(MEASURED_COLUMNS, content.measurements, (40, 80, 58))])
    if content.comparison:
        pairs = [_table(PAIR_COLUMNS, content.pairs, (30, 30, 48, 40, 30), frozenset({2, 3}))] if content.pairs else []
        story += _section("Comparison", [_say(content.comparison), *pairs])
    if content.entries:
        parts = [part for entry in content.entries for part in _entry(entry)]
        story += _section("Key images", parts, 100 * mm if content.entries[0].pictures else 25 * mm)
    story.append(KeepTogether(_section("Signature", [_facts(content.signature, 1)])))
    story.append(KeepTogether(_section("Made with", [_facts(content.made, 1)])))
    notes = [_say(note, _CAPTION) for note in NOTES] if content.table else []
    return [*story, Spacer(1, 4 * mm), *notes]


def _head(content: Content) -> list[Flowable]:
    colour = _GREEN if content.signed else _BROWN
    standing = Table(
        [[_say(content.standing, _style(9, fontName=BOLD, textColor=colour, alignment=TA_CENTER))]], colWidths=[52 * mm]
    )
    standing.setStyle(TableStyle([("BOX", (0, 0), (-1, -1), 0.8, colour), *_padding(1, 2)]))
    title = Table([[_say("CT lesion report", _style(16, fontName=BOLD)), standing]], colWidths=[_WIDTH - 54 * mm, 54 * mm])
    title.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("ALIGN", (1, 0), (1, 0), "RIGHT"), *_padding(0, 0)]))
    name = _say(content.patient, _style(12.5, fontName=BOLD, spaceBefore=2 * mm, spaceAfter=1.5 * mm))
    facts = _facts(content.facts, 3)
    facts.setStyle(TableStyle([("LINEABOVE", (0, 0), (-1, 0), 0.6, _RULE), ("LINEBELOW", (0, -1), (-1, -1), 0.6, _RULE)]))
    return [title, name, facts]


def _section(title: str, body: Iterable[Flowable], room: float = 25 * mm) -> list[Flowable]:
    """A heading and what follows, on the next page if there is no room for a beginning."""
    heading = Table([[_say(title, _style(11, fontName=BOLD))]], colWidths=[_WIDTH], spaceBefore=4 * mm, spaceAfter=1.5 * mm)
    heading.setStyle(TableStyle([("LINEBELOW", (0, 0), (-1, -1), 0.5, _RULE), *_padding(0.5, 0)]))
    heading.keepWithNext = True
    return [CondPageBreak(room), heading, *body]


def _bullets(lines: Iterable[str]) -> list[Flowable]:
    style = _style(9.5, leftIndent=4 * mm, bulletIndent=0.5 * mm, spaceAfter=1 * mm)
    return [Paragraph(markup(line), style, bulletText="•") for line in lines]


def _lines(text: str) -> list[Flowable]:
    return [_say(line) for line in text.splitlines() if line.strip()]


def _box(title: str, lines: Sequence[str]) -> Table:
    box = Table([[[_say(title, _style(9.5, fontName=BOLD)), *_bullets(lines)]]], colWidths=[_WIDTH])
    colour = HexColor("#8a6100")
    box.setStyle(
        TableStyle([("BACKGROUND", (0, 0), (-1, -1), _AMBER), ("BOX", (0, 0), (-1, -1), 0.6, colour), *_padding(1.5, 3)])
    )
    return box


def _padding(vertical: float, sideways: float) -> list[tuple]:
    whole = ((0, 0), (-1, -1))
    return [
        *((f"{side}PADDING", *whole, vertical * mm) for side in ("TOP", "BOTTOM")),
        *((f"{side}PADDING", *whole, sideways * mm) for side in ("LEFT", "RIGHT")),
    ]


def _facts(rows: Sequence[tuple[str, str]], columns: int) -> Table:
    """Names and values, so many pairs a line."""
    grey = _style(8.2, textColor=_GREY)
    cells = [cell for name, value in rows for cell in (_say(name, grey), _say(value, _style(8.2)))]
    cells += [""] * (-len(cells) % (2 * columns))
    lines = [cells[start : start + 2 * columns] for start in range(0, len(cells), 2 * columns)]
    label = 30 * mm if columns == 1 else 21 * mm
    table = Table(lines, colWidths=[label, _WIDTH / columns - label] * columns)
    table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(0.5, 0.5)]))
    return table


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float], numeric: frozenset[int] = frozenset()
) -> Table:
    head = [
        _say(one, _style(7.6, leading=9.6, fontName=BOLD, alignment=TA_RIGHT if n in numeric else 0))
        for n, one in enumerate(columns)
    ]
    body = [[_say(one, _NUMBER if n in numeric else _CELL) for n, one in enumerate(row)] for row in rows]
    table = Table([head, *body], colWidths=[_WIDTH * one / sum(widths) for one in widths], repeatRows=1)
    lines: list[tuple] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.6, _GREY),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, _PALE),
    ]
    table.setStyle(TableStyle([*lines, *_padding(0.8, 1)]))
    return table


def _entry(entry: Entry) -> list[Flowable]:
    """A finding's words and its pictures, kept on one page unless the words alone fill it."""
    words: list[Flowable] = [_say(entry.title, _SUBHEADING), *([_say(entry.sentence)] if entry.sentence else [])]
    notes = [_say(line, _style(9, leftIndent=3 * mm, textColor=_INK)) for line in entry.note.splitlines() if line.strip()]
    if not entry.pictures:
        return [*words, *notes, Spacer(1, 2 * mm)]
    side = (_WIDTH - 4 * mm) / len(entry.pictures)
    images = [Image(io.BytesIO(one.jpeg), side, side) for one in entry.pictures]
    captions = [_say(one.caption, _CAPTION) for one in entry.pictures]
    table = Table([images, captions], colWidths=[side + 2 * mm] * (len(images) - 1) + [side])
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("ALIGN", (0, 0), (-1, -1), "LEFT"),
                *_padding(0.5, 0),
                ("RIGHTPADDING", (0, 0), (-2, -1), 2 * mm),
            ]
        )
    )
    return [KeepTogether([*words, table]), *notes, Spacer(1, 2 * mm)]


def _pages(content: Content) -> type[Canvas]:
    """A canvas that waits with its pages until it knows how many there are."""

    class Pages(Canvas):  # type: ignore[misc]
        def __init__(self, *args: object, **how: object) -> None:
            super().__init__(*args, **how)
            self._kept: list[dict[str, object]] = []

        def showPage(self) -> None:  # noqa: N802
            self._kept.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._kept, 1):
                self.__dict__.update(page)
                _margins(self, content, number, len(self._kept))
                super().showPage()
            super().save()

    return Pages


def _margins(canvas: Canvas, content: Content, number: int, of: int) -> None:
    """The banner above, patient and page number below."""
    banner = _style(8.5, fontName=BOLD, textColor=_RED, alignment=TA_CENTER)
    box = Table([[_say(RESEARCH_USE, banner)]], colWidths=[_WIDTH])
    box.setStyle(TableStyle([("BOX", (0, 0), (-1, -1), 1, _RED), ("BACKGROUND", (0, 0), (-1, -1), white), *_padding(0.8, 1)]))
    _draw(canvas, box, A4[1] - 17 * mm)
    who = dict(content.facts)
    foot = Table(
        [
            [
                _say(f"{content.patient[:60]} · {who.get('Patient ID', '')[:40]}", _CAPTION),
                _say(f"{content.standing} · page {number} of {of}", _style(7, textColor=_GREY, alignment=TA_RIGHT)),
            ]
        ],
        colWidths=[_WIDTH * 0.65, _WIDTH * 0.35],
    )
    foot.setStyle(
        TableStyle([("LINEABOVE", (0, 0), (-1, 0), 0.5, _RULE), ("VALIGN", (0, 0), (-1, -1), "TOP"), *_padding(1, 0)])
    )
    _draw(canvas, foot, 7 * mm)


def _draw(canvas: Canvas, table: Table, y: float) -> None:
    table.wrapOn(canvas, _WIDTH, 30 * mm)
    table.drawOn(canvas, _SIDE, y)
