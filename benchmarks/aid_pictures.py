"""Pictures of the reading room for its documentation: the drawn demo patients alone, in Chromium at 1920×1080.

    python benchmarks/aid_pictures.py docs/images [--data FOLDER]

Needs Debian's `chromium`, playwright and the built page (`make web`). FOLDER is kept and used again, so that patients are drawn
and analysed once (some minutes); without it a temporary one is made. One study of it is read and signed.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PANLESION = str(Path(sys.executable).with_name("panlesion"))
PASSWORD, FIRST = "a password for pictures", "a first password"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SIZE = {"width": 1920, "height": 1080}
MOST_BYTES, COLOURS = 200_000, (128, 96, 64, 48, 32, 24, 16)
PATIENTS, READY_S = 6, 900


def panlesion(*words: str) -> str:
    return subprocess.run([PANLESION, "aid", *words], check=True, capture_output=True, text=True).stdout


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """The address of a server on a folder that was begun."""
    process = subprocess.Popen(
        [PANLESION, "aid", "serve", "--data", str(data), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"reading room is at (http\S+)", line):
                yield found[1]
                return
        raise SystemExit("the server ended before it answered")
    finally:
        process.terminate()
        process.wait(60)


def keep(page: Page, folder: Path, name: str) -> None:
    """A picture with as many colours as fit into the limit; rare ones, which are outlines, are kept."""
    page.mouse.move(1900, 1000)
    page.wait_for_timeout(400)
    shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
    for colours in COLOURS:
        packed = BytesIO()
        shot.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
        if packed.tell() <= MOST_BYTES:
            break
    else:
        raise SystemExit(f"{name}: {packed.tell()} bytes with {COLOURS[-1]} colours; the limit is {MOST_BYTES}")
    (folder / f"aid_{name}.png").write_bytes(packed.getvalue())
    print(f"aid_{name}.png: {packed.tell() / 1000:.0f} kB, {colours} colours")


def log_in(page: Page, url: str, name: str, password: str) -> None:
    """Log in; a first password is exchanged for `PASSWORD`."""
    page.goto(url)
    page.get_by_test_id("name").fill(name)
    page.get_by_test_id("password").fill(password)
    page.get_by_test_id("log-in").click()
    page.get_by_test_id("old").or_(page.get_by_test_id("log-out")).first.wait_for()
    if page.get_by_test_id("old").is_visible():
        for field, value in (("old", password), ("new", PASSWORD), ("again", PASSWORD)):
            page.get_by_test_id(field).fill(value)
        page.get_by_test_id("change").click()
        page.get_by_test_id("log-out").wait_for()


def ask(page: Page, method: str, path: str, body: object = None) -> object:
    """A request with the page's own session."""
    told = page.evaluate(
        "async ([method, path, body]) => {"
        " const {csrf} = await (await fetch('/api/session')).json();"
        " const answer = await fetch(path, {method, headers: {'X-CSRF-Token': csrf, 'Content-Type': 'application/json'},"
        " ...(body === null ? {} : {body: JSON.stringify(body)})});"
        " return [answer.status, await answer.json().catch(() => null)]; }",
        [method, path, body],
    )
    if told[0] >= 300:
        raise SystemExit(f"{method} {path}: {told}")
    return told[1]


def administration(page: Page, url: str, out: Path) -> None:
    """Accounts and a PACS, as an administrator makes them."""
    there = {one["name"] for one in ask(page, "GET", "/api/users")}
    for name, shown, role in (("eva", "Dr Eva Reader", "reader"), ("max", "Max Manager", "manager")):
        if name not in there:
            ask(page, "POST", "/api/users", {"name": name, "display_name": shown, "role": role, "password": FIRST})
    if not ask(page, "GET", "/api/nodes"):
        node = {"name": "Archive", "kind": "dimse", "host": "127.0.0.1", "port": 4242, "ae_title": "ARCHIVE"}
        ask(page, "POST", "/api/nodes", node | {"sends_to": False, "sends_pdf": False})
    page.goto(f"{url}admin/users")
    page.get_by_test_id("user").first.wait_for()
    page.get_by_test_id("new-user").click()
    keep(page, out, "accounts")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="PACS").click()
    page.get_by_role("button", name="Change Archive").click()
    keep(page, out, "pacs")


def all_ready(page: Page) -> None:
    end = time.monotonic() + READY_S
    while True:
        counts = ask(page, "GET", "/api/studies")["counts"]
        if not set(counts) & {"arriving", "queued", "running"}:
            return
        if time.monotonic() > end:
            raise SystemExit(f"after {READY_S} s the studies are {counts}")
        time.sleep(2)


def reading(page: Page, url: str, out: Path) -> None:
    """A study read and signed."""
    all_ready(page)
    page.goto(f"{url}worklist")
    page.get_by_test_id("row").first.wait_for()
    keep(page, out, "worklist")
    found = ask(page, "GET", "/api/studies?sort=suspicion")["items"]
    study = next((one for one in found if one["state"] == "ready" and one["findings"]), None)
    if study is None:
        raise SystemExit("no study is left to read; name another --data")
    page.goto(f"{url}study/{study['id']}?test")
    page.wait_for_selector("[data-testid=study][data-ready=yes]", timeout=120_000)
    page.keyboard.press("j")
    page.wait_for_timeout(1500)
    keep(page, out, "study")
    page.keyboard.press("?")
    keep(page, out, "keys")
    page.keyboard.press("Escape")
    editing(page, out)
    page.get_by_test_id("sign").click()
    page.get_by_test_id("accept-rest").click()
    page.get_by_test_id("sign-password").fill(PASSWORD)
    keep(page, out, "sign")
    page.get_by_test_id("sign-confirm").click()
    page.get_by_test_id("signed").wait_for(timeout=120_000)
    keep(page, out, "signed")


def editing(page: Page, out: Path) -> None:
    """The network's outline for a click, left; then a stroke beside the finding, undone so that the reading stays as it was."""
    x, y = page.evaluate("window.panlesion.screenOf('axial', window.panlesion.focus())")
    page.keyboard.press("p")
    page.mouse.click(x, y)
    page.get_by_test_id("words").get_by_text("Enter takes it").wait_for(timeout=120_000)
    keep(page, out, "proposal")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.mouse.move(x + 20, y + 20)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=8)
    page.mouse.up()
    page.get_by_text("version 2").wait_for()  # saved, and measured anew
    keep(page, out, "editing")
    page.keyboard.press("Control+z")
    page.keyboard.press("c")
    page.get_by_text("version 3").wait_for()


def importing(page: Page, url: str, out: Path) -> None:
    page.goto(f"{url}import")
    page.get_by_test_id("pull-search").wait_for()
    keep(page, out, "import")


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path)
    told = parser.parse_args(argv)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no chromium; it is Debian's package of that name")
    with tempfile.TemporaryDirectory() as temporary:
        data = told.data or Path(temporary) / "room"
        if not (data / "aid.sqlite").is_file():
            panlesion("demo", "--data", str(data), "--count", str(PATIENTS))
        with serving(data) as url, sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
            for name, part in (("admin", administration), ("eva", reading), ("max", importing)):
                fresh = re.search(r"new password (\S+)", panlesion("password", name, "--data", str(data)))
                assert fresh is not None
                page = browser.new_context(viewport=SIZE).new_page()
                log_in(page, url, name, fresh[1])
                part(page, url, told.out)
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
