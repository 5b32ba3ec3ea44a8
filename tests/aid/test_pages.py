"""Login, worklist, import and administration as people use them, in a real browser on a real server."""

import re
import zipfile
from pathlib import Path

import pytest
from browser_made import PASSWORD, chromium, fill, picture, row_made, serving
from orthanc_made import running_orthanc
from playwright.sync_api import Page, expect
from study_made import write_study
from waiting_made import waited

from panlesion.aid.tables import now
from panlesion.aid.vocabulary import RESEARCH_USE, StudyState

FIRST = "a first password"
PEOPLE = {"reader": "Dr Eva Reader", "manager": "Max Manager", "admin": "Administrator"}
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
MADE = 10_000
expect.set_options(timeout=20_000)  # of what comes at once unless the machine is busy


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "room"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def room(data):
    with serving(data) as made:
        for role in ("reader", "manager"):
            made.account(role, PEOPLE[role], role, FIRST)
        yield made


@pytest.fixture(scope="module")
def people(room, browser):
    """A page for each role, logged in; `problems` are errors of their scripts, `asked` what they asked the server for."""
    made: dict[str, Page] = {}
    for role in PEOPLE:
        page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
        page.problems, page.asked = [], []
        page.on("pageerror", lambda error, page=page: page.problems.append(str(error)))
        page.on("request", lambda request, page=page: page.asked.append(request.url))
        log_in(page, room, role, PASSWORD if role == "admin" else FIRST)
        if role != "admin":
            expect(page.get_by_role("heading", name="Choose a password of your own")).to_be_visible()
            change_password(page, FIRST, "short", "short")
            expect(page.get_by_role("alert")).to_have_text("A password has at least 12 characters; this one has 5.")
            change_password(page, FIRST, PASSWORD, PASSWORD)
        page.get_by_test_id("log-out").wait_for()
        made[role] = page
    yield made
    assert {role: page.problems for role, page in made.items()} == {role: [] for role in PEOPLE}


@pytest.fixture(autouse=True)
def nothing_stays_in_the_way(people):
    """A test that fails half way leaves the next one a page that reaches its server."""
    yield
    for page in people.values():
        page.unroute_all(behavior="ignoreErrors")


def log_in(page, room, name: str, password: str) -> None:
    page.goto(room.url)
    page.get_by_test_id("name").fill(name)
    page.get_by_test_id("password").fill(password)
    page.get_by_test_id("log-in").click()


def change_password(page, old: str, new: str, again: str) -> None:
    for field, value in (("old", old), ("new", new), ("again", again)):
        page.get_by_test_id(field).fill(value)
    page.get_by_test_id("change").click()


def to_worklist(page, room) -> Page:
    page.goto(f"{room.url}worklist")
    expect(page.get_by_role("grid")).to_have_attribute("aria-busy", "false")
    page.get_by_role("grid").focus()
    return page


def rows(page) -> list[str]:
    """Names of the patients in view, from the top."""
    return page.evaluate(
        "[...document.querySelectorAll('[data-testid=row]')]"
        ".sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map((row) => row.children[2].textContent)"
    )


def test_everyone_begins_at_their_own_page_and_it_is_marked(room, people):
    expect(people["reader"].get_by_role("button", name="Worklist")).to_have_attribute("aria-current", "page")
    expect(people["manager"].get_by_role("button", name="Worklist")).to_have_attribute("aria-current", "page")
    admin = people["admin"]
    expect(admin.get_by_role("button", name="Administration")).to_have_attribute("aria-current", "page")
    assert admin.url == f"{room.url}admin/users"
    assert not [url for url in admin.asked if "/api/studies" in url or "/api/events" in url]
    tabs = {role: page.get_by_label("Pages").get_by_role("button").all_inner_texts() for role, page in people.items()}
    assert tabs["reader"] == ["Worklist", "Import", "Dr Eva Reader · reader", "Log out"]
    assert tabs["manager"] == ["Worklist", "Import", "PACS", "Max Manager · manager", "Log out"]
    assert tabs["admin"] == ["Administration", "Worklist", "Administrator · admin", "Log out"]


def test_a_wrong_password_is_told_and_whoever_logs_out_leaves_nothing(room, browser):
    page = browser.new_context().new_page()
    log_in(page, room, "reader", "not the password")
    expect(page.get_by_role("alert")).to_have_text("name and password do not fit")
    picture(page, "login")
    page.goto(f"{room.url}import")
    expect(page.get_by_text("Log in to go on where you were.")).to_be_visible()
    page.get_by_test_id("name").fill("reader")
    page.get_by_test_id("password").fill(PASSWORD)
    page.get_by_test_id("log-in").click()
    expect(page.get_by_role("button", name="Import")).to_have_attribute("aria-current", "page")
    page.get_by_test_id("log-out").click()
    page.get_by_test_id("name").wait_for()
    assert page.url == room.url
    page.context.close()


def test_an_empty_list_says_what_to_do(room, people):
    page = to_worklist(people["reader"], room)
    picture(page, "worklist_empty")
    page.get_by_role("button", name="import them").click()
    expect(page.get_by_role("heading", name="Upload")).to_be_visible()


def test_the_list_says_every_state_why_a_study_failed_and_what_the_reader_made_of_it(data, room, people):
    why = "slices are 1 to 7 mm apart: send what is missing"
    fill(data, [
        row_made(1, state=StudyState.READY, suspicion=0.9, findings=3, reported=None),
        row_made(2, state=StudyState.DRAFT, suspicion=0.8, findings=3, reported=1),
        row_made(3, state=StudyState.SIGNED, suspicion=0.7, findings=0, reported=None),
        row_made(4, state=StudyState.FAILED, problem=why, suspicion=None, findings=None),
    ])  # fmt: skip
    page = to_worklist(people["reader"], room)
    cells = [row.get_by_role("gridcell").all_inner_texts() for row in page.get_by_test_id("row").all()]
    cells.sort(key=lambda one: one[2])
    assert [one[0] for one in cells] == ["ready", "draft", "signed", "failed"]
    assert [one[8:10] for one in cells] == [["3", ""], ["3", "1"], ["0", "0"], ["", ""]]
    assert cells[3][5].startswith(why)
    picture(page, "worklist_states")


def test_keys_move_open_search_filter_and_explain(room, people):
    page = to_worklist(people["reader"], room)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[aria-selected=true]")).to_have_attribute("aria-rowindex", "3")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Page Down")
    picture(page, "worklist_keys")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    expect(page.get_by_test_id("filter-unsigned")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("row")).to_have_count(3)
    page.keyboard.press("u")
    expect(page.get_by_test_id("row")).to_have_count(4)
    page.keyboard.press("f")
    expect(page.get_by_test_id("row")).to_have_count(2)
    page.keyboard.press("f")
    page.keyboard.press("/")
    page.keyboard.type("made00002, ")
    expect(page.get_by_test_id("row")).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/study/[0-9a-f-]{36}$"))
    page.go_back()
    expect(page.get_by_test_id("row")).to_have_count(1)
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("row")).to_have_count(4)
    page.keyboard.press("/")
    page.keyboard.type("nobody of this name")
    expect(page.get_by_text("No study meets the search and filters.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_test_id("row")).to_have_count(4)


def test_new_studies_wait_until_they_are_asked_for(data, room, people):
    page = to_worklist(people["reader"], room)
    before = rows(page)
    assert len(before) == 4
    new = [
        row_made(10 + n, state=StudyState.READY, suspicion=0.99, findings=1, received_at=now(), changed_at=now())
        for n in (0, 1)
    ]
    fill(data, new)
    expect(page.get_by_test_id("refresh")).to_contain_text("Load 2 new")
    assert rows(page) == before
    picture(page, "worklist_new")
    page.keyboard.press("r")
    expect(page.get_by_test_id("row")).to_have_count(6)
    assert set(rows(page)[:2]) & set(before) == set()
    expect(page.get_by_test_id("refresh")).to_contain_text("Refresh")


def test_an_error_keeps_the_list_and_says_so_and_a_lost_server_is_noticed(room, people):
    page = to_worklist(people["reader"], room)
    before = rows(page)
    page.route("**/api/studies?*", lambda route: route.fulfill(status=503, json={"detail": "the database is busy"}))
    page.keyboard.press("r")
    expect(page.get_by_test_id("amiss")).to_have_text("the database is busy")
    assert rows(page) == before
    page.unroute("**/api/studies?*")
    page.keyboard.press("r")
    expect(page.get_by_test_id("amiss")).to_have_count(0)
    page.route("**/api/**", lambda route: route.abort("connectionrefused"))
    page.keyboard.press("r")
    expect(page.get_by_test_id("amiss")).to_contain_text("cannot be reached")
    assert rows(page) == before
    page.unroute("**/api/**")
    page.keyboard.press("r")
    expect(page.get_by_test_id("amiss")).to_have_count(0)


def test_managers_say_who_sees_a_study(room, people):
    page = to_worklist(people["manager"], room)
    page.keyboard.press("Home")
    name = rows(page)[0]
    page.keyboard.press("m")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Priority").fill("7")
    dialog.get_by_test_id("restricted").check()
    picture(page, "manage")
    dialog.get_by_test_id("save").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_test_id("row").filter(has_text=name)).to_contain_text("+7")
    expect(page.get_by_test_id("row").filter(has_text=name).get_by_role("img", name="restricted")).to_be_visible()
    reader = to_worklist(people["reader"], room)
    assert name not in rows(reader)
    reader.keyboard.press("m")
    expect(reader.get_by_role("dialog")).to_have_count(0)


def test_files_are_taken_and_what_is_not_says_why(tmp_path, room, people):
    files = write_study(tmp_path / "ct", slices=4)
    (tmp_path / "notes.txt").write_text("no DICOM")
    with zipfile.ZipFile(tmp_path / "cd.zip", "w") as made:
        made.write(files[2], "CD/IMG3")
        made.writestr("CD/AUTORUN.INF", "[autorun]")
    page = people["reader"]
    page.goto(f"{room.url}import")
    page.get_by_test_id("upload-files").set_input_files([files[0], tmp_path / "notes.txt", tmp_path / "cd.zip"])
    result = page.get_by_test_id("upload-result")
    expect(result.get_by_role("status")).to_contain_text("2 taken · 0 already here · 2 not taken")
    expect(result.get_by_role("row", name="notes.txt")).to_contain_text("DICOM")
    expect(page.get_by_label("Files that were not taken").get_by_role("row", name="cd.zip/CD/AUTORUN.INF")).to_be_visible()
    picture(page, "import")
    page.get_by_test_id("upload-folder").set_input_files(tmp_path / "ct")
    expect(result.get_by_role("status")).to_contain_text("2 taken · 2 already here · 0 not taken")
    drop(page, {"dropped.dcm": files[3].read_bytes(), "empty": b""})
    expect(result.get_by_role("status")).to_contain_text("0 taken · 1 already here · 1 not taken")
    page.get_by_role("button", name="To the worklist").click()
    expect(page.get_by_role("grid")).to_contain_text("Muster, Erika")


def drop(page, files: dict[str, bytes]) -> None:
    """Drag files over the page and let them go."""
    told = {name: list(content) for name, content in files.items()}
    transfer = page.evaluate_handle(
        "(files) => { const told = new DataTransfer();"
        " for (const [name, bytes] of Object.entries(files)) told.items.add(new File([new Uint8Array(bytes)], name));"
        " return told; }",
        told,
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(".drop", event, {"dataTransfer": transfer})


def test_a_study_is_fetched_from_a_pacs_that_an_administrator_told_of(tmp_path, room, people):
    admin, manager = people["admin"], people["manager"]
    write_study(tmp_path / "ct", slices=5)
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        orthanc.upload_folder(tmp_path / "ct")
        admin.get_by_role("button", name="PACS").click()
        admin.get_by_test_id("new-node").click()
        admin.locator("select[name=kind]").select_option("dimse")
        for field, value in {
            "name": "Archive",
            "host": "127.0.0.1",
            "port": str(orthanc.dicom_port),
            "ae_title": "ORTHANC",
        }.items():
            admin.locator(f"input[name={field}]").fill(value)
        pdf = admin.get_by_label("the report as PDF")
        expect(pdf).to_be_disabled()
        admin.get_by_label("Gets what is signed").check()
        pdf.check()
        picture(admin, "node")
        admin.get_by_test_id("save").click()
        expect(admin.get_by_test_id("node")).to_contain_text("signed reports with PDF")
        admin.get_by_role("button", name="Echo Archive").click()
        expect(admin.get_by_test_id("node").get_by_role("status")).to_contain_text("answers C-ECHO")
        manager.goto(f"{room.url}import")
        manager.get_by_test_id("pull-search").fill("Muster")
        manager.get_by_role("button", name="Search").click()
        found = manager.get_by_label("From a PACS").get_by_role("row", name="Muster, Erika")
        found.get_by_role("button", name="Fetch").click()
        expect(found.get_by_text("here", exact=True)).to_be_visible(timeout=90_000)
        picture(manager, "pull")
    manager.get_by_role("button", name="Search").click()
    expect(manager.get_by_role("alert")).to_contain_text("Archive")


def test_accounts_are_made_and_a_token_is_shown_once(room, people):
    admin, reader = people["admin"], people["reader"]
    admin.goto(f"{room.url}admin/users")
    admin.get_by_test_id("new-user").click()
    admin.locator("input[name=name]").fill("gro")
    admin.locator("input[name=display_name]").fill("Dr Gro New")
    admin.locator("input[name=new-password]").fill("short")
    admin.get_by_test_id("save").click()
    expect(admin.get_by_role("dialog")).to_be_visible()
    admin.locator("input[name=new-password]").fill(FIRST)
    picture(admin, "account_new")
    admin.get_by_test_id("save").click()
    expect(admin.get_by_test_id("user").filter(has_text="Dr Gro New")).to_contain_text("must change password")
    reader.get_by_role("button", name="Dr Eva Reader · reader").click()
    reader.get_by_test_id("token-name").fill("OHIF at desk 3")
    reader.get_by_test_id("make-token").click()
    secret = reader.get_by_test_id("token-secret").inner_text()
    answer = room.ask.get("/dicomweb/studies", headers={"Authorization": f"Bearer {secret}", "Cookie": ""})
    assert answer.status_code == 200
    reader.keyboard.press("Escape")
    expect(reader.get_by_test_id("token")).to_contain_text("OHIF at desk 3")
    assert secret not in reader.content()
    picture(reader, "account")


def test_ten_thousand_studies_are_scrolled_and_searched(data, room, people):
    fill(data, [row_made(n, restricted=False) for n in range(100, MADE)])
    page = to_worklist(people["reader"], room)
    picture(page, "worklist_10000")
    page.keyboard.press("End")
    last = int(page.get_by_role("grid").get_attribute("aria-rowcount") or 0)
    assert last > MADE - 200
    expect(page.locator("[aria-selected=true]")).to_have_attribute("aria-rowindex", str(last))
    assert page.get_by_role("row").count() < 100
    page.keyboard.press("/")
    page.keyboard.type("made09999")
    expect(page.get_by_test_id("row")).to_have_count(1)
    page.keyboard.press("Escape")

    def all_are_back():
        return page.get_by_test_id("row").count() > 20

    waited(all_are_back, within_s=5, every_s=0.1)


PAGES = {
    "reader": ("worklist", "import", "account", "nowhere"),
    "manager": ("worklist", "import", "admin/nodes", "admin/users"),
    "admin": ("admin/users", "admin/nodes", "admin/audit", "worklist"),
}


@pytest.mark.parametrize(("role", "path"), [(role, path) for role, paths in PAGES.items() for path in paths])
def test_every_page_says_that_it_is_for_research_and_can_be_used_without_eyes_or_mouse(role, path, room, people):
    page = people[role]
    page.goto(f"{room.url}{path}")
    expect(page.get_by_role("banner")).to_have_text(RESEARCH_USE)
    page.wait_for_load_state("load")
    expect(page.get_by_text("Loading…")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1366
    assert_accessible(page)
    # focus goes as the page is read
    seen = page.evaluate(
        "[...document.querySelectorAll('button, input, select, a')]"
        ".filter((one) => one.tabIndex > 0).map((one) => one.outerHTML)"
    )
    assert seen == []


def test_the_login_page_can_be_used_without_eyes(room, browser):
    page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
    page.goto(room.url)
    expect(page.get_by_test_id("name")).to_be_focused()
    expect(page.get_by_role("banner")).to_have_text(RESEARCH_USE)
    assert_accessible(page)
    page.context.close()


def assert_accessible(page) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed; `make web`")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
