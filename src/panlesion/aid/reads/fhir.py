"""FHIR R4: the report as a DiagnosticReport, its findings as contained Observations, the PDF inside once it is final."""

import base64
import hashlib
import html
from datetime import UTC, datetime
from typing import Any

from pydicom.sr.coding import Code

from panlesion.aid.reads.dicom_out import notices, record_of
from panlesion.aid.reads.report import Report
from panlesion.aid.reads.report_content import name_words
from panlesion.aid.schemas.reading import FindingOut
from panlesion.aid.vocabulary import RESEARCH_USE, Decision
from panlesion.infer.dicom_codes import attribute_name, attribute_value, finding_type, finding_words, site_of

FHIR_FILE = "fhir.json"
_SYSTEMS = {"SCT": "http://snomed.info/sct", "DCM": "http://dicom.nema.org/resources/ontology/DCM", "LN": "http://loinc.org"}
_PRIVATE = "urn:panlesion:codes"
_UCUM = "http://unitsofmeasure.org"
_GENDERS = {"M": "male", "F": "female", "O": "other"}
_CATEGORY = "http://terminology.hl7.org/CodeSystem/v2-0074"
_INTERPRETED = "http://terminology.hl7.org/CodeSystem/observation-category"


def diagnostic_report(report: Report, pdf: bytes | None = None) -> dict[str, Any]:
    """The resource; `pdf` is what is presented, once signed."""
    signed = report.signature
    at = signed.at if signed else datetime.now(UTC)
    told = [one for one in report.told if one.size is not None]
    contained = [_patient(report), *([_reader(report)] if signed else []), *(_observation(report, one) for one in told)]
    made: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "id": str(report.study_id),
        "meta": {"tag": [{"system": "urn:panlesion:use", "code": "research", "display": RESEARCH_USE}]},
        "text": {"status": "generated", "div": _narrative(report)},
        "contained": contained,
        "status": status_of(report),
        "category": [_concept(_CATEGORY, "RAD", "Radiology")],
        "code": _concept(_SYSTEMS["LN"], "18748-4", "Diagnostic imaging study"),
        "subject": {"reference": "#patient"},
        "issued": _instant(report.addenda[-1].at if report.addenda else at),
        "imagingStudy": [_study(report)],
        "conclusion": _conclusion(report),
    }
    if report.facts.accession:
        kind = _concept("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN", "Accession ID")
        made["identifier"] = [{"type": kind, "value": report.facts.accession}]
    if report.facts.study_at is not None:
        made["effectiveDateTime"] = _instant(report.facts.study_at)
    if signed:
        made["performer"] = made["resultsInterpreter"] = [{"reference": "#reader", "display": signed.name}]
    if told:
        made["result"] = [{"reference": f"#finding-{one.number}"} for one in told]
        made["conclusionCode"] = _conclusion_codes(told)
    if signed and pdf is not None:
        made["presentedForm"] = [_attachment(pdf, at)]
    return made


def status_of(report: Report) -> str:
    """A word of FHIR's DiagnosticReportStatus."""
    if report.signature is None:
        return "preliminary"
    return "appended" if report.addenda else "final"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _coded(code: Code) -> dict[str, Any]:
    return _concept(_SYSTEMS.get(code.scheme_designator, _PRIVATE), code.value, code.meaning)


def _patient(report: Report) -> dict[str, Any]:
    facts = report.facts
    made: dict[str, Any] = {"resourceType": "Patient", "id": "patient"}
    if facts.patient_id:
        made["identifier"] = [{"value": facts.patient_id}]
    family, given, middle, prefix, suffix = ([part.strip() for part in facts.patient_name.split("=")[0].split("^")] + [""] * 5)[
        :5
    ]
    if facts.patient_name.strip("^= "):
        name: dict[str, Any] = {"text": name_words(facts.patient_name)}
        parts = {"family": family, "given": [one for one in (given, middle) if one], "prefix": [prefix], "suffix": [suffix]}
        made["name"] = [name | {key: value for key, value in parts.items() if value and value != [""]}]
    if facts.sex in _GENDERS:
        made["gender"] = _GENDERS[facts.sex]
    if facts.birth_date is not None:
        made["birthDate"] = facts.birth_date.isoformat()
    return made


def _reader(report: Report) -> dict[str, Any]:
    assert report.signature is not None
    return {"resourceType": "Practitioner", "id": "reader", "name": [{"text": report.signature.name}]}


def _study(report: Report) -> dict[str, Any]:
    return {
        "type": "ImagingStudy",
        "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{report.facts.study_uid}"},
        **({"display": report.facts.description} if report.facts.description else {}),
    }


def _observation(report: Report, finding: FindingOut) -> dict[str, Any]:
    size = finding.size
    assert size is not None
    record = record_of(finding, finding.number)
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"finding-{finding.number}",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{finding.tracking_uid}"}],
        "status": "final" if finding.decision is Decision.ACCEPTED and report.signature else "preliminary",
        "category": [_concept(_INTERPRETED, "imaging", "Imaging")],
        "code": _concept(_SYSTEMS["DCM"], "121071", "Finding"),
        "subject": {"reference": "#patient"},
        "valueCodeableConcept": _coded(finding_type(finding.type)) | {"text": finding_words(finding.type)},
        "component": [
            _quantity(Code("118565006", "SCT", "Volume"), size.volume_ml, "mL", "mL"),
            _quantity(Code("103339001", "SCT", "Long axis"), size.long.length_mm, "mm", "mm"),
            _quantity(Code("103340004", "SCT", "Short axis"), size.short.length_mm, "mm", "mm"),
            _quantity(Code("112181", "DCM", "Mean attenuation coefficient"), size.mean_hu, "HU", "[hnsf'U]"),
            *(
                {"code": _coded(attribute_name(name)), "valueCodeableConcept": _coded(attribute_value(one.value))}
                for name, one in finding.attributes.items()
                if one.value is not None
            ),
        ],
    }
    site = site_of(record)
    if site is not None:
        made["bodySite"] = _coded(site.structure)
    words = [finding.sentence, finding.note]
    if any(words):
        made["note"] = [{"text": one} for one in words if one]
    return made


def _quantity(code: Code, value: float, unit: str, ucum: str) -> dict[str, Any]:
    return {"code": _coded(code), "valueQuantity": {"value": round(value, 3), "unit": unit, "system": _UCUM, "code": ucum}}


def _conclusion_codes(told: list[FindingOut]) -> list[dict[str, Any]]:
    codes = {finding_type(one.type).value: _coded(finding_type(one.type)) for one in told}
    return list(codes.values())


def _conclusion(report: Report) -> str:
    comment = [report.document.comment] if report.document.comment else []
    return "\n".join([RESEARCH_USE, *report.impression, *comment, *notices(report)])


def _narrative(report: Report) -> str:
    lines = "".join(f"<p>{_escaped(line)}</p>" for line in _conclusion(report).splitlines() if line.strip())
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{lines}</div>'


def _escaped(text: str) -> str:
    return html.escape("".join(letter if letter.isprintable() else " " for letter in text))


def _attachment(pdf: bytes, at: datetime) -> dict[str, Any]:
    return {
        "contentType": "application/pdf",
        "language": "en-GB",
        "data": base64.b64encode(pdf).decode("ascii"),
        "size": len(pdf),
        # FHIR R4 wants SHA-1 here
        "hash": base64.b64encode(hashlib.sha1(pdf, usedforsecurity=False).digest()).decode("ascii"),
        "title": "CT lesion report",
        "creation": _instant(at),
    }
