"""Sentences and impression of a reading, in the words that `infer.sentences` has for a network's findings."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

import panlesion
from panlesion.aid.reads.document import Document
from panlesion.aid.schemas.reading import Attribute, FindingOut
from panlesion.aid.schemas.reading import Caliper as CaliperOut
from panlesion.aid.vocabulary import Decision, Origin
from panlesion.ct.volume import Grid
from panlesion.infer._words import capital, counted, most_likely, percent, plural, type_words
from panlesion.infer.record import Algorithm, Caliper, Findings, LesionRecord, OperatingPoint, Reading
from panlesion.infer.sentences import certainty_of, doubt_lines, impression_of, sentence_of

BY_HAND = Algorithm(name="panlesion", version=panlesion.__version__, checkpoint="none", weights_sha256="")
"""Named as the program where no network took part."""
NOTHING_YET = "No finding has been recorded."

_RECORD = TypeAdapter(LesionRecord)


def ai_record(finding: FindingOut) -> LesionRecord | None:
    """The AI's own record of a finding; None of a reader's."""
    return None if finding.ai is None else _RECORD.validate_python(finding.ai)


def as_json(record: LesionRecord) -> dict[str, Any]:
    """A record as the document keeps it."""
    made: dict[str, Any] = _RECORD.dump_python(record, mode="json")
    return made


def without_ai(case: str, grid: Grid) -> Findings:
    """Findings of a CT that no network has seen."""
    return Findings(
        case=case,
        kind="dicom",
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        algorithm=BY_HAND,
        operating_point=OperatingPoint(least_probability=0.0),
    )


def record_of(finding: FindingOut) -> LesionRecord | None:
    """A finding as it is now, as `infer` knows findings; None while it has no voxel.

    What a reader set stands in the place of what was read, and nothing measured is set against it. A reader's finding has the
    probability 1, of which nothing may be told.
    """
    size, theirs = finding.size, ai_record(finding)
    if size is None:
        return None
    moved = theirs is None or (theirs.organ, theirs.side) != (finding.organ, finding.side)
    ball_mm = float(np.cbrt(6000.0 * size.volume_ml / np.pi))
    known = theirs is not None and not finding.mask_edited
    return LesionRecord(
        number=finding.number,
        tracking_id=f"lesion {finding.number}",
        tracking_uid=finding.tracking_uid,
        type=finding.type,
        probability=1.0 if finding.probability is None else finding.probability,
        organ=finding.organ,
        side=finding.side,
        location=finding.location,
        volume_ml=size.volume_ml,
        diameter_mm=theirs.diameter_mm if theirs is not None and known else max(size.long.length_mm, ball_mm),
        long=_caliper(size.long),
        short=_caliper(size.short),
        extent_mm=size.extent_mm,
        centre_ijk=size.centre_ijk,
        centre_xyz=size.centre_xyz,
        mean_hu=size.mean_hu,
        sd_hu=size.sd_hu,
        organ_mean_hu=None if moved or theirs is None else theirs.organ_mean_hu,
        attributes={name: _reading(one) for name, one in finding.attributes.items()},
        sentence=finding.sentence,
    )


def _caliper(one: CaliperOut) -> Caliper:
    return Caliper(length_mm=one.length_mm, ends_ijk=one.ends_ijk, ends_xyz=one.ends_xyz)


def _reading(one: Attribute) -> Reading:
    if one.by is Origin.AI:
        return Reading(read=one.ai, probability=one.probability, measured=one.measured)
    return Reading(read=one.value)


def reported(document: Document) -> list[FindingOut]:
    """What a report is made of: accepted findings and those not decided yet."""
    return [one for one in document.findings if one.decision is not Decision.REJECTED]


def view_of(document: Document, base: Findings) -> Findings:
    """The reported findings with a voxel, under the numbers they have, in a document as `infer` knows it."""
    records = [record for one in reported(document) if (record := record_of(one)) is not None]
    return replace(base, lesions=tuple(records), follow_up=None)


def worded(document: Document, base: Findings) -> Document:
    """The document with the sentence of every finding and its impression made anew.

    Args:
        document: As it is now.
        base: The AI's findings of the scan, or `without_ai`.
    """
    findings = [one.model_copy(update={"sentence": sentence(one)}) for one in document.findings]
    fresh = document.model_copy(update={"findings": findings})
    return fresh.model_copy(update={"impression": _impression(fresh, base)})


def sentence(finding: FindingOut) -> str:
    """One sentence on a finding as it is now."""
    record = record_of(finding)
    if record is None:
        return f"{capital(type_words(finding.type))} without an outline."
    return sentence_of(record, _certainty(finding, record))


def _certainty(finding: FindingOut, record: LesionRecord) -> str:
    theirs = ai_record(finding)
    if finding.probability is None or theirs is None:
        return f"marked by the reader as {most_likely(record.type)}"
    if theirs.type != finding.type:
        return f"{percent(finding.probability)} probability of a lesion, {most_likely(record.type)} by the reader"
    return certainty_of(record)


def _impression(document: Document, base: Findings) -> list[str]:
    view = view_of(document, base)
    if view.lesions:
        marked = frozenset(one.number for one in document.findings if one.probability is None)
        return list(impression_of(view, marked))
    bare = [one for one in reported(document) if one.size is None]
    rejected = [one for one in document.findings if one.decision is Decision.REJECTED]
    if not bare and not rejected and base.algorithm != BY_HAND:
        return list(impression_of(view))
    return [_nothing_left(bare, rejected), *doubt_lines(view)]


def _nothing_left(bare: Sequence[FindingOut], rejected: Sequence[FindingOut]) -> str:
    if bare:
        noun = "finding" if len(bare) == 1 else plural("finding")
        return f"{capital(counted(len(bare)))} {noun} without an outline."
    if rejected:
        noun = "finding" if len(rejected) == 1 else plural("finding")
        return f"No lesion: the reader rejected {counted(len(rejected))} {noun} of the network."
    return NOTHING_YET
