"""What a report says, section by section, as plain words and tables: the page and the PDF only lay it out."""

from dataclasses import dataclass, replace

from panlesion.aid.reads.dicom_out import View, comparison_words, made_how, record_of, view_of
from panlesion.aid.reads.report import Images, Report
from panlesion.aid.schemas.reading import Attribute, FindingOut, MeasurementOut
from panlesion.aid.vocabulary import MeasurementKind, Origin
from panlesion.infer._words import axes_digits, capital, clean, hu_digits, ml_digits, mm_digits, percent
from panlesion.infer.dicom_codes import finding_words
from panlesion.infer.places import organ_words, place_words
from panlesion.infer.report_pictures import Picture, Scan, finding_pictures
from panlesion.infer.reviewed import Made
from panlesion.infer.sentences import value_words

COLUMNS = ("No.", "Type", "Place", "Long × short, mm", "Volume, ml", "Mean HU ± SD", "AI, probability", "Attributes", "Outline")
NUMERIC = frozenset({3, 4, 5, 6})
MOST_PICTURED = 12
_SHOWN = (0, 2, 3)
"""Of the five pictures of a finding: marked, the whole slice, coronal."""
_SAID = {"surface": "{} margin", "invasion": "{} to adjacent structures"}
"""Attributes whose value does not say alone what it is of."""
_OUTLINES = {Made.AUTOMATIC: "AI", Made.SEMIAUTOMATIC: "AI, edited", Made.MANUAL: "reader"}
_KINDS = {MeasurementKind.LENGTH: "Length", MeasurementKind.BIDIRECTIONAL: "Long × short", MeasurementKind.ROI: "Region"}
_BY_READER = "†"
NOTES = (
    "Long and short: the axes of RECIST 1.1 in the axial plane. HU: over the whole outline. AI probability: that the finding "
    "is a lesion, of whatever type.",
    f"{_BY_READER} set by the reader; all other attributes are as the AI read or measured them. Pictures: the patient's right "
    "is on the image's left; orange: outline, blue: calipers.",
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A finding with its pictures."""

    title: str
    sentence: str
    note: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, kw_only=True)
class Content:
    """A report in words. `table` are rows of `COLUMNS`; `standing` says in short whether it is signed."""

    standing: str
    signed: bool
    patient: str
    facts: tuple[tuple[str, str], ...]
    impression: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    measurements: tuple[tuple[str, str, str], ...]
    comparison: str
    pairs: tuple[tuple[str, ...], ...]
    comment: str
    doubts: tuple[str, ...]
    rejected: str
    addenda: tuple[tuple[str, str], ...]
    made: tuple[tuple[str, str], ...]
    signature: tuple[tuple[str, str], ...]
    entries: tuple[Entry, ...]


def content_of(report: Report, images: Images) -> Content:
    """Everything that a report says."""
    told = report.comparison
    return Content(
        standing=_standing(report),
        signed=report.signature is not None,
        patient=name_words(report.facts.patient_name) or "no name",
        facts=tuple(_facts(report)),
        impression=tuple(report.impression),
        table=tuple(_row(one) for one in report.told),
        measurements=tuple(_measured(one) for one in report.document.measurements),
        comparison="" if told is None else comparison_words(report),
        pairs=() if told is None else tuple(_pairs(report)),
        comment=report.document.comment,
        doubts=tuple(f"{capital(clean(one.words))}." for one in report.document.doubts),
        rejected=_rejected(report),
        addenda=tuple((f"{one.at:%Y-%m-%d %H:%M} UTC, {one.by}", one.text) for one in report.addenda),
        made=tuple(_made(report)),
        signature=tuple(_signature(report)),
        entries=tuple(_entries(report, images)),
    )


def name_words(name: str) -> str:
    """A DICOM person name as it is read: "MUSTER, Dr Erika Anna"; ideographic and phonetic groups in brackets."""
    groups = []
    for group in name.split("=")[:3]:
        family, given, middle, prefix, suffix = ([" ".join(part.split()) for part in group.split("^")] + [""] * 5)[:5]
        first = " ".join(filter(None, (prefix, given, middle, suffix)))
        groups.append(", ".join(filter(None, (family.upper(), first))))
    told = [group for group in groups if group]
    return " ".join([told[0], *(f"({group})" for group in told[1:])]) if told else ""


def _standing(report: Report) -> str:
    if report.signature is None:
        return "Preliminary, not signed"
    return "Signed, with addenda" if report.addenda else "Signed"


def _facts(report: Report) -> list[tuple[str, str]]:
    facts = report.facts
    born = "" if facts.birth_date is None else facts.birth_date.isoformat()
    if facts.birth_date is not None and facts.study_at is not None:
        day = facts.study_at.date()
        years = day.year - facts.birth_date.year - ((day.month, day.day) < (facts.birth_date.month, facts.birth_date.day))
        born += f" ({years} y)"
    rows = [
        ("Patient ID", facts.patient_id),
        ("Born", born),
        ("Sex", facts.sex),
        ("Accession", facts.accession),
        ("Study", facts.description),
        ("Study date", "" if facts.study_at is None else f"{facts.study_at:%Y-%m-%d %H:%M}"),
    ]
    return [(name, value or "–") for name, value in rows]


def _row(one: FindingOut) -> tuple[str, ...]:
    size = one.size
    record = None if size is None else record_of(one, 1)
    place = ", ".join(filter(None, (organ_words(one.organ, one.side), one.location)))
    if record is not None:
        place = place_words(record).removeprefix("the ")
    return (
        str(one.number),
        capital(finding_words(one.type)),
        capital(place),
        "no outline" if record is None else axes_digits(record),
        "–" if size is None else ml_digits(size.volume_ml),
        "–" if size is None else f"{hu_digits(size.mean_hu)} ± {hu_digits(size.sd_hu)}",
        "–" if one.probability is None else percent(one.probability),
        _attributes(one),
        _OUTLINES[made_how(one)],
    )


def _attributes(one: FindingOut) -> str:
    said = [_attribute(name, told) for name, told in one.attributes.items() if told.value is not None]
    return capital("; ".join(said)) or "not assessed"


def _attribute(name: str, told: Attribute) -> str:
    mark = "" if told.by is Origin.AI else f" {_BY_READER}"
    return f"{_SAID.get(name, '{}').format(value_words(told.value or ''))}{mark}"


def _measured(one: MeasurementOut) -> tuple[str, str, str]:
    """What, its values, and the finding it belongs to."""
    values = one.values
    if one.kind is MeasurementKind.LENGTH:
        told = f"{mm_digits(values['length_mm'])} mm"
    elif one.kind is MeasurementKind.BIDIRECTIONAL:
        told = f"{mm_digits(values['long_mm'])} × {mm_digits(values['short_mm'])} mm"
    else:
        told = f"{values['area_mm2']:.0f} mm², mean {hu_digits(values['mean_hu'])} ± {hu_digits(values['sd_hu'])} HU"
    return one.label or _KINDS[one.kind], told, "" if one.finding is None else f"finding {one.finding}"


def _pairs(report: Report) -> list[tuple[str, ...]]:
    """Then, now, long axes, change, target."""
    assert report.comparison is not None
    rows = []
    for pair in report.comparison.pairs:
        then = "not found" if pair.prior_mm is None else mm_digits(pair.prior_mm)
        now = "not found" if pair.now_mm is None else mm_digits(pair.now_mm)
        change = "new" if pair.prior_mm is None else "gone"
        if pair.prior_mm and pair.now_mm is not None:
            change = f"{pair.now_mm / pair.prior_mm - 1:+.0%}"
        numbers = ["–" if one is None else str(one) for one in (pair.prior, pair.now)]
        rows.append((*numbers, f"{then} → {now}", change, "yes" if pair.target else ""))
    return rows


def _rejected(report: Report) -> str:
    count = report.rejected
    if not count:
        return ""
    noun, verb = ("finding", "it is") if count == 1 else ("findings", "they are")
    return f"The reader rejected {count} {noun} of the AI; {verb} not listed."


def _made(report: Report) -> list[tuple[str, str]]:
    made, point = report.algorithm, report.point
    if made is None:
        return [("Algorithm", "none; read by hand")]
    sha = f", {made.weights_sha256[:12]}" if made.weights_sha256 else ""
    rows = [("Algorithm", f"{made.name} {made.version}, checkpoint {made.checkpoint}{sha}")]
    if point is not None:
        rows.append(("Operating point", f"findings count from a probability of {percent(point.least_probability)} on"))
    return rows


def _signature(report: Report) -> list[tuple[str, str]]:
    signed = report.signature
    if signed is None:
        return [("Signed", "not yet; this is a draft")]
    return [
        ("Signed by", ", ".join(filter(None, (signed.name, report.organisation)))),
        ("Signed at", f"{signed.at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Version", str(report.version)),
        ("SHA-256", signed.sha256),
    ]


def _entries(report: Report, images: Images) -> list[Entry]:
    view = view_of(report, images)
    pictured = _pictures(view, images)
    entries = []
    for number, one in zip(range(1, len(report.told) + 1), report.told, strict=True):
        entries.append(
            Entry(
                title=f"{one.number}. {capital(finding_words(one.type))}",
                sentence=one.sentence,
                note=one.note,
                pictures=pictured.get(f"lesion {one.number}", ()) if number <= MOST_PICTURED else (),
            )
        )
    return entries


def _pictures(view: View, images: Images) -> dict[str, tuple[Picture, ...]]:
    """By tracking id; captions and alternative texts name findings by their number in the document."""
    if not view.findings.lesions:
        return {}
    scan = Scan.of(images.ct.volume, view.lesions)
    found = {}
    for record in view.findings.lesions[:MOST_PICTURED]:
        all_ = finding_pictures(scan, record)
        said, number = f"Finding {record.number}", record.tracking_id.removeprefix("lesion ")
        found[record.tracking_id] = tuple(
            replace(all_[n], alt=all_[n].alt.replace(said, f"Finding {number}", 1)) for n in _SHOWN
        )
    return found
