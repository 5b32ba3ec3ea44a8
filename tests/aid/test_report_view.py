"""The report in words: as a page and as a PDF, of hostile and foreign text."""

import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_made import document, finding, read_study
from server_made import serve

from panlesion.aid.reads.fonts import markup
from panlesion.aid.reads.report import load_images, report_of
from panlesion.aid.reads.report_content import content_of, name_words
from panlesion.aid.reads.report_pdf import report_pdf
from panlesion.aid.reads.report_view import report_html
from panlesion.aid.schemas.reading import MeasurementOut
from panlesion.aid.vocabulary import RESEARCH_USE, MeasurementKind, Role

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">&lt;b&gt; $case {0} %s </p><para><font size=99>'
TAGS = {"script", "para", "font", "b", "iframe", "object", "link", "a"}


class Tags(HTMLParser):
    """What a browser would make of a page: tags, and addresses they would load."""

    def __init__(self, page):
        super().__init__()
        self.seen, self.loaded, self.handlers = set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.loaded += [value for name, value in attrs if name in {"src", "href"}]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    served = serve(tmp_path_factory.mktemp("words"))
    made = read_study(served)
    with served.app.state.sessions() as session:
        report = report_of(session, served.settings, made.study)
    return content_of(report, load_images(served.settings, report))


def hostile_document():
    return document(
        finding(1, note=HOSTILE, location=HOSTILE[:64], sentence=HOSTILE, type="<script>"),
        finding(2),
        finding(3),
        impression_text=f"{HOSTILE}\nsecond line",
        comment=HOSTILE,
        measurements=[
            MeasurementOut(
                id="a",
                kind=MeasurementKind.LENGTH,
                points_xyz=[(0, 0, 0), (1, 0, 0)],
                label=HOSTILE[:64],
                finding=1,
                values={"length_mm": 12.3},
            )
        ],
    )


def pdf_words(tmp_path, body):
    path = tmp_path / "report.pdf"
    path.write_bytes(body)
    done = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True)
    return done.stdout.decode().split("\f")[:-1]


def test_hostile_text_is_shown_and_nothing_else(tmp_path):
    served = serve(tmp_path)
    name = '<script>alert(0)</script>^"><b>&'
    made = read_study(served, hostile_document(), patient_name=name, description=HOSTILE, accession="<b>1")
    client = served.client(Role.READER)
    answer = client.get(f"/api/studies/{made.study.id}/report.html")
    page = Tags(answer.text)
    assert not page.seen & TAGS and not page.handlers
    assert all(one.startswith("data:image/jpeg;base64,") for one in page.loaded)
    assert "alert(1)" in answer.text and "second line" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    pages = pdf_words(tmp_path, client.get(f"/api/studies/{made.study.id}/report.pdf").content)
    assert "<script>alert(1)</script>" in re.sub(r"\s+", "", "".join(pages))
    fhir = client.get(f"/api/studies/{made.study.id}/fhir").json()
    assert not Tags(fhir["text"]["div"]).seen & TAGS


def test_every_page_says_research_use_whose_it_is_and_its_number(tmp_path):
    served = serve(tmp_path)
    comment = "\n".join(f"Line {n} of a long comment." for n in range(150))
    made = read_study(served, document(comment=comment))
    pages = pdf_words(tmp_path, served.client(Role.READER).get(f"/api/studies/{made.study.id}/report.pdf").content)
    assert len(pages) >= 4
    for number, page in enumerate(pages, 1):
        assert RESEARCH_USE in page and "MÜSTER, Erika" in page and "P-4711-X" in page
        assert f"page {number} of {len(pages)}" in page
    assert "Preliminary, not signed" in pages[0]


NAMES = ("Ελευθερίου^Άννα", "Ковалёв^Юрий", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Hong^Gildong=洪^吉洞=홍^길동")


def test_names_in_any_letters_are_in_page_and_pdf(tmp_path, words):
    for name in NAMES:
        shown = name_words(name)
        said = replace(words, patient=shown)
        assert shown in report_html(said)
        assert shown.replace(" ", "") in re.sub(r"\s", "", "".join(pdf_words(tmp_path, report_pdf(said))))


def pdf_of(client, made):
    return client.get(f"/api/studies/{made.study.id}/report.pdf").content


def test_a_name_is_read_as_people_write_it():
    assert name_words("Müster^Erika^Anna^Dr^PhD") == "MÜSTER, Dr Erika Anna PhD"
    assert name_words("Yamada^Tarou=山田^太郎") == "YAMADA, Tarou (山田, 太郎)"
    assert name_words("") == name_words("^^^") == name_words("==") == ""
    assert name_words("a^b^c^d^e^f^g=h=i=j").startswith("A, d b c e")


def test_markup_of_letters_that_no_font_has_is_marked():
    assert markup("a<b>&\x00\N{CUNEIFORM SIGN A}") == "a&lt;b&gt;&amp; \N{REPLACEMENT CHARACTER}"


def test_a_very_long_word_and_many_findings_still_make_a_pdf(tmp_path, words):
    rows = tuple((str(n), *words.table[0][1:7], "w" * 900 if n == 1 else "Round", "AI") for n in range(1, 61))
    texts = {1: {"sentence": "x" * 3000}, 2: {"note": "y" * 9000}}
    entries = tuple(replace(words.entries[0], title=f"{n}. Mass", **texts.get(n, {})) for n in range(1, 61))
    pages = pdf_words(tmp_path, report_pdf(replace(words, table=rows, entries=entries, comment="z" * 10_000)))
    assert "60. Mass" in "".join(pages)
