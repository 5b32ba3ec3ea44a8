"""Backups: whole, private, without sessions; of one that was tampered with nothing is restored."""

import json
import os
import sqlite3
import stat
import zipfile
from hashlib import sha256

import pytest
from report_made import read_study, sign
from server_made import serve
from sqlalchemy import select, update

from panlesion.aid import backup as backup_module
from panlesion.aid.app import create_app
from panlesion.aid.backup import make_backup, restore_backup
from panlesion.aid.backup_files import MANIFEST
from panlesion.aid.reads.deidentify import KEY_FILE, open_key
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Addendum, ApiToken, Instance, Login
from panlesion.aid.vocabulary import Role
from panlesion.errors import StoreError


def silent(*_):
    """Nobody watches."""


@pytest.fixture
def served(tmp_path):
    made = serve(tmp_path)
    client, study = made.client(Role.READER), read_study(made)
    assert sign(client, study).status_code == 200
    assert client.post(f"/api/studies/{study.study.id}/addenda", json={"text": "More."}).status_code == 201
    assert client.post("/api/tokens", json={"name": "viewer"}).status_code == 201
    open_key(made.settings.data)
    return made


@pytest.mark.parametrize("name", ["kept", "kept.zip"])
def test_everything_comes_back_but_sessions_and_tokens(tmp_path, served, name):
    manifest = make_backup(served.settings, tmp_path / name, silent)
    assert manifest.missing == [] and KEY_FILE in manifest.files
    back = Settings(data=tmp_path / "back", workers=0)
    told = restore_backup(back, tmp_path / name, silent)
    assert told.broken_audit is None and told.missing == []
    assert open_key(back.data) == open_key(served.settings.data)
    with create_app(back).state.sessions() as session:
        assert session.scalars(select(Login)).all() == session.scalars(select(ApiToken)).all() == []
        addendum = session.scalars(select(Addendum)).one()
        assert (back.data / addendum.path / "sr.dcm").is_file()
    for path in [back.data, *back.data.rglob("*")]:
        if path.is_file() and path.suffix not in {".sqlite-wal", ".sqlite-shm"}:
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or "aid.sqlite-" in path.name or path.name.startswith("."), (
                path
            )
    assert stat.S_IMODE(back.data.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["kept", "kept.zip"])
def test_a_backup_is_private_also_while_it_is_written(tmp_path, served, name):
    before = os.umask(0o022)
    seen = []

    def look(*_):
        parts = list(tmp_path.glob(".kept*"))
        seen.extend(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in parts)

    try:
        make_backup(served.settings, tmp_path / name, look)
    finally:
        os.umask(before)
    assert seen and not any(seen)
    assert not stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o077


def tampered(tmp_path, served, change):
    make_backup(served.settings, tmp_path / "kept", silent)
    kept = tmp_path / "kept"
    told = json.loads((kept / MANIFEST).read_text())
    change(kept, told)
    (kept / MANIFEST).write_text(json.dumps(told))
    return kept


def put(kept, told, name, data):
    path = kept / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    told["files"][name] = {"bytes": len(data), "sha256": sha256(data).hexdigest()}


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a\\evil", ".server.lock", "cache/engines/x.bin", "incoming/x", "dicom"]
)
def test_a_backup_with_files_that_no_backup_has_is_refused(tmp_path, served, name):
    def change(kept, told):
        if name.startswith((".", "cache", "incoming")) and ".." not in name:
            put(kept, told, name, b"evil")
        else:
            told["files"][name] = {"bytes": 4, "sha256": sha256(b"evil").hexdigest()}

    kept = tampered(tmp_path, served, change)
    with pytest.raises(StoreError, match="tampered with"):
        restore_backup(Settings(data=tmp_path / "back"), kept, silent)
    assert not (tmp_path / "back").exists() and not (tmp_path / "evil").exists()


def test_a_link_out_of_a_backup_is_refused(tmp_path, served):
    (tmp_path / "secret").write_bytes(b"secret")

    def change(kept, told):
        put(kept, told, "dicom/x.dcm", b"secret")
        (kept / "dicom/x.dcm").unlink()
        (kept / "dicom/x.dcm").symlink_to(tmp_path / "secret")

    with pytest.raises(StoreError, match="a link out of the backup"):
        restore_backup(Settings(data=tmp_path / "back"), tampered(tmp_path, served, change), silent)


def test_a_database_that_names_files_elsewhere_is_refused(tmp_path, served):
    with served.app.state.sessions.begin() as session:
        one = session.scalars(select(Instance.sop_uid)).first()
        session.execute(update(Instance).where(Instance.sop_uid == one).values(path="dicom/../../../etc/passwd"))
    make_backup(served.settings, tmp_path / "kept", silent)
    with pytest.raises(StoreError, match="outside the data folder"):
        restore_backup(Settings(data=tmp_path / "back"), tmp_path / "kept", silent)
    assert not (tmp_path / "back").exists()


def test_a_changed_byte_a_huge_manifest_and_a_live_folder_are_refused(tmp_path, served, monkeypatch):
    kept = tampered(tmp_path, served, lambda *_: None)
    with pytest.raises(StoreError, match="is not empty"):
        restore_backup(served.settings, kept, silent)
    path = next(kept.glob("dicom/**/*.dcm"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="SHA-256 differs"):
        restore_backup(Settings(data=tmp_path / "back"), kept, silent)
    monkeypatch.setattr("panlesion.aid.backup_files._MOST_MANIFEST_BYTES", 100)
    with pytest.raises(StoreError, match="made to harm"):
        restore_backup(Settings(data=tmp_path / "back"), kept, silent)


def test_what_is_no_backup_is_told(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK no zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w"):
        pass
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "aid.sqlite").write_bytes(sqlite3.sqlite_version.encode())
    for name in ("a.zip", "b.zip", "c", "none"):
        with pytest.raises(StoreError):
            restore_backup(Settings(data=tmp_path / "back"), tmp_path / name, silent)
    assert backup_module.FILES == (KEY_FILE,)
