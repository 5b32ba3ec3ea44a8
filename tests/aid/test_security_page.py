"""XSS in a real browser: a study whose name, descriptions and report are scripts is opened wherever they are shown."""

import shutil

import pytest
from browser_made import FLAGS
from playwright.sync_api import expect, sync_playwright
from report_made import document, finding, read_study, sign
from server_made import PASSWORD, listening, serve

from panlesion.aid.page import built_page
from panlesion.aid.reads.scan import keep_scan
from panlesion.aid.vocabulary import Role

RUNS = "window.pwned=1;fetch('/pwned')"
HOSTILE = f'"><img src=x onerror="{RUNS}"><script>{RUNS}</script><svg onload="{RUNS}"><a href="javascript:{RUNS}">x</a>'
NAME = "Evil^<svg/onload=fetch('/pwned')><script>fetch('/pwned')</script>"


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A server on its port, with a study that was read."""
    if shutil.which("chromium") is None or not (built_page() / "index.html").is_file():
        pytest.skip("needs chromium and the built page (`make web`)")
    served = serve(tmp_path_factory.mktemp("page"))
    told = document(
        finding(1, note=HOSTILE, location=HOSTILE[:64], sentence=HOSTILE),
        finding(2, type="kidney_cyst"),
        finding(3, attributes={}),
        impression_text=HOSTILE,
        comment=HOSTILE,
    )
    made = read_study(served, told, patient_name=NAME, description=HOSTILE[:256], accession="<b>1", patient_id="<i>x</i>")
    keep_scan(made.results, made.ct.volume, made.ct)
    served.client(Role.READER)
    with listening(served.app) as url:
        yield served, made, url


@pytest.fixture(scope="module")
def page(room):
    served, _, url = room
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = browser.new_context(base_url=url)
        told = context.request.post("/api/login", data={"name": served.made[Role.READER].name, "password": PASSWORD})
        assert told.ok, told.text()
        page = context.new_page()
        page.ran = []
        page.on("request", lambda request: page.ran.append(request.url) if "pwned" in request.url else None)
        page.on("dialog", lambda dialog: (page.ran.append(dialog.message), dialog.dismiss()))
        yield page
        browser.close()


def nothing_ran(page) -> bool:
    page.wait_for_timeout(300)
    return page.ran == [] and page.evaluate("window.pwned") is None


def test_a_script_that_does_run_would_be_seen(page):
    page.goto("/")
    page.evaluate(RUNS)
    page.wait_for_timeout(200)
    assert page.ran and page.evaluate("window.pwned") == 1
    page.ran.clear()


def test_xss_through_patient_name_and_description_runs_nothing_in_the_worklist(page):
    page.goto("/")
    expect(page.get_by_text("onerror=").first).to_be_visible(timeout=20_000)
    assert nothing_ran(page)


def test_xss_through_report_text_runs_nothing_in_the_viewer(page, room):
    page.goto(f"/study/{room[1].study.id}")
    expect(page.get_by_text("onerror=").first).to_be_visible(timeout=30_000)
    expect(page.locator("textarea").first).to_be_visible(timeout=30_000)
    assert page.locator("img[src=x], a[href^=javascript]").count() == 0
    assert nothing_ran(page)


@pytest.mark.parametrize("signed", [False, True])
def test_xss_through_report_text_and_addenda_runs_nothing_in_the_printed_report(page, room, signed):
    served, made, _ = room
    road = f"/api/studies/{made.study.id}"
    if signed:
        client = served.client(Role.READER)
        assert sign(client, made).status_code == 200
        assert client.post(f"{road}/addenda", json={"text": HOSTILE}).status_code == 201
    answer = page.goto(f"{road}/report.html")
    assert answer.ok and "sandbox" in answer.headers["content-security-policy"]
    expect(page.get_by_text("<script>").first).to_be_visible()
    assert page.locator("script, a, img[src=x]").count() == 0 and page.ran == []
    if signed:
        page.goto(f"/study/{made.study.id}")
        expect(page.get_by_test_id("signed")).to_be_visible(timeout=30_000)
        assert nothing_ran(page)
