"""`report.html`: one file without script or address outside, to read on a screen or to print.

Every word that is not this module's own is escaped.
"""

import base64
import html
from collections.abc import Iterable, Sequence
from importlib import resources
from string import Template

from panlesion.aid.reads.report_content import COLUMNS, NOTES, NUMERIC, Content, Entry
from panlesion.aid.vocabulary import RESEARCH_USE

HTML_FILE = "report.html"
PAIR_COLUMNS = ("Then, no.", "Now, no.", "Long axis, mm", "Change", "Target")
MEASURED_COLUMNS = ("Measurement", "Value", "Of")


def report_html(content: Content) -> str:
    """The report as a page."""
    template = resources.files("panlesion.aid.reads").joinpath("report.html").read_text(encoding="utf-8")
    # one pass: what a value contains is never taken for a mark of the template
    return Template(template).substitute(
        banner=_escaped(RESEARCH_USE),
        standing=_escaped(content.standing),
        kind="signed" if content.signed else "draft",
        patient=_escaped(content.patient),
        facts=_facts(content.facts),
        impression=_list(content.impression) if content.impression else "<p>None written.</p>",
        comment=_section("Comment", _prose(content.comment)) if content.comment else "",
        addenda=_section("Addenda", _addenda(content.addenda)) if content.addenda else "",
        doubts=f'<section class="doubts"><h2>Read with caution</h2>{_list(content.doubts)}</section>' if content.doubts else "",
        findings=_findings(content),
        measurements=_section("Measurements", _table(MEASURED_COLUMNS, content.measurements)) if content.measurements else "",
        comparison=_comparison(content),
        pictures=_section("Key images", "\n".join(map(_article, content.entries))) if content.entries else "",
        made=_facts(content.made),
        signature=_facts(content.signature),
        notes="\n".join(f"<p>{_escaped(note)}</p>" for note in NOTES) if content.table else "",
    )


def _escaped(text: str) -> str:
    """Safe in HTML text and attributes; control characters are no characters of HTML."""
    return html.escape("".join(letter if letter.isprintable() else " " for letter in text))


def _prose(text: str) -> str:
    """A person's text, its lines kept."""
    return "".join(f"<p>{_escaped(line)}</p>" for line in text.splitlines() if line.strip())


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_escaped(item)}</li>" for item in items) + "</ul>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>\n{body}</section>"


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<div><dt>{_escaped(name)}</dt><dd>{_escaped(value)}</dd></div>" for name, value in rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], numeric: frozenset[int] = frozenset()) -> str:
    head = "".join(f'<th scope="col">{_escaped(column)}</th>' for column in columns)
    body = ""
    for row in rows:
        cells = [
            f'<td class="number">{_escaped(v)}</td>' if n in numeric else f"<td>{_escaped(v)}</td>" for n, v in enumerate(row)
        ]
        body += f"<tr>{''.join(cells)}</tr>\n"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _findings(content: Content) -> str:
    body = _table(COLUMNS, content.table, NUMERIC) if content.table else "<p>No finding is reported.</p>"
    return _section("Findings", body + (f"<p>{_escaped(content.rejected)}</p>" if content.rejected else ""))


def _comparison(content: Content) -> str:
    if not content.comparison:
        return ""
    table = _table(PAIR_COLUMNS, content.pairs, frozenset({2, 3})) if content.pairs else ""
    return _section("Comparison", f"<p>{_escaped(content.comparison)}</p>{table}")


def _addenda(addenda: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<h3>{_escaped(head)}</h3>{_prose(text)}" for head, text in addenda)


def _article(entry: Entry) -> str:
    figures = []
    for one in entry.pictures:
        source = base64.b64encode(one.jpeg).decode("ascii")
        figures.append(
            f'<figure><img width="{one.px}" height="{one.px}" alt="{_escaped(one.alt)}" src="data:image/jpeg;base64,{source}">'
            f"<figcaption>{_escaped(one.caption)}</figcaption></figure>"
        )
    note = f'<div class="note">{_prose(entry.note)}</div>' if entry.note else ""
    views = f'<div class="views">{"".join(figures)}</div>' if figures else ""
    return f"<article><h3>{_escaped(entry.title)}</h3><p>{_escaped(entry.sentence)}</p>{note}{views}</article>"
