"""The whole way, nothing played: a PACS sends, workers analyse, a browser reads, paints and signs, and the PACS has it."""

import subprocess
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from browser_made import PANLESION, PASSWORD, Room, chromium, picture, serving
from orthanc_made import Orthanc, running_orthanc
from playwright.sync_api import Page, expect
from waiting_made import waited

from panlesion.aid.demo.series import Patient, write_series
from panlesion.ct.volume import Box, Volume
from panlesion.synth.whole_scan import draw_whole_scan

PATIENT = {
    "name": "Whole^Way",
    "id": "WW-1",
    "birth_date": "19500101",
    "sex": "F",
    "description": "CT abdomen",
    "accession": "W1",
}
SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("series")
    drawn = draw_whole_scan(np.random.default_rng(14), spacing_mm=3.0, lesions=2)
    across, deep, _ = drawn.ct.hu.shape
    belly = drawn.ct.crop(Box(start=(0, 0, 80), stop=(across, deep, 140)))  # where this seed's lesions are
    ct = Volume(hu=np.clip(belly.hu, -1024, 3000), grid=belly.grid)
    write_series(folder, ct, Patient(at=datetime(2026, 3, 4, 10, 0), **PATIENT), entropy="whole way")
    return folder


@pytest.fixture(scope="module")
def browser():
    with chromium() as made:
        yield made


def node(orthanc: Orthanc) -> dict:
    return {
        "name": "archive", "kind": "dimse", "host": "127.0.0.1", "port": orthanc.dicom_port, "ae_title": "ORTHANC",
        "sends_to": True, "auto_sends": True,
    }  # fmt: skip


def objects(orthanc: Orthanc, uid: str, sop_class: str) -> list[pydicom.Dataset]:
    found = [sop for sop, kind in orthanc.instances(uid).items() if kind == sop_class]
    return [pydicom.dcmread(BytesIO(orthanc.fetch(sop))) for sop in found]


def log_in(page: Page, room: Room) -> None:
    page.goto(room.url)
    page.get_by_test_id("name").fill("reader")
    page.get_by_test_id("password").fill(room.first)
    picture(page, "login")
    page.get_by_test_id("log-in").click()
    page.get_by_test_id("old").fill(room.first)
    page.get_by_test_id("new").fill(PASSWORD)
    page.get_by_test_id("again").fill(PASSWORD)
    page.get_by_test_id("change").click()


def paint(page: Page, middle: list[int]) -> None:
    """A stroke round a voxel of the axial plane, with the mouse."""
    x, y = page.evaluate("(ijk) => window.panlesion.screenOf('axial', ijk)", middle)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 25, y + 8, steps=6)
    page.mouse.up()


def test_from_the_pacs_to_a_signed_report_in_the_pacs(tmp_path, series, browser):
    data = tmp_path / "room"
    data.mkdir()
    with running_orthanc(tmp_path / "orthanc") as orthanc, serving(data) as room:
        orthanc.knows_us_at(room.dicom_port)
        assert room.ask.post("/api/nodes", json=node(orthanc)).status_code < 300
        room.first = "a first password"
        room.account("reader", "Dr Reader", "reader", room.first)
        orthanc.upload_folder(series)
        (uid,) = orthanc.study_uids()
        orthanc.send_study(uid)

        def ai_results_are_in_the_pacs():
            return objects(orthanc, uid, SR)

        waited(ai_results_are_in_the_pacs, within_s=240, every_s=1)
        before = {str(one.SOPInstanceUID) for kind in (SEG, SR) for one in objects(orthanc, uid, kind)}

        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        log_in(page, room)
        row = page.get_by_test_id("row").first
        expect(row).to_contain_text("Whole, Way")
        picture(page, "worklist")
        row.click()
        page.wait_for_selector("[data-testid=study][data-ready=yes]", timeout=60_000)
        study_id = page.url.split("/study/")[1].split("?")[0]
        page.goto(f"{room.url}study/{study_id}?test")
        page.wait_for_selector("[data-testid=study][data-ready=yes]", timeout=60_000)
        reading = page.evaluate(f"fetch('/api/studies/{study_id}/reading').then((a) => a.json())")
        assert reading["findings"], "the analysis found nothing that could be read"

        def handle_is_there():
            return page.evaluate("window.panlesion !== undefined")

        waited(handle_is_there, within_s=10, every_s=0.5)

        # scroll, and back
        focus = page.evaluate("window.panlesion.focus()")
        page.keyboard.press("ArrowDown")
        assert page.evaluate("window.panlesion.focus()") != focus
        page.keyboard.press("ArrowUp")
        assert page.evaluate("window.panlesion.focus()") == focus
        picture(page, "study")

        # a finding of the reader's own: painted, undone, done again
        page.keyboard.press("n")
        page.keyboard.type("liver tum")
        page.keyboard.press("Enter")
        mine = max([one["number"] for one in reading["findings"]], default=0) + 1
        expect(page.get_by_test_id(f"finding-{mine}")).to_be_visible()
        expect(page.get_by_test_id("tool-brush")).to_have_attribute("aria-pressed", "true")
        middle = [page.evaluate("window.panlesion.shape")[0] // 2, page.evaluate("window.panlesion.shape")[1] // 2, focus[2]]
        paint(page, middle)
        painted = page.evaluate(f"window.panlesion.count({mine})")
        assert painted > 0
        page.keyboard.press("Control+z")
        assert page.evaluate(f"window.panlesion.count({mine})") == 0
        page.keyboard.press("Control+y")
        assert page.evaluate(f"window.panlesion.count({mine})") == painted
        expect(page.get_by_test_id("saving")).to_contain_text("Saved", timeout=10_000)
        expect(page.get_by_test_id(f"size-{mine}")).to_contain_text("mm")

        # another value than the AI's, by a click; then everything is decided and signed
        option = page.locator("[data-testid^='attr-']").first
        option.click()
        expect(option).to_have_attribute("aria-pressed", "true")
        picture(page, "edited")
        page.get_by_test_id("sign").click()
        page.get_by_test_id("accept-rest").click()
        page.get_by_test_id("sign-password").fill(PASSWORD)
        picture(page, "sign")
        page.get_by_test_id("sign-confirm").click()
        expect(page.get_by_test_id("signed")).to_be_visible(timeout=60_000)

        def signed_report_is_in_the_pacs():
            return [one for one in objects(orthanc, uid, SR) if str(one.SOPInstanceUID) not in before]

        (report,) = waited(signed_report_is_in_the_pacs, within_s=60, every_s=0.5)
        assert report.VerificationFlag == "VERIFIED" and report.CompletionFlag == "COMPLETE"
        (seg,) = [one for one in objects(orthanc, uid, SEG) if str(one.SOPInstanceUID) not in before]
        raw = page.context.request.get(f"{room.url}api/studies/{study_id}/mask").body()
        grid = page.evaluate(f"fetch('/api/studies/{study_id}').then((a) => a.json())")["grid"]
        mask = np.frombuffer(raw, dtype=np.uint8).reshape(grid["shape"][::-1])
        assert same_as_painted(seg, mask, grid["sops"])
        assert (mask == mine).sum() == painted
        picture(page, "signed")
        page.set_viewport_size({"width": 1366, "height": 768})
        page.wait_for_timeout(700)
        picture(page, "signed_small")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1366
        assert problems == []
        page.close()
        assert subprocess.run(
            [PANLESION, "aid", "audit", "verify", "--data", str(data)], check=False
        ).returncode == 0  # fmt: skip


def same_as_painted(seg: pydicom.Dataset, mask: np.ndarray, sops: list[str]) -> bool:
    """Whether the segments, plane by plane, are the labels of the mask (K, J, I), renumbered in their order."""
    planes = {sop: k for k, sop in enumerate(sops)}
    found = np.zeros_like(mask)
    frames = seg.pixel_array.reshape(-1, *mask.shape[1:])
    for frame, group in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        segment = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        found[planes[source]][frame > 0] = segment
    labels = [label for label in np.unique(mask) if label]
    renumbered = np.zeros_like(mask)
    for number, label in enumerate(labels, 1):
        renumbered[mask == label] = number
    return bool((found == renumbered).all())
