import pytest
from fastapi.testclient import TestClient
from server_made import serve

from panlesion.aid.app import create_app


@pytest.fixture
def built(tmp_path):
    page = tmp_path / "web"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html>the page")
    (page / "assets" / "app-1a2b3c.js").write_text("run()")
    (page / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    (page / "link.txt").symlink_to(tmp_path / "secret.txt")
    app = create_app(serve(tmp_path).settings, page=page)
    return TestClient(app, base_url="http://127.0.0.1")


def test_files_of_the_build_are_kept_by_their_hash_and_the_page_is_asked_anew(built):
    told = built.get("/assets/app-1a2b3c.js")
    assert told.text == "run()" and "immutable" in told.headers["Cache-Control"]
    assert "javascript" in told.headers["Content-Type"]
    assert built.get("/icon.svg").headers["Cache-Control"] == "no-cache"
    index = built.get("/")
    assert "the page" in index.text and index.headers["Cache-Control"] == "no-cache"
    assert built.get("/", headers={"If-None-Match": index.headers["ETag"]}).status_code in (200, 304)


def test_addresses_within_the_page_are_the_page(built):
    for path in ("/studies/1a2b", "/login", "/audit?before=7"):
        assert "the page" in built.get(path).text


def test_missing_files_of_the_build_and_unknown_api_are_not_the_page(built):
    for path in ("/assets/app-0.js", "/api/nothing", "/api", "/dicomweb"):
        told = built.get(path)
        assert told.status_code == 404 and told.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/..%5csecret.txt",
        "/link.txt",
        "/" + "a" * 5000,
    ],
)
def test_nothing_outside_the_folder_is_given(built, path):
    told = built.get(path)
    assert told.status_code in (200, 404)
    assert "secret" not in told.text.replace("/secret", "") and "root:" not in told.text


def test_without_a_build_the_server_says_how_to_make_one(tmp_path):
    app = create_app(serve(tmp_path).settings, page=tmp_path / "none")
    told = TestClient(app, base_url="http://127.0.0.1").get("/")
    assert told.status_code == 200 and "make web" in told.text and "Research use only" in told.text


def test_only_reading_is_answered(built):
    assert built.put("/icon.svg", content=b"x").status_code in (401, 405)
