import gzip

import numpy as np
import pytest
from dicom_making import body
from reading_made import Read, made_findings, read_study, row
from server_made import PASSWORD
from study_made import study_slice

from panlesion.aid.tables import AuditEntry, Study
from panlesion.aid.vocabulary import Action, Role, StudyState
from panlesion.ct.organs import V1_NAMES
from panlesion.lesion.vocabulary import READINGS
from panlesion.measure.size import measure_size

CHANGE = {"changes": [{"op": "write", "field": "comment", "text": "x"}]}


@pytest.fixture
def read() -> Read:
    return read_study()


def put(read: Read, body: bytes, first: int = 0, last: int = 0, version: int = 1):
    return read.client().put(
        f"{read.path}/mask",
        params={"first_k": first, "last_k": last},
        content=body,
        headers={"If-Match": f'"{version}"'},
    )


def test_a_reader_decides_paints_and_sees_it_measured(read):
    first = read.get()
    assert first["state"] == "ready" and first["version"] == 1
    answer = read.change({"op": "decide", "number": 1, "decision": "accepted"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "draft" and answer.json()["version"] == 2
    labels = read.mask().copy()
    labels[8:15, 4:12, 2] = 1
    painted = read.paint(labels[:, :, 2:3], 2)
    assert painted.status_code == 200, painted.text
    told = {one["number"]: one for one in painted.json()["findings"]}
    one, size = told[1], measure_size(labels == 1, read.ct.volume.grid)
    assert one["size"]["volume_ml"] == pytest.approx(size.volume_ml) and one["mask_edited"]
    assert one["size"]["long"]["length_mm"] == pytest.approx(size.axial_long.length_mm)
    assert one["size"]["mean_hu"] == pytest.approx(read.ct.volume.hu[labels == 1].mean(dtype=float))
    assert one["ai"] == first["findings"][0]["ai"] and not told[3]["mask_edited"]
    assert told[3]["size"] == first["findings"][2]["size"]
    assert (read.mask() == labels).all() and (read.mask(original=True) != labels).any()
    assert f"{round(size.axial_long.length_mm)} ×" in one["sentence"] and one["sentence"] != first["findings"][0]["sentence"]


def test_painting_back_what_the_ai_had_is_no_edit_and_erasing_leaves_no_size(read):
    theirs = read.mask().copy()
    without = np.where(theirs == 2, 0, theirs).astype(np.uint8)
    told = read.paint(without, 0).json()
    (gone,) = (one for one in told["findings"] if one["number"] == 2)
    assert gone["size"] is None and gone["mask_edited"] and "without an outline" in gone["sentence"]
    assert not any("finding 2" in line for line in told["impression"])
    back = read.paint(theirs, 0).json()
    (here,) = (one for one in back["findings"] if one["number"] == 2)
    assert here["size"]["volume_ml"] > 0 and not here["mask_edited"]
    assert (read.mask() == read.mask(original=True)).all()


def test_planes_as_they_were_make_no_version(read):
    assert read.paint(read.mask()[:, :, 2:4], 2).json()["version"] == 1
    assert row(read).version == 1


def test_the_label_of_a_removed_finding_leaves_the_mask(read):
    read.change({"op": "add", "number": 9, "type": "liver_cyst"})
    labels = read.mask().copy()
    labels[40:44, 3:8, 5] = 9
    assert read.paint(labels, 0).status_code == 200
    assert 9 in read.mask()
    assert read.change({"op": "remove", "number": 9}).status_code == 200
    assert (read.mask() == read.mask(original=True)).all()


@pytest.mark.parametrize(
    ("body", "first", "last", "says"),
    [
        (gzip.compress(bytes(48 * 40 * 2), mtime=0), 0, 0, "more than"),
        (gzip.compress(bytes(48 * 40 - 1), mtime=0), 0, 0, "have 1920"),
        (gzip.compress(bytes(60_000_000), mtime=0), 0, 6, "more than"),
        (gzip.compress(b"\xc8" * (48 * 40), mtime=0), 0, 0, "label 200, which is no finding"),
        (bytes(48 * 40), 0, 0, "not gzip"),
        (b"", 0, 0, "end early"),
        (gzip.compress(bytes(48 * 40), mtime=0), 7, 7, "planes 0 to 6"),
        (gzip.compress(bytes(48 * 40), mtime=0), 3, 2, "first_k is 3"),
    ],
)
def test_what_is_no_mask_of_these_planes_changes_nothing(read, body, first, last, says):
    files = sorted((read.served.settings.data / "readings" / str(read.study_id)).iterdir())
    refused = put(read, body, first, last)
    assert refused.status_code == 422 and says in refused.json()["detail"]
    assert row(read).version == 1
    assert sorted((read.served.settings.data / "readings" / str(read.study_id)).iterdir()) == files


def test_a_body_beyond_all_bounds_is_not_taken(read, monkeypatch):
    monkeypatch.setattr("panlesion.aid.routes.reading.MOST_BODY_BYTES", 1000)
    assert put(read, bytes(1001)).status_code == 413


def test_one_change_that_is_refused_takes_the_others_with_it(read):
    refused = read.change(CHANGE["changes"][0], {"op": "decide", "number": 99, "decision": "accepted"})
    assert refused.status_code == 422 and "no finding 99" in refused.json()["detail"]
    assert read.get()["comment"] == "" and row(read).version == 1


@pytest.mark.parametrize(
    ("header", "status"), [(None, 428), ("seven", 400), ('"-1"', 400), ('"²"', 400), ("*", 400), ('"9"', 412)]
)
def test_a_change_names_the_version_it_was_made_on(read, header, status):
    headers = {} if header is None else {"If-Match": header.encode("latin-1")}
    body = gzip.compress(bytes(48 * 40))
    assert read.client().patch(f"{read.path}/reading", json=CHANGE, headers=headers).status_code == status
    where = {"first_k": 0, "last_k": 0}
    assert read.client().put(f"{read.path}/mask", params=where, content=body, headers=headers).status_code == status
    assert row(read).version == 1


def test_a_mask_that_the_browser_has_is_not_sent_again(read):
    first = read.client().get(f"{read.path}/mask")
    assert (first.headers["ETag"], first.headers["Content-Encoding"]) == ('"1"', "gzip")
    again = read.client().get(f"{read.path}/mask", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304 and not again.content
    read.paint(np.zeros_like(read.mask()), 0)
    assert read.client().get(f"{read.path}/mask", headers={"If-None-Match": '"1"'}).status_code == 200


def test_the_worklist_sees_a_draft_and_the_log_tells_numbers_but_no_words(read):
    with read.session as session:
        before = session.get(Study, read.study_id).changed_at
    read.change({"op": "note", "number": 2, "text": "Muster Erika says"}, {"op": "write", "field": "comment", "text": "secret"})
    with read.session as session:
        study = session.get(Study, read.study_id)
        assert study.state is StudyState.DRAFT and study.changed_at > before
        (line,) = session.query(AuditEntry).filter_by(study_id=read.study_id, action=Action.EDIT.value)
    assert line.detail == {"version": 2, "ops": ["note", "write"], "numbers": [2]}


@pytest.mark.parametrize("role", [None, Role.ADMIN, Role.MANAGER])
def test_who_does_not_read_changes_nothing(read, role):
    client = read.client(role) if role else read.served.client()
    status = 403 if role else 401
    headers = {"If-Match": '"1"'}
    asked = [
        client.patch(f"{read.path}/reading", json=CHANGE, headers=headers),
        client.put(f"{read.path}/mask", params={"first_k": 0, "last_k": 0}, content=b"", headers=headers),
        client.put(f"{read.path}/prior", json={"study_id": None}),
        client.post(f"{read.path}/propose", json={"point_ijk": [1, 1, 1]}),
        client.post(f"{read.path}/reading"),
    ]
    assert [one.status_code for one in asked] == [status] * len(asked)
    seen = [client.get(f"{read.path}/{what}").status_code for what in ("reading", "mask", "findings", "priors")]
    assert seen == [200 if role is Role.MANAGER else status] * 4


def test_the_ais_own_findings_are_sent_as_it_wrote_them(read):
    read.change({"op": "retype", "number": 1, "type": "liver_cyst"})
    told = read.client().get(f"{read.path}/findings").json()
    assert [one["type"] for one in told["lesions"]] == [one.type for one in made_findings().lesions]


def test_choices_have_words_for_everything_that_can_be_chosen(read):
    told = read.client().get("/api/choices").json()
    assert dict(told["types"])["liver_tumor"] == "liver tumour" and len(told["types"]) == 16
    assert {name: [value for value, _ in values] for name, values in told["attributes"].items()} == {
        name: [one.value for one in values] for name, values in READINGS.items()
    }
    assert told["organs"] == list(V1_NAMES.values())
    assert all(words for _, words in told["types"])


def test_hostile_words_come_back_as_words(read):
    text = "<img src=x onerror=alert(1)> \u202e \x07 '; DROP TABLE readings;--"
    assert read.change({"op": "write", "field": "comment", "text": text}).json()["comment"] == text
    assert read.change({"op": "write", "field": "comment", "text": "x" * 10_001}).status_code == 422


def test_an_outline_of_a_reader_is_measured_on_the_ct(read):
    grid = read.ct.volume.grid
    corners = [grid.to_xyz((i, j, 3)).tolist() for i, j in ((9.5, 9.5), (19.5, 9.5), (19.5, 14.5), (9.5, 14.5))]
    answer = read.change({"op": "measure", "measurement": {"kind": "roi", "points_xyz": corners, "label": "liver"}})
    (one,) = answer.json()["measurements"]
    hu = read.ct.volume.hu[10:20, 10:15, 3]
    assert one["values"]["mean_hu"] == pytest.approx(hu.mean()) and one["values"]["max_hu"] == hu.max()
    wrong = {"kind": "length", "points_xyz": [[0, 0, 0], [0, 0, 1e9]]}
    assert read.change({"op": "measure", "measurement": wrong}).status_code == 422


def test_a_late_image_does_not_keep_a_reading_from_being_signed():
    read = read_study()
    series = next((read.served.settings.data / "dicom" / str(read.study_id)).iterdir())
    study_slice(7, study="1.2.3", series=read.ct.series_uid, hu=body()[0]).save_as(
        series / "late.dcm", enforce_file_format=True
    )
    assert read.change(*[{"op": "decide", "number": n, "decision": "accepted"} for n in (1, 2, 3)]).status_code == 200
    version = read.get()["version"]
    signed = read.client().post(f"{read.path}/sign", json={"password": PASSWORD}, headers={"If-Match": f'"{version}"'})
    assert signed.status_code == 200, signed.text
    assert read.client().get(f"{read.path}/export.zip", params={"deidentify": True}).status_code == 200
