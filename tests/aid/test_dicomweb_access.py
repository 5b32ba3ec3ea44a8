"""Nobody gets an image that is not theirs, by whatever road; hostile requests get words, never a crash or another file."""

import pytest
from images_made import put_study, slices, url_of
from server_made import serve
from sqlalchemy import select

from panlesion.aid.tables import Access, AuditEntry
from panlesion.aid.vocabulary import Action, Role


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return serve(tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def reader(served):
    return served.client(Role.READER)


@pytest.fixture(scope="module")
def shown(served):
    (ds,) = slices(1, seed=30)
    put_study(served, [ds])
    return ds


@pytest.fixture(scope="module")
def hidden(served):
    (ds,) = slices(1, seed=31)
    ds.PatientID = "HIDDEN"
    ds.study = put_study(served, [ds], restricted=True)
    return ds


def roads(ds) -> list[str]:
    """Every way to an image of a study."""
    series, instance = url_of(ds).rsplit("/instances", 1)[0], url_of(ds)
    study = series.rsplit("/series", 1)[0]
    below = ("", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/frames/1/rendered", "/bulkdata/7FE00010")
    return [
        *(f"{study}{end}" for end in ("", "/metadata", "/thumbnail")),
        *(f"{series}{end}" for end in ("", "/metadata", "/thumbnail")),
        *(f"{instance}{end}" for end in below),
    ]


def test_every_road_leads_to_an_image_that_may_be_seen(reader, shown):
    assert {road: reader.get(road).status_code for road in roads(shown)} == dict.fromkeys(roads(shown), 200)
    for road in roads(shown):
        head = reader.head(road)
        assert head.status_code == 200 and head.headers["content-type"], road


def test_no_road_leads_to_a_restricted_study_until_it_is_granted(served, reader, hidden):
    assert {reader.get(road).status_code for road in roads(hidden)} == {404}
    assert {reader.head(road).status_code for road in roads(hidden)} == {404}
    assert reader.get(f"/api/studies/{hidden.study.id}/volume").status_code == 404
    for search in ("studies", "series", "instances", f"studies/{hidden.StudyInstanceUID}/series"):
        assert "HIDDEN" not in reader.get(f"/dicomweb/{search}?includefield=all").text
        assert hidden.SeriesInstanceUID not in reader.get(f"/dicomweb/{search}").text
    assert reader.get("/dicomweb/studies?PatientID=HIDDEN").json() == []
    assert served.client(Role.MANAGER).get(url_of(hidden)).status_code == 200
    with served.app.state.sessions.begin() as session:
        session.add(Access(study_id=hidden.study.id, user_id=served.made[Role.READER].id))
    assert {reader.get(road).status_code for road in roads(hidden)} == {200}
    with served.app.state.sessions.begin() as session:
        session.delete(session.get(Access, (hidden.study.id, served.made[Role.READER].id)))
    assert {reader.get(road).status_code for road in roads(hidden)} == {404}


def test_images_of_another_study_are_not_below_a_study_that_may_be_seen(reader, shown, hidden):
    mine, study, series, sop = shown.StudyInstanceUID, shown.SeriesInstanceUID, hidden.SeriesInstanceUID, hidden.SOPInstanceUID
    root = f"/dicomweb/studies/{mine}/series"
    for road in (f"{root}/{series}", f"{root}/{series}/instances/{sop}", f"{root}/{study}/instances/{sop}"):
        for end in ("", "/metadata", "/thumbnail"):
            assert reader.get(f"{road}{end}").status_code == 404
    assert reader.get(f"{root}/{series}/instances/{sop}/frames/1").status_code == 404
    assert reader.get(f"{root}/{series}/instances").json() == []


def test_nobody_without_an_account_sees_anything_nor_does_one_that_logged_out(served, shown):
    everything = [*roads(shown), "/dicomweb/studies", "/dicomweb/series", "/dicomweb/instances"]
    nobody, admin = served.client(), served.client(Role.ADMIN)
    assert {nobody.get(road).status_code for road in everything} == {401}
    assert {admin.get(road).status_code for road in everything} <= {403, 404}
    leaver = served.client(Role.READER)
    cookie = leaver.cookies.get("panlesion_session")
    assert leaver.get(url_of(shown, "/frames/1")).status_code == 200
    assert leaver.post("/api/logout").status_code == 204
    leaver.cookies.set("panlesion_session", cookie)
    assert {leaver.get(road).status_code for road in everything} == {401}


def test_a_look_at_images_is_written_down_once_for_a_sitting_and_a_search_is_not(tmp_path):
    served = serve(tmp_path)
    seen, other = slices(1, seed=34)[0], slices(1, seed=35)[0]
    study = put_study(served, [seen])
    put_study(served, [other])
    first, second = served.client(Role.READER), served.client(Role.MANAGER)
    assert first.get("/dicomweb/studies").status_code == 200
    for client in (first, second):
        assert {client.get(road).status_code for road in roads(seen) * 2} == {200}
    with served.app.state.sessions() as session:
        lines = session.scalars(select(AuditEntry).where(AuditEntry.action == Action.VIEW.value)).all()
    assert [(line.user_id, line.study_id) for line in lines] == [
        (served.made[role].id, study.id) for role in (Role.READER, Role.MANAGER)
    ]


def test_another_viewer_shows_a_token_in_place_of_a_session(tmp_path):
    served = serve(tmp_path, allowed_origins=("https://ohif.example",))
    (ds,) = slices(1, seed=33)
    put_study(served, [ds])
    owner, viewer = served.client(Role.READER), served.client()
    made = owner.post("/api/tokens", json={"name": "OHIF", "days": 1}).json()
    shown = {"Authorization": f"Bearer {made['token']}", "Origin": "https://ohif.example"}
    for road in [*roads(ds), "/dicomweb/studies"]:
        answer = viewer.get(road, headers=shown)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://ohif.example", road
        assert "Origin" in answer.headers["vary"]
        other = viewer.get(road, headers={**shown, "Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers
    assert viewer.get("/api/session", headers=shown).status_code == 401
    assert owner.delete(f"/api/tokens/{made['id']}").status_code < 300
    assert {viewer.get(road, headers=shown).status_code for road in roads(ds)} == {401}


@pytest.mark.parametrize(
    "uid",
    [
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2faid.sqlite",
        "1.2' OR '1'='1",
        "%25",
        "_",
        "*",
        "1.2%00",
        "%ff%fe",
        "1" * 70,
        "%F0%9F%92%80",
        "1.2\\1.3",
    ],
)
def test_uids_that_are_none_find_nothing(reader, shown, uid):
    study, series = shown.StudyInstanceUID, shown.SeriesInstanceUID
    for road in (
        f"/dicomweb/studies/{uid}",
        f"/dicomweb/studies/{uid}/metadata",
        f"/dicomweb/studies/{study}/series/{uid}/metadata",
        f"/dicomweb/studies/{study}/series/{series}/instances/{uid}/frames/1",
        f"/dicomweb/studies/{study}/series/{series}/instances/{uid}/bulkdata/{uid}",
    ):
        answer = reader.get(road)
        assert answer.status_code in (400, 404, 405) or answer.json() == [], road
        assert b"SQLite" not in answer.content


@pytest.mark.parametrize(
    "path", ["../../aid.sqlite", "00100010", "00280010/0/7FE00010", "x", "0008", "/", "9" * 5000, "00081140/-1/1"]
)
def test_bulk_data_are_attributes_of_the_image_and_nothing_else(reader, shown, path):
    assert reader.get(url_of(shown, f"/bulkdata/{path}")).status_code == 404


def test_a_list_of_frames_without_end_is_refused(reader, shown):
    answer = reader.get(url_of(shown, "/frames/" + ",".join(["1"] * 20_000)))
    assert answer.status_code == 400 and len(answer.content) < 1000
    assert reader.get(url_of(shown, "/frames/" + "1" * 5000)).status_code == 400


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("bytes=0-9", 206),
        ("bytes=-10", 206),
        ("bytes=0-0,1-1", 206),
        ("bytes=99999999-", 416),
        ("bytes=9-1", 400),
        ("bytes=x", 400),
        ("bytes=" + ",".join(f"{n}-" for n in range(5000)), None),
    ],
)
def test_ranges_of_an_instance(served, reader, shown, asked, code):
    (file,) = served.settings.data.glob(f"dicom/*/*/{shown.SOPInstanceUID}.dcm")
    whole = file.read_bytes()
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    assert reader.get(url_of(shown), headers=accept).content == whole
    answer = reader.get(url_of(shown), headers={**accept, "Range": asked})
    assert answer.status_code == code or (code is None and answer.status_code < 500)
    assert len(answer.content) <= 2 * len(whole)
    if asked == "bytes=0-9":
        assert answer.content == whole[:10]
    if asked == "bytes=-10":
        assert answer.content == whole[-10:]


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        ",",
        ";;;",
        'multipart/related; type="text/plain"',
        "multipart/related; type=",
        "a" * 8000,
        '"' * 500,
        "application/dicom;q=0",
        "application/dicom;q=nan",
        'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90',
    ],
)
def test_what_cannot_be_given_is_not_acceptable(reader, shown, accept):
    answer = reader.get(url_of(shown), headers={"Accept": accept})
    assert answer.status_code == 406 and "application/dicom" in answer.json()["detail"]


def test_a_file_that_is_gone_or_cut_is_told_not_sent(served, reader):
    gone, cut = slices(2, seed=32)
    put_study(served, [gone, cut])
    files = {ds.SOPInstanceUID: next(served.settings.data.glob(f"dicom/*/*/{ds.SOPInstanceUID}.dcm")) for ds in (gone, cut)}
    files[gone.SOPInstanceUID].unlink()
    files[cut.SOPInstanceUID].write_bytes(files[cut.SOPInstanceUID].read_bytes()[:900])
    for ds in (gone, cut):
        answer = reader.get(url_of(ds))
        assert answer.status_code == 410 and ds.SOPInstanceUID in answer.json()["detail"]
        for end in ("/frames/1", "/rendered", "/thumbnail"):
            assert reader.get(url_of(ds, end)).status_code in (406, 410)
    told = {d["00080018"]["Value"][0]: d for d in reader.get(url_of(gone).rsplit("/instances", 1)[0] + "/metadata").json()}
    assert set(told) == {gone.SOPInstanceUID, cut.SOPInstanceUID}
