"""The ways a document is changed: pure, one change after another; what breaks a rule is refused and nothing is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, assert_never

from pydicom.uid import generate_uid

from panlesion.aid.reads.document import Document
from panlesion.aid.reads.measurements import Scan, measured
from panlesion.aid.reads.words import ai_record
from panlesion.aid.schemas.reading import (
    Add,
    Attribute,
    Change,
    Decide,
    Describe,
    FindingOut,
    Measure,
    Note,
    Place,
    Remove,
    Retype,
    Unmeasure,
    Write,
)
from panlesion.aid.vocabulary import Decision, Origin
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.volume import Grid
from panlesion.errors import PanlesionError
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours
from panlesion.lesion.vocabulary import READINGS
from panlesion.nets.classes import ANATOMY_LABELS, OTHER_MASS

TYPE_NAMES: tuple[str, ...] = (*(one.value for one in LesionType), OTHER_MASS)
"""What a reader may call a finding."""
ATTRIBUTE_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(str(one.value) for one in values) for name, values in READINGS.items()}
)
ORGAN_NAMES = frozenset({"", *V1_LABELS, *ANATOMY_LABELS})
"""Names that a finding's place may have: v1's, and those of a network's coarser classes."""
MOST_MEASUREMENTS = 1000
INVASION = "invasion"


class ChangeError(PanlesionError):
    """A change that the document does not allow; the message names what and why."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What changes are made on: the grid of the CT, and the CT itself, opened where it is needed."""

    grid: Grid
    scan: Scan


def applied(document: Document, changes: Sequence[Change], scene: Scene) -> Document:
    """The document after all changes; sentences and impression are as they were.

    Raises:
        ChangeError: A change names what is not there or may not be so.
        MeasurementError: Points that make no such measurement.
    """
    for change in changes:
        document = _apply(document, change, scene)
    return document


def _apply(document: Document, change: Change, scene: Scene) -> Document:
    match change:
        case Decide() | Retype() | Describe() | Place() | Note():
            before = found(document, change.number)
            return _with(document, before, before.model_copy(update=_of_finding(before, change)))
        case Add():
            return _added(document, change)
        case Remove():
            return _removed(document, change)
        case Measure():
            return _measured(document, change, scene)
        case Unmeasure():
            return _unmeasured(document, change)
        case Write():
            return _written(document, change)
    assert_never(change)


def found(document: Document, number: int) -> FindingOut:
    """The finding of a number.

    Raises:
        ChangeError: There is none.
    """
    for one in document.findings:
        if one.number == number:
            return one
    raise ChangeError(f"there is no finding {number}; the reading has {_listed(document)}")


def _listed(document: Document) -> str:
    return ", ".join(str(one.number) for one in document.findings) or "none"


def _with(document: Document, before: FindingOut, after: FindingOut) -> Document:
    findings = [after if one is before else one for one in document.findings]
    return document.model_copy(update={"findings": findings})


def _of_finding(finding: FindingOut, change: Decide | Retype | Describe | Place | Note) -> dict[str, Any]:
    """The fields of a finding that a change sets."""
    match change:
        case Decide():
            return {"decision": change.decision}
        case Note():
            return {"note": change.text}
        case Retype():
            theirs = ai_record(finding)
            _check_type(change.type, *([] if theirs is None else [theirs.type]))
            return {"type": change.type, "attributes": _fitting(finding.attributes, change.type)}
        case Describe():
            return {"attributes": _described(finding, change)}
        case Place():
            _check_organ(change.organ)
            told = {"organ": change.organ, "side": change.side, "location": change.location}
            return {**told, "place_by": Origin.READER}
    assert_never(change)


def _check_type(name: str, *also: str) -> None:
    if name not in TYPE_NAMES and name not in also:
        raise ChangeError(f"type is {name!r}; use one of {', '.join(TYPE_NAMES)}")


def _check_organ(name: str) -> None:
    if name not in ORGAN_NAMES:
        raise ChangeError(f"organ is {name!r}; use a name of /api/choices, such as liver or kidney_left, or leave it empty")


def _free(type_: str) -> bool:
    """Whether lesions of the type lie free in a lumen, so that they have no relation to neighbours."""
    return type_ in set(LesionType) and TYPES[LesionType(type_)].neighbours is Neighbours.NONE


def _fitting(attributes: Mapping[str, Attribute], type_: str) -> dict[str, Attribute]:
    """Attributes as they may be of a type: of what lies free the relation to neighbours is not assessed."""
    fitting = dict(attributes)
    relation = fitting.get(INVASION)
    if relation is not None and _free(type_):
        fitting[INVASION] = relation.model_copy(update={"value": None, "by": Origin.AI})
    elif relation is not None and relation.by is Origin.AI:
        fitting[INVASION] = of_ai(relation)
    return fitting


def of_ai(attribute: Attribute) -> Attribute:
    """The attribute as the AI left it: what it read, else what was measured."""
    value = attribute.measured if attribute.ai is None else attribute.ai
    return attribute.model_copy(update={"value": value, "by": Origin.AI})


def _described(finding: FindingOut, change: Describe) -> dict[str, Attribute]:
    values = ATTRIBUTE_VALUES.get(change.attribute)
    if values is None:
        raise ChangeError(f"attribute is {change.attribute!r}; use one of {', '.join(ATTRIBUTE_VALUES)}")
    before = finding.attributes.get(change.attribute, Attribute(value=None, by=Origin.AI))
    if change.value is None:
        return _fitting({**finding.attributes, change.attribute: of_ai(before)}, finding.type)
    if change.value not in values:
        raise ChangeError(f"{change.attribute} is {change.value!r}; use one of {'; '.join(values)}")
    if change.attribute == INVASION and _free(finding.type):
        raise ChangeError(f"finding {finding.number} is a {finding.type}: of what lies free no relation to neighbours is told")
    return {**finding.attributes, change.attribute: before.model_copy(update={"value": change.value, "by": Origin.READER})}


def _added(document: Document, change: Add) -> Document:
    _check_type(change.type)
    if any(one.number == change.number for one in document.findings):
        raise ChangeError(f"finding {change.number} is there already; there are {_listed(document)}: choose a free number")
    made = FindingOut(
        number=change.number,
        tracking_uid=generate_uid(prefix=None),
        origin=change.origin,
        decision=Decision.ACCEPTED,
        type=change.type,
        organ="",
        side="",
        location="",
        probability=None,
        size=None,
        attributes={name: Attribute(value=None, by=Origin.READER) for name in ATTRIBUTE_VALUES},
        mask_edited=False,
        note="",
        sentence="",
        ai=None,
    )
    findings = sorted([*document.findings, made], key=lambda one: one.number)
    return document.model_copy(update={"findings": findings})


def _removed(document: Document, change: Remove) -> Document:
    if found(document, change.number).origin is Origin.AI:
        raise ChangeError(f"finding {change.number} is the AI's and stays beside the reader's; reject it instead")
    measurements = [
        one.model_copy(update={"finding": None}) if one.finding == change.number else one for one in document.measurements
    ]
    findings = [one for one in document.findings if one.number != change.number]
    return document.model_copy(update={"findings": findings, "measurements": measurements})


def _measured(document: Document, change: Measure, scene: Scene) -> Document:
    if len(document.measurements) >= MOST_MEASUREMENTS:
        raise ChangeError(f"the reading has {MOST_MEASUREMENTS} measurements, the most there may be; remove some first")
    if change.measurement.finding is not None:
        found(document, change.measurement.finding)
    made = measured(change.measurement, scene.grid, scene.scan)
    return document.model_copy(update={"measurements": [*document.measurements, made]})


def _unmeasured(document: Document, change: Unmeasure) -> Document:
    left = [one for one in document.measurements if one.id != change.id]
    if len(left) == len(document.measurements):
        raise ChangeError(f"there is no measurement {change.id!r}; load the reading again")
    return document.model_copy(update={"measurements": left})


def _written(document: Document, change: Write) -> Document:
    if change.field == "impression":
        return document.model_copy(update={"impression_text": change.text})
    return document.model_copy(update={"comment": change.text or ""})
