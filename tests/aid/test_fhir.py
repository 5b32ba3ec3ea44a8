"""Structure of the DiagnosticReport by the rules of FHIR R4 that concern it."""

import base64
import re
from dataclasses import replace
from datetime import datetime

from report_made import PATIENT, document, read_study, sign
from server_made import serve

from panlesion.aid.reads.fhir import diagnostic_report
from panlesion.aid.reads.report import report_of
from panlesion.aid.vocabulary import Role

# element: (least, most); what is not listed must not be there
REPORT = {
    **dict.fromkeys(("resourceType", "status", "code"), (1, 1)),
    **dict.fromkeys(("id", "meta", "text", "subject", "issued", "conclusion", "effectiveDateTime"), (0, 1)),
    **dict.fromkeys(
        (
            *("identifier", "category", "performer", "resultsInterpreter", "result", "imagingStudy", "conclusionCode"),
            *("presentedForm", "contained"),
        ),
        (0, None),
    ),
}
OBSERVATION = {
    **dict.fromkeys(("resourceType", "status", "code"), (1, 1)),
    **dict.fromkeys(("id", "subject", "valueCodeableConcept", "bodySite"), (0, 1)),
    **dict.fromkeys(("identifier", "category", "component", "note"), (0, None)),
}
PATIENT_RULES = {
    "resourceType": (1, 1),
    **dict.fromkeys(("id", "gender", "birthDate"), (0, 1)),
    **dict.fromkeys(("identifier", "name"), (0, None)),
}
PRACTITIONER = {"resourceType": (1, 1), "id": (0, 1), "name": (0, None)}
RULES = {"DiagnosticReport": REPORT, "Observation": OBSERVATION, "Patient": PATIENT_RULES, "Practitioner": PRACTITIONER}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
STATUSES = {"registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "cancelled"}


def check_cardinalities(resource):
    rules = RULES[resource["resourceType"]]
    assert set(resource) <= set(rules)
    for element, (least, most) in rules.items():
        if element not in resource:
            assert least == 0, element
            continue
        # what repeats is a list, never an empty one; what does not is none
        assert isinstance(resource[element], list) == (most is None), element
        assert resource[element] not in ([], {}, "", None), element


def walk(node):
    yield node
    for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(one)


def check(resource):
    check_cardinalities(resource)
    ids = [one["id"] for one in resource["contained"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", one) for one in ids)
    referenced = {node["reference"] for node in walk(resource) if isinstance(node, dict) and "reference" in node}
    assert referenced == {f"#{one}" for one in ids}  # dom-3: all that is contained is referred to, and the other way
    for one in resource["contained"]:
        check_cardinalities(one)
        assert "contained" not in one and "text" not in one and "meta" not in one  # dom-2, dom-4, dom-5
    assert resource["status"] in STATUSES
    assert INSTANT.fullmatch(resource["issued"])
    assert resource["text"]["div"].startswith('<div xmlns="http://www.w3.org/1999/xhtml">')
    for node in walk(resource):
        if isinstance(node, dict) and "coding" in node:
            assert all(re.match(r"(https?|urn):", coding["system"]) and coding["code"].strip() for coding in node["coding"])
        if isinstance(node, dict) and "system" in node and "value" in node and node["system"] == "urn:dicom:uid":
            assert re.fullmatch(r"urn:oid:[0-2](\.(0|[1-9]\d*))+", node["value"])
        assert node not in ({}, [], "", None)


def told(tmp_path, do_sign, **changes):
    served = serve(tmp_path)
    made = read_study(served, document(), **changes)
    client = served.client(Role.READER)
    if do_sign:
        assert sign(client, made).status_code == 200
    answer = client.get(f"/api/studies/{made.study.id}/fhir")
    assert answer.headers["content-type"].startswith("application/fhir+json")
    return client, made, answer.json()


def test_a_draft_is_preliminary_and_a_signed_report_final_with_its_pdf(tmp_path):
    client, made, draft = told(tmp_path, False)
    check(draft)
    assert draft["status"] == "preliminary" and "presentedForm" not in draft and "performer" not in draft
    assert {one["status"] for one in draft["contained"] if one["resourceType"] == "Observation"} == {"preliminary"}
    assert sign(client, made).status_code == 200
    final = client.get(f"/api/studies/{made.study.id}/fhir").json()
    check(final)
    assert final["status"] == "final"
    pdf = client.get(f"/api/studies/{made.study.id}/report.pdf").content
    assert base64.b64decode(final["presentedForm"][0]["data"]) == pdf
    assert final["imagingStudy"][0]["identifier"]["value"] == f"urn:oid:{made.study.study_uid}"
    assert final["identifier"][0]["value"] == "ACC-90125"
    patient = next(one for one in final["contained"] if one["resourceType"] == "Patient")
    assert patient == {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [{"value": PATIENT}],
        "name": [{"text": "MÜSTER, Erika", "family": "Müster", "given": ["Erika"]}],
        "gender": "female",
        "birthDate": "1960-01-02",
    }
    client.post(f"/api/studies/{made.study.id}/addenda", json={"text": "More."})
    appended = client.get(f"/api/studies/{made.study.id}/fhir").json()
    check(appended)
    assert appended["status"] == "appended"
    assert datetime.fromisoformat(appended["issued"]) >= datetime.fromisoformat(final["issued"])


def test_findings_are_observations_with_coded_type_place_and_sizes(tmp_path):
    _, _, report = told(tmp_path, True)
    liver, kidney, mass = (one for one in report["contained"] if one["resourceType"] == "Observation")
    assert liver["valueCodeableConcept"]["coding"][0] == {
        "system": "http://snomed.info/sct",
        "code": "108369006",
        "display": "Neoplasm",
    }
    assert kidney["bodySite"]["coding"][0]["code"] == "64033007"
    values = {one["code"]["text"]: one for one in mass["component"]}
    assert values["Volume"]["valueQuantity"] == {
        "value": 3.2,
        "unit": "mL",
        "system": "http://unitsofmeasure.org",
        "code": "mL",
    }
    assert values["Mean attenuation coefficient"]["valueQuantity"]["code"] == "[hnsf'U]"


def test_a_study_that_tells_nothing_of_its_patient_still_makes_a_report(tmp_path):
    served = serve(tmp_path)
    empty = {"patient_id": "", "birth_date": None, "sex": "?", "accession": "", "description": "", "study_at": None}
    made = read_study(served, patient_name="", **empty)
    with served.app.state.sessions() as session:
        report = report_of(session, served.settings, made.study)
    for name in ("", "^^^", "Single", "=山田^太郎"):
        said = diagnostic_report(replace(report, facts=report.facts.model_copy(update={"patient_name": name})))
        check(said)
        assert "identifier" not in said and "effectiveDateTime" not in said
