"""`report.html`: one file that needs nothing else, neither network nor script, to read on a screen or printed on A4.

Every word that is not this module's own is escaped, and the page forbids itself scripts and addresses outside.
"""

import base64
import datetime
import html
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from string import Template

from panlesion.ct.modality import Modality
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.publish import write_text
from panlesion.infer._words import (
    axes_digits,
    capital,
    clean,
    hu_digits,
    listed,
    ml_digits,
    mm_digits,
    percent,
    type_words,
)
from panlesion.infer.places import organ_words, place_words
from panlesion.infer.record import Findings, LesionRecord, Pair, Reading
from panlesion.infer.report_pictures import Picture, Scan, finding_pictures, overview_pictures
from panlesion.infer.sentences import (
    SUBJECTS,
    assessed,
    comparison_of,
    doubt_lines,
    impression_of,
    point_words,
    sentence_of,
    value_words,
)

MOST_PICTURED = 12
"""Findings with pictures; about 200 kB each. The table has all."""
_HASH_LETTERS = 12
_KINDS = {"nifti": "NIfTI", "dicom": "DICOM"}
_CONTRAST = {True: "looks like none", False: "looks enhanced", None: "cannot be told"}
_UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|mm|ml|HU|×))|(?<=[0-9] ×) ")
_COLUMNS = ("No.", "Type", "Probability", "Place", "Long × short, mm", "Volume, ml", "Mean HU (organ)", "Attributes")
_DATES = ("Then, no.", "Now, no.", "Long axis, mm", "Change", "Target")
_NOTES = (
    "Looked for: tumours of lung, liver, pancreas and kidney; cancer of gallbladder, oesophagus, stomach, colon, rectum and "
    "bladder; bone metastases; cysts of liver, pancreas and kidney; gallstones and kidney stones. A fine-tuned network may "
    "know other classes.",
    "Probability: that the finding is a lesion, of whatever type. The type is the network's most likely one.",
    "Pictures: the patient's right is on the image's left.",
)
_CALIBRATED = "The probabilities were calibrated on {}; where lesions are rarer they are too high."
_NOT_CALIBRATED = "The probabilities are not known to be calibrated: they rank findings, and say little more."
_NOTE_ON_MR = "An MR has no HU: no attenuation, contrast or attribute that rests on it is told."
_NOTES_ON_FINDINGS = (
    "Long and short: the axes of RECIST 1.1 in the axial plane, between voxel centres. HU: mean over the whole outline.",
    "Attributes: what the network reads and what is measured agree, or only one of them says something; where they differ both "
    "stand there in red.",
    "Orange: outline of the finding; blue: calipers.",
)


def write_report(path: Path, findings: Findings, ct: Volume, lesions: LabelMap, *, date: datetime.date | None = None) -> None:
    """Write the report of a CT, whole or not at all.

    Raises:
        DiskFullError: No room.
        ValueError: The CT, the lesions and the findings are not of one grid.
    """
    write_text(path, report_html(findings, ct, lesions, date=date))


def report_html(findings: Findings, ct: Volume, lesions: LabelMap, *, date: datetime.date | None = None) -> str:
    """The report as text; `lesions` numbers the findings on the CT's own grid, whichever that is.

    Raises:
        ValueError: The CT, the lesions and the findings are not of one grid.
    """
    if findings.shape != ct.grid.shape:
        raise ValueError(f"findings are of a CT of shape {findings.shape}, this one has {ct.grid.shape}; give theirs")
    template = resources.files("panlesion.infer").joinpath("report.html").read_text(encoding="utf-8")
    # One pass: what a value contains is never taken for a mark of the template.
    return Template(template).substitute(
        modality=findings.modality.upper(),
        case=_escaped(findings.case),
        facts=_facts(findings, date),
        doubts=_doubts(findings),
        impression=_list(_impression(findings)),
        suspicion=_suspicion(findings),
        table=_table(findings),
        comparison=_comparison(findings),
        pictures=_pictures(findings, Scan.of(ct, lesions, findings.modality)),
        notes=_notes(findings),
    )


def _escaped(text: str) -> str:
    """Safe in HTML text and attributes; control characters are no characters of HTML."""
    return html.escape("".join(letter if letter.isprintable() else " " for letter in text))


def _prose(text: str) -> str:
    """Escaped, a number and its unit kept on one line."""
    return _UNIT.sub("\u00a0", _escaped(text))


def _list(items: Iterable[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{_prose(item)}</li>" for item in items) + "\n</ul>"


def _notes(findings: Findings) -> str:
    place = clean(findings.operating_point.calibrated_on)
    calibration = _CALIBRATED.format(place) if place else _NOT_CALIBRATED
    notes = [*_NOTES, calibration, *(_NOTES_ON_FINDINGS if findings.lesions else ())]
    notes += [_NOTE_ON_MR] if findings.modality is Modality.MR else []
    return "\n".join(f"<p>{_prose(note)}</p>" for note in notes)


def _facts(findings: Findings, date: datetime.date | None) -> str:
    made, point = findings.algorithm, findings.operating_point
    shape = " × ".join(map(str, findings.shape))
    spacing = " × ".join(f"{mm:.2g}" for mm in findings.spacing_mm)
    rows = {
        "Case": findings.case,
        "Date": "" if date is None else f"{date.day} {date:%B %Y}",
        "Image": f"{findings.modality.upper()}, {_KINDS.get(findings.kind, findings.kind)}, {shape} voxels of {spacing} mm",
        "Contrast medium": _CONTRAST[findings.plain] if findings.modality is Modality.CT else "",
        "Algorithm": f"{made.name} {made.version}",
        "Checkpoint": f"{made.checkpoint}, {made.weights_sha256[:_HASH_LETTERS]}",
        "Computed in": f"{findings.seconds:.0f} s" if findings.seconds else "",
    }
    told = [f"<dt>{name}</dt><dd>{_prose(value)}</dd>" for name, value in rows.items() if value]
    counts = f"from {percent(point.least_probability)} on; {point_words(point)}"
    return "\n".join([*told, f'<dt class="first">Findings count</dt><dd class="wide">{_prose(counts)}</dd>'])


def _doubts(findings: Findings) -> str:
    if not findings.doubts:
        return ""
    words = [f"{capital(clean(doubt.words))}." for doubt in findings.doubts]
    return f'<section class="doubts" aria-labelledby="doubts"><h2 id="doubts">Read with caution</h2>{_list(words)}</section>'


def _impression(findings: Findings) -> Sequence[str]:
    """The document's own; the doubts have a box."""
    doubts = set(doubt_lines(findings))
    return [line for line in findings.impression or impression_of(findings) if line not in doubts]


def _suspicion(findings: Findings) -> str:
    places = sorted(findings.suspicion.items(), key=lambda one: (one[0] != "overall", -one[1], one[0]))
    if not places:
        return "<p>Not told.</p>"
    rows = []
    for place, share in places:
        counts = ' class="counts"' if share >= findings.operating_point.least_probability else ""
        width = f"{100 * min(max(share, 0.0), 1.0):.0f}"
        bar = f'<span class="bar"><span style="width:{width}%"></span></span>'
        name = _escaped(capital(organ_words(place) or "elsewhere"))
        rows.append(
            f'<tr{counts}><th scope="row">{name}</th><td class="number">{_escaped(percent(share))}</td><td>{bar}</td></tr>'
        )
    head = '<thead><tr><th scope="col">Organ</th><th scope="col">Probability</th><td></td></tr></thead>'
    caption = "<caption>Of the most suspicious part, whether it counts (dark) or not</caption>"
    return f'<table class="suspicion">{caption}{head}<tbody>\n' + "\n".join(rows) + "\n</tbody></table>"


def _table(findings: Findings) -> str:
    if not findings.lesions:
        return ""
    head = "".join(f'<th scope="col">{_escaped(column)}</th>' for column in _COLUMNS)
    rows = "\n".join(_row(one) for one in findings.lesions)
    table = f'<table class="findings"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>'
    return f'<section aria-labelledby="table"><h2 id="table">Findings</h2>\n<div class="scroll">{table}</div></section>'


def _comparison(findings: Findings) -> str:
    """Every lesion at the two dates; empty without a prior study."""
    told = findings.follow_up
    if told is None:
        return ""
    head = "".join(f'<th scope="col">{column}</th>' for column in _DATES)
    rows = "\n".join(_pair(pair) for pair in told.pairs)
    table = f'<table class="findings"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>' if told.pairs else ""
    residual = "" if told.residual_mm is None else f", whose centres meet within {told.residual_mm:.0f} mm"
    by = f"Registered by {listed([organ_words(one) for one in told.organs])}{residual}. " if told.organs else ""
    words = f"{by}A lesion that was not found again may be gone or missed."
    title = f"Comparison with {_escaped(told.prior_case)}"
    return (
        f'<section aria-labelledby="comparison"><h2 id="comparison">{title}</h2>\n<p>{_prose(comparison_of(told))}</p>\n'
        f'<div class="scroll">{table}</div><p>{_prose(words)}</p></section>'
    )


def _pair(pair: Pair) -> str:
    then = "not found" if pair.prior_mm is None else mm_digits(pair.prior_mm)
    now = "not found" if pair.now_mm is None else mm_digits(pair.now_mm)
    change = "new" if pair.prior_mm is None else "gone"
    if pair.prior_mm and pair.now_mm is not None:
        change = f"{pair.now_mm / pair.prior_mm - 1:+.0%}"
    numbers = "".join(f'<td class="number">{"–" if one is None else one}</td>' for one in (pair.prior, pair.now))
    return (
        f'<tr>{numbers}<td class="number">{then} → {now}</td><td class="number">{change}</td>'
        f"<td>{'yes' if pair.target else ''}</td></tr>"
    )


def _row(lesion: LesionRecord) -> str:
    organ_hu = "" if lesion.organ_mean_hu is None else f" ({hu_digits(lesion.organ_mean_hu)})"
    cells = (
        (capital(type_words(lesion.type)), ""),
        (percent(lesion.probability), "number"),
        (capital(place_words(lesion).removeprefix("the ")), ""),
        (axes_digits(lesion), "number"),
        (ml_digits(lesion.volume_ml), "number"),
        ("–" if lesion.mean_hu is None else hu_digits(lesion.mean_hu) + organ_hu, "number"),
    )
    columns = "".join(
        f'<td class="{kind}">{_escaped(text)}</td>' if kind else f"<td>{_escaped(text)}</td>" for text, kind in cells
    )
    return f'<tr><th scope="row">{lesion.number}</th>{columns}<td>{_attributes(lesion)}</td></tr>'


def _attributes(lesion: LesionRecord) -> str:
    """What is said of the attributes in one run, then a line for every one on which network and measurement differ."""
    readings = assessed(lesion)
    agreed = [_agreed(name, one) for name, one in readings.items() if not one.disagree and (one.read or one.measured)]
    differing = [_differing(name, one) for name, one in readings.items() if one.disagree]
    if not agreed and not differing:
        return "not assessed"
    return "<br>".join([_escaped(capital(", ".join(agreed))), *differing] if agreed else differing)


def _agreed(name: str, reading: Reading) -> str:
    value = value_words(reading.read or reading.measured or "")
    if name == "surface":
        return f"{value} margin"
    return f"{value} to adjacent structures" if name == "invasion" else value


def _differing(name: str, reading: Reading) -> str:
    sure = "" if reading.probability is None else f" ({percent(reading.probability)})"
    both = f"read {value_words(reading.read or '')}{sure}, measured {value_words(reading.measured or '')}"
    return f'<span class="differs">≠ {_escaped(SUBJECTS.get(name, clean(name)))}: {_escaped(both)}</span>'


def _pictures(findings: Findings, scan: Scan) -> str:
    if not findings.lesions:
        return f'<div class="planes">{_figures(overview_pictures(scan))}</div>'
    shown = findings.lesions[:MOST_PICTURED]
    more = len(findings.lesions) - len(shown)
    note = f"<p>Pictures of the first {len(shown)} of {len(findings.lesions)} findings.</p>\n" if more else ""
    return note + "\n".join(_article(one, scan) for one in shown)


def _article(lesion: LesionRecord, scan: Scan) -> str:
    title = f"{lesion.number}. {capital(type_words(lesion.type))}, {percent(lesion.probability)}"
    sentence = lesion.sentence or sentence_of(lesion)
    figures = _figures(finding_pictures(scan, lesion))
    return f'<article><h3>{_escaped(title)}</h3><p>{_prose(sentence)}</p>\n<div class="views">{figures}</div></article>'


def _figures(pictures: Iterable[Picture]) -> str:
    figures = []
    for one in pictures:
        source = base64.b64encode(one.jpeg).decode("ascii")
        figures.append(
            f'<figure><img width="{one.px}" height="{one.px}" alt="{_escaped(one.alt)}" src="data:image/jpeg;base64,{source}">'
            f"<figcaption>{_escaped(one.caption)}</figcaption></figure>"
        )
    return "\n".join(figures)
