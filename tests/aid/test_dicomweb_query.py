"""QIDO-RS: keys match as PS3.18 says, and pages are told from wholes."""

from datetime import UTC, date, datetime

import pytest
from images_made import put_study, slices
from server_made import serve

from panlesion.aid.vocabulary import Role


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return serve(tmp_path_factory.mktemp("query"))


@pytest.fixture(scope="module")
def reader(served):
    return served.client(Role.READER)


@pytest.fixture(scope="module", autouse=True)
def studies(served):
    """Four studies called A to D."""
    made = {}
    for n, name in enumerate("ABCD"):
        images = slices(2, seed=40 + n)
        for ds in images:
            ds.Modality = "MR" if name == "D" else "CT"
        put_study(
            served,
            images,
            patient_id=f"P_{name}",
            patient_name=("Müller^Eva=山田^太郎" if name == "B" else f"Muster^{name}"),
            accession=f"100%{n}",
            description=f"CT trunk {name}",
            sex="F" if n % 2 else "M",
            birth_date=date(1950 + n, 1, 2),
            study_at=None if name == "D" else datetime(2025, 3, 1 + n, 8 + n, 30, 15, tzinfo=UTC),
        )
        made[images[0].StudyInstanceUID] = (name, images)
    return made


def found(reader, studies, query, level="studies"):
    answer = reader.get(f"/dicomweb/{level}?{query}")
    assert answer.status_code == 200, answer.text
    return "".join(sorted({studies[item["0020000D"]["Value"][0]][0] for item in answer.json()}))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "ABCD"),
        ("PatientID=P_A", "A"),
        ("00100020=P_A", "A"),
        ("PatientID=PxA", ""),
        ("PatientID=P?A", "A"),
        ("PatientID=P*", "ABCD"),
        ("PatientID=*", "ABCD"),
        ("PatientID=", "ABCD"),
        ("PatientName=MUSTER*", "ACD"),
        ("PatientName=muster^a", "A"),
        ("PatientName=山田*", "B"),
        ("PatientName=Müller^Eva", "B"),
        ("AccessionNumber=100%250", "A"),
        ("AccessionNumber=1%25*", ""),
        ("StudyDate=20250302", "B"),
        ("StudyDate=20250302-", "BC"),
        ("StudyDate=-20250302", "AB"),
        ("StudyDate=20250301-20250302", "AB"),
        ("StudyDate=-", "ABCD"),
        ("StudyTime=09", "B"),
        ("StudyTime=0830-0930", "AB"),
        ("StudyTime=083015", "A"),
        ("PatientBirthDate=19510102-", "BCD"),
        ("PatientSex=M", "AC"),
        ("ModalitiesInStudy=MR", "D"),
        ("ModalitiesInStudy=MR,CT", "ABCD"),
        ("ModalitiesInStudy=M*", "D"),
        ("StudyDescription=*trunk C", "C"),
        ("PatientSex=M&StudyDate=20250303", "C"),
        ("fuzzymatching=false&includefield=00081030,StudyDescription,all", "ABCD"),
        ("StudyID=", "ABCD"),
    ],
)
def test_studies_match_by_their_keys(reader, studies, query, names):
    assert found(reader, studies, query) == names


def test_keys_of_studies_match_at_every_level(reader, studies):
    for level in ("series", "instances"):
        assert found(reader, studies, "PatientID=P_B", level) == "B"
        assert found(reader, studies, "Modality=MR", level) == "D"
    assert found(reader, studies, "InstanceNumber=2&Rows=12&PatientID=P_B", "instances") == "B"
    assert found(reader, studies, "InstanceNumber=3", "instances") == ""


def test_a_list_of_uids_matches_each(reader, studies):
    first, second, *_ = studies
    for between in (",", "\\"):
        assert len(reader.get("/dicomweb/studies", params={"StudyInstanceUID": f"{first}{between}{second}"}).json()) == 2


def test_pages_join_to_the_whole_and_say_what_is_left(reader):
    whole = reader.get("/dicomweb/studies").json()
    pages = [reader.get(f"/dicomweb/studies?limit=3&offset={offset}") for offset in (0, 3)]
    assert [item for page in pages for item in page.json()] == whole
    assert pages[0].headers["warning"] == '299 panlesion "There are 1 additional results that can be requested"'
    assert "warning" not in pages[1].headers
    assert reader.get("/dicomweb/studies?limit=0").json() == [] and reader.get("/dicomweb/studies?offset=9").json() == []


def test_what_is_told_of_a_study(reader):
    (told,) = reader.get("/dicomweb/studies?PatientID=P_B").json()
    assert told["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Eva", "Ideographic": "山田^太郎"}]}
    assert told["00080020"]["Value"] == ["20250302"] and told["00080030"]["Value"] == ["093015"]
    assert told["00080061"]["Value"] == ["CT"] and told["00201206"]["Value"] == [1] and told["00201208"]["Value"] == [2]
    (undated,) = reader.get("/dicomweb/studies?PatientID=P_D").json()
    assert undated["00080020"] == {"vr": "DA"}


def test_attributes_that_only_the_files_hold_are_told_when_asked_for(reader, studies):
    uid, (_, images) = next(iter(studies.items()))
    road = f"/dicomweb/studies/{uid}/series/{images[0].SeriesInstanceUID}/instances"
    assert "00200032" not in reader.get(road).json()[0]
    for field in ("ImagePositionPatient", "00200032", "all"):
        told = reader.get(f"{road}?includefield={field}").json()
        assert [item["00200032"]["Value"] for item in told] == [list(map(float, ds.ImagePositionPatient)) for ds in images]


@pytest.mark.parametrize(
    "query",
    [
        "StudyDate=2025-03-01",
        "StudyDate=20251301",
        "StudyDate=today",
        "StudyTime=99x",
        "limit=-1",
        "limit=x",
        "offset=1e9",
        "offset=٣",
        "SliceThickness=1",
        "00180050=1",
        "ReferencedSeriesSequence.SeriesInstanceUID=1",
        "PatientID=%00",
        "PatientID=" + "x" * 5000,
        "&".join(f"a{n}=1" for n in range(60)),
    ],
)
def test_queries_that_cannot_be_answered_are_refused_in_words(reader, query):
    answer = reader.get(f"/dicomweb/studies?{query}")
    assert answer.status_code == 400 and len(answer.json()["detail"]) < 1000


def test_what_is_passed_over_is_told(reader):
    assert "literal" in reader.get("/dicomweb/studies?fuzzymatching=true").headers["warning"]
    assert "passed over" in reader.get("/dicomweb/studies?cachebuster=7").headers["warning"]
    assert reader.get("/dicomweb/studies", headers={"Accept": "application/dicom+xml"}).status_code == 406
    assert reader.get("/dicomweb/studies", headers={"Accept": "application/json"}).status_code == 200


@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_modalities_of_the_study_are_matched_at_every_level(tmp_path, level):
    served = serve(tmp_path)
    put_study(served, slices(1))
    client = served.client(Role.READER)
    assert len(client.get(f"/dicomweb/{level}?ModalitiesInStudy=CT").json()) == 1
    assert client.get(f"/dicomweb/{level}?ModalitiesInStudy=PT").json() == []
