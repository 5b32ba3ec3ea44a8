"""The viewer as a reader uses it: a real browser on a small study, by keyboard, without WebGL, in two windows, offline."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pydicom
import pytest
from browser_made import chromium, picture
from dicom_made import lesion_mask, read_series
from images_made import put_study
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pydicom.uid import generate_uid
from reading_made import Read, analysed, made_findings
from server_made import PASSWORD, Served, listening, serve
from waiting_made import waited

from panlesion.aid.vocabulary import Role

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
NOISE = ("status of 412", "willReadFrequently", "ERR_INTERNET_DISCONNECTED", "webglcontextlost", "WebGL context lost")
"""Of the console: what these tests bring about themselves."""
RECORD_CONTEXTS = """(() => {
  const get = HTMLCanvasElement.prototype.getContext;
  window.contexts = [];
  HTMLCanvasElement.prototype.getContext = function (kind, ...how) {
    const made = get.call(this, kind, ...how);
    if (kind === 'webgl2' && made) window.contexts.push(made);
    return made;
  };
})()"""
NO_WEBGL = """(() => {
  const get = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...how) {
    return kind.startsWith('webgl') ? null : get.call(this, kind, ...how);
  };
})()"""
WHERE_COLOURED = """(canvas, colour) => {
  const [r, g, b] = colour.match(/[0-9.]+/g).map(Number);
  const { data, width } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const off = (at) => Math.hypot(data[at] - 0.75 * r, data[at + 1] - 0.75 * g, data[at + 2] - 0.75 * b);
  let best = 0;
  for (let at = 0; at < data.length; at += 4) if (off(at) < off(best)) best = at;
  const box = canvas.getBoundingClientRect();
  return [box.left + (best / 4) % width + 0.5, box.top + Math.floor(best / 4 / width) + 0.5];
}"""
"""The point of the screen where a finding's colour, shaded, is seen best."""
NAMES = """() => {
  const shown = (one) => one.offsetParent !== null && !one.disabled && one.tabIndex >= 0 && !one.closest('[inert]');
  return [...document.querySelectorAll('button, a[href], input, select, textarea, [tabindex]')].filter(shown).length;
}"""
REACHED = "() => { document.activeElement.dataset.reached = 'yes'; return document.querySelectorAll('[data-reached]').length; }"


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


@dataclass(kw_only=True)
class Room:
    """A server that is listened to, and a browser that is logged in to it."""

    served: Served
    url: str
    context: BrowserContext

    def study(self, **columns: object) -> Read:
        """A study of three findings that has been analysed, its images kept as if they had been received."""
        with TemporaryDirectory() as folder:
            ct = read_series(Path(folder))
            images = [pydicom.dcmread(path) for path in sorted(Path(folder).iterdir())]
        told = {"study_uid": generate_uid(), "patient_id": uuid4().hex} | columns
        study = put_study(self.served, images, **told)
        results = analysed(self.served, study.id, ct, made_findings(), lesion_mask(ct))
        return Read(served=self.served, study_id=study.id, ct=ct, results=results)

    def open(self, read: Read, *, before: str = "", how: str = "test") -> Page:
        page = self.context.new_page()
        page.said = []
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("console", lambda told: page.said.append(told.text) if told.type in {"error", "warning"} else None)
        if before:
            page.add_init_script(before)
        page.goto(f"{self.url}/study/{read.study_id}?{how}")
        ready(page)
        return page


def ready(page: Page) -> None:
    page.wait_for_selector("[data-testid=study][data-ready=yes]", timeout=30_000)


@pytest.fixture(scope="module")
def room(tmp_path_factory, browser: Browser) -> Iterator[Room]:
    served = serve(tmp_path_factory.mktemp("viewer"))
    reader = served.client(Role.READER)
    with listening(served.app) as url:
        context = browser.new_context(viewport={"width": 1366, "height": 768})
        context.add_cookies([{"name": one.name, "value": one.value, "url": url} for one in reader.cookies.jar])
        yield Room(served=served, url=url, context=context)
        context.close()


@pytest.fixture
def opened(room):
    """Opens studies; at the end nothing may have been said in their consoles that a test did not bring about."""
    pages: list[Page] = []

    def open_(read: Read, **how: str) -> Page:
        pages.append(room.open(read, **how))
        return pages[-1]

    yield open_
    said = [words for page in pages for words in page.said if not any(one in words for one in NOISE)]
    for page in pages:
        page.close(run_before_unload=False)
    assert said == []


def saved(page: Page) -> None:
    expect(page.get_by_test_id("saving")).to_contain_text("Saved", timeout=10_000)


def measured(read: Read) -> list[dict]:
    return read.get()["measurements"]


def test_a_study_is_read_with_the_keyboard_alone(room, opened):
    read = room.study()
    page = opened(read)
    keys = page.keyboard
    keys.press("2")
    expect(page.get_by_label("window")).to_have_value("2")
    keys.press("j")
    expect(page.get_by_test_id("active")).to_have_attribute("data-number", "2")
    keys.press("a")
    expect(page.get_by_test_id("accept-2")).to_have_attribute("aria-pressed", "true")
    # another type, and a new finding of a type that is asked for, in the organ under it
    keys.press("y")
    keys.type("stone kid")
    keys.press("Enter")
    expect(page.get_by_test_id("type-2")).to_have_value("kidney_stone")
    keys.press("n")
    expect(page.get_by_test_id("type-chooser")).to_be_visible()
    picture(page, "chooser")
    keys.type("other")
    keys.press("Enter")
    expect(page.get_by_test_id("active")).to_have_attribute("data-number", "4")
    expect(page.get_by_test_id("words")).to_contain_text("Paint finding 4")
    page.evaluate("window.panlesion.view.setState({ focus: [32, 27, 3] })")
    keys.press("Space")
    painted = page.evaluate("window.panlesion.count(4)")
    assert painted > 0
    keys.press("Control+z")
    assert page.evaluate("window.panlesion.count(4)") == 0
    keys.press("Control+y")
    assert page.evaluate("window.panlesion.count(4)") == painted
    expect(page.get_by_test_id("size-4")).to_contain_text("spleen", timeout=10_000)
    saved(page)
    found = next(one for one in read.get()["findings"] if one["number"] == 4)
    assert (found["type"], found["organ"], found["place_by"]) == ("other_mass", "spleen", "ai")
    # a length from crosshair to crosshair; it is there after a reload, and Delete removes it
    keys.press("l")
    keys.press("Space")
    for _ in range(6):
        keys.press("Shift+ArrowRight")
    keys.press("Space")
    expect(page.get_by_test_id("measurements")).to_contain_text("mm")
    saved(page)
    (line,) = measured(read)
    assert line["values"]["length_mm"] == pytest.approx(6 * read.ct.volume.grid.spacing_mm[0], abs=0.1)
    page.reload()
    ready(page)
    page.get_by_test_id("measurements").get_by_role("button").first.press("Enter")
    keys.press("Delete")
    expect(page.get_by_test_id("measurements")).to_have_count(0)
    saved(page)
    assert measured(read) == []


def test_everything_on_the_page_is_reached_with_the_tab_key(room, opened):
    page = opened(room.study())
    page.keyboard.press("d")
    wanted = page.evaluate(NAMES)
    assert wanted > 40
    reached = 0
    for _ in range(wanted + 10):
        page.keyboard.press("Tab")
        reached = page.evaluate(REACHED)
    assert reached >= wanted


def test_without_webgl_the_study_is_read_all_the_same(room, opened):
    page = opened(room.study(), before=NO_WEBGL)
    expect(page.get_by_test_id("study")).to_have_attribute("data-graphics", "none")
    expect(page.get_by_test_id("no-webgl")).to_contain_text("no WebGL")

    def a_picture_is_there_not_a_black_pane():
        grey = page.evaluate(
            "() => { const c = document.querySelector('[data-testid=pane-axial] .gl canvas'); "
            "return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size; }"
        )
        return grey > 20

    waited(a_picture_is_there_not_a_black_pane, within_s=10)  # drawn with the frame after the last image
    before = page.evaluate("window.panlesion.focus()")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("window.panlesion.focus()") != before
    # 3D: turned by the arrow keys, never by itself
    page.keyboard.press("v")
    solid = page.get_by_test_id("pane-3d").locator("canvas")
    expect(solid).to_have_attribute("data-around", "0")
    solid.press("ArrowRight")
    expect(solid).to_have_attribute("data-around", "15")
    picture(page, "without_webgl")
    # a click on a finding there goes to it
    page.evaluate("window.panlesion.view.setState({ focus: [0, 0, 0] })")
    for number in (1, 2):
        colour = (
            page.get_by_test_id(f"finding-{number}")
            .locator(".chip")
            .evaluate("(chip) => getComputedStyle(chip).backgroundColor")
        )
        at = solid.evaluate(WHERE_COLOURED, colour)
        page.mouse.click(*at)
        expect(page.get_by_test_id("active")).to_have_attribute("data-number", str(number))
        assert page.evaluate("window.panlesion.labelAt(window.panlesion.focus())") == number


def test_a_processor_that_plays_a_graphics_card_is_not_asked_to(room, opened):
    page = opened(room.study())
    expect(page.get_by_test_id("study")).to_have_attribute("data-graphics", "software")
    expect(page.get_by_test_id("no-webgl")).to_have_count(0)


def test_a_graphics_card_that_gives_up_takes_no_picture_and_no_stroke_with_it(room, opened):
    page = opened(room.study(), before=RECORD_CONTEXTS, how="test&webgl")
    expect(page.get_by_test_id("study")).to_have_attribute("data-graphics", "webgl")
    page.keyboard.press("d")
    where = page.evaluate("window.panlesion.screenOf('axial', [30, 30, 3])")
    page.keyboard.press("Space")
    count = page.evaluate("window.panlesion.count(1)")
    page.evaluate("window.contexts.forEach((one) => one.getExtension('WEBGL_lose_context')?.loseContext())")
    expect(page.get_by_test_id("study")).to_have_attribute("data-graphics", "lost")
    expect(page.get_by_test_id("no-webgl")).to_contain_text("let go")
    assert page.evaluate("window.panlesion.screenOf('axial', [30, 30, 3])") == pytest.approx(where)  # nothing has moved
    assert page.evaluate("window.panlesion.count(1)") == count
    page.keyboard.press("Control+z")
    assert page.evaluate("window.panlesion.count(1)") != count


@pytest.mark.parametrize(("choice", "decision"), [("keep-mine", "rejected"), ("take-theirs", "accepted")])
def test_of_two_windows_neither_overwrites_the_other_unasked(room, opened, choice, decision):
    read = room.study()
    page = opened(read)
    assert read.change({"op": "decide", "number": 1, "decision": "accepted"}).status_code == 200
    page.keyboard.press("x")
    expect(page.get_by_test_id("conflict")).to_be_visible()
    assert read.get()["findings"][0]["decision"] == "accepted"
    page.get_by_test_id(choice).click()
    saved(page)
    assert read.get()["findings"][0]["decision"] == decision


def test_what_is_done_while_the_server_is_away_is_kept_and_sent(room, opened):
    read = room.study()
    page = opened(read)
    room.context.set_offline(True)
    try:
        page.keyboard.press("a")
        expect(page.get_by_test_id("saving")).to_contain_text("kept here")
        assert read.get()["findings"][0]["decision"] == "open"
    finally:
        room.context.set_offline(False)
    saved(page)

    def it_is_there():
        return read.get()["findings"][0]["decision"] == "accepted"

    waited(it_is_there, within_s=10, every_s=0.5)


def test_a_prior_study_stands_beside_and_scrolls_along(room, opened):
    patient = uuid4().hex
    before = room.study(patient_id=patient, study_at=datetime(2025, 1, 1, tzinfo=UTC))
    page = opened(room.study(patient_id=patient, study_at=datetime(2025, 6, 1, tzinfo=UTC)))
    page.get_by_label("prior study").select_option(str(before.study_id))
    page.get_by_role("button", name="Show beside").click()
    beside = page.get_by_test_id("pane-prior").locator("canvas[data-slice]")
    page.evaluate("window.panlesion.view.setState({ focus: [20, 20, 3] })")
    expect(beside).to_have_attribute("data-slice", "3")
    page.evaluate("window.panlesion.view.setState({ focus: [20, 20, 5] })")
    expect(beside).to_have_attribute("data-slice", "5")  # the same scanner's table: the same height
    picture(page, "prior")
    page.get_by_label("close the prior study").click()
    expect(page.get_by_test_id("pane-prior")).to_have_count(0)


def test_a_signature_puts_the_tools_down(room, opened):
    page = opened(room.study())
    page.keyboard.press("d")
    expect(page.get_by_test_id("tool-brush")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("s")
    page.get_by_test_id("reject-rest").click()
    page.get_by_test_id("sign-password").fill(PASSWORD)
    page.get_by_test_id("sign-confirm").click()
    expect(page.get_by_test_id("signed")).to_be_visible(timeout=30_000)
    expect(page.get_by_test_id("tool-cross")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_test_id("tool-brush")).to_be_disabled()
    expect(page.get_by_test_id("words")).to_have_text("")
    page.keyboard.press("d")
    expect(page.get_by_test_id("tool-cross")).to_have_attribute("aria-pressed", "true")


def test_no_state_of_the_viewer_shuts_anybody_out(room, opened):
    """WCAG 2.2 A and AA as far as axe-core can tell: names, roles, order, contrast."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed; `npm ci` in web/")
    page = opened(room.study())
    page.evaluate(AXE.read_text(encoding="utf-8"))

    def faults() -> list[str]:
        told = page.evaluate("axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })")
        return [f"{one['id']}: {node['html'][:160]}" for one in told["violations"] for node in one["nodes"]]

    found = {"open": faults()}
    for name, key in (("brush", "d"), ("3D", "v"), ("help", "?"), ("type", "n"), ("signature", "s")):
        page.keyboard.press(key)
        page.wait_for_timeout(150)
        found[name] = faults()
        if name in {"help", "type", "signature"}:
            page.keyboard.press("Escape")
            page.wait_for_timeout(100)
    assert {name: told for name, told in found.items() if told} == {}
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert any("button-name" in one for one in faults())  # and it can tell
