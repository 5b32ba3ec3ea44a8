import base64
import datetime
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from records_made import ALGORITHM, findings, lesion
from report_scans_made import BALLS, made_report, made_scan, record_of

from panlesion.infer.record import Doubt, FollowUp, OperatingPoint, Pair, Reading, Response
from panlesion.infer.report_page import MOST_PICTURED, report_html, write_report
from panlesion.infer.sentences import impression_of, sentence_of

VOID = {"meta", "img", "br"}
EVIL = "\"><script>alert(1)</script><img src=x onerror='y'>$case ${facts} & </title>\x00\u202e"


class Page(HTMLParser):
    """Tags balanced, texts by tag, and all attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self):
        return " ".join("".join(data for tag, data in self.texts if tag != "style").split())

    def values(self, name):
        return [value for _, key, value in self.attributes if key == name]


def page(*report, **more):
    return Page(report_html(*report, **more))


def test_the_page_is_whole_and_needs_nothing_from_outside(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, *made_report())
    text = path.read_text(encoding="utf-8")
    made = Page(text)
    assert not {"script", "link", "iframe", "object", "form"} & set(made.tags)
    assert all(value.startswith("data:image/jpeg;base64,") for value in made.values("src"))
    assert (
        not made.values("href")
        and "http:" not in text
        and "https:" not in text
        and "url(" not in text
        and "@import" not in text
    )
    assert list(tmp_path.iterdir()) == [path]


def test_it_can_be_read_without_seeing_it():
    made = page(*made_report())
    assert ("html", "lang", "en-GB") in made.attributes
    assert len(made.values("alt")) == made.tags.count("img") == 5 * len(BALLS) and all(made.values("alt"))
    assert made.tags.count("th") == len(made.values("scope"))
    assert made.tags.count("h1") == 1
    ids = made.values("id")
    assert set(made.values("aria-labelledby")) <= set(ids) and len(ids) == len(set(ids))


def test_pictures_decode_at_the_size_they_claim():
    made = page(*made_report())
    sizes = list(zip(made.values("width"), made.values("height"), strict=True))
    for source, (width, height) in zip(made.values("src"), sizes, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2], validate=True))) as image:
            image.load()
            assert image.size == (int(width), int(height))
            assert np.asarray(image).std() > 5


def test_head_and_warning_tell_what_made_it():
    made, ct, labels = made_report(plain=True)
    shown = page(made, ct, labels, date=datetime.date(2025, 3, 9))
    for said in (
        "Research use only. Not a medical device.", "case_1", "9 March 2025", "panlesion 0.0.1", "nano, abababababab", "NIfTI",
        "96 × 80 × 40 voxels of 2 × 2 × 3 mm", "looks like none", "from 30 % on", "found 50 % of the lesions",
    ):  # fmt: skip
        assert said in shown.text.replace("\u00a0", " "), said
    assert "ab" * 7 not in shown.text
    assert "Date" not in page(made, ct, labels).text


def test_doubts_stand_in_a_box_and_only_there():
    made, ct, labels = made_report(doubts=(Doubt(code="metal", words="Metal <streaks>."),))
    shown = page(made, ct, labels)
    assert shown.text.count("Metal <streaks>.") == 1 and "Read with caution" in shown.text
    assert "Read with caution" not in page(*made_report(doubts=())).text


def test_the_impression_is_the_documents_or_else_made():
    own = page(*made_report(impression=("A reader's own words.",)))
    assert "A reader's own words." in own.text
    made, ct, labels = made_report()
    shown = page(made, ct, labels).text
    assert all(line in shown for line in impression_of(made) if not line.startswith("Doubt"))


def cells(report):
    """The cells' texts of every row of the table of findings."""
    text = report_html(*report)
    table = text[text.index('<table class="findings">') :]
    rows = re.findall(r"<tr>(.*?)</tr>", table[: table.index("</table>")], re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_the_table_has_a_row_for_every_finding():
    head, first, *others = cells(made_report())
    assert head[0] == "No." and len(head) == len(first) == 8 and len(others) == len(BALLS) - 1
    assert first[:7] == ["1", "Liver tumour", "83 %", "Segment VII of the liver", "21 × 21", "5.6", "38 (61)"]
    assert first[7].startswith("Irregular, hypodense, well-defined margin, not close to adjacent structures")


def test_disagreement_is_marked_and_agreement_is_not():
    made, ct, labels = made_report(1)
    text = report_html(made, ct, labels)
    assert text.count('class="differs"') == 1
    assert "≠ heterogeneity: read homogeneous (60 %), measured heterogeneous" in text
    same = replace(made.lesions[0], attributes={"shape": Reading(read="Irregular", probability=0.6, measured="Irregular")})
    assert 'class="differs"' not in report_html(replace(made, lesions=(same,)), ct, labels)
    silent = replace(made.lesions[0], attributes={"shape": Reading()})
    assert cells((replace(made, lesions=(silent,)), ct, labels))[1][7] == "not assessed"


def test_suspicion_is_sorted_and_tells_what_counts():
    text = report_html(
        *made_report(suspicion={"gall": 0.05, "overall": 0.9, "esophagus": 0.9, "liver": 0.31, "elsewhere": 0.0})
    )
    table = text[text.index('<table class="suspicion">') :]
    assert re.findall(r'<th scope="row">(.*?)</th>', table[: table.index("</table>")]) == [
        "Overall", "Oesophagus", "Liver", "Gallbladder", "Elsewhere",
    ]  # fmt: skip
    assert table.count('<tr class="counts">') == 3
    assert "width:31%" in table and "&lt;1 %" in table


def test_sentences_are_the_documents_or_else_made():
    made, ct, labels = made_report(2)
    told = replace(made.lesions[0], sentence="Edited by a reader.")
    shown = page(replace(made, lesions=(told, made.lesions[1])), ct, labels).text.replace("\u00a0", " ")
    assert "Edited by a reader." in shown and sentence_of(told) not in shown
    assert sentence_of(made.lesions[1]) in shown


def evil_report():
    ct, labels = made_scan()
    mean = record_of(
        labels,
        1,
        type=EVIL,
        organ=EVIL,
        location=EVIL,
        side=EVIL,
        sentence=EVIL,
        attributes={EVIL: Reading(read=EVIL, measured="b")},
    )
    made = findings(
        mean,
        case=EVIL,
        kind=EVIL,
        shape=ct.grid.shape,
        algorithm=replace(ALGORITHM, name=EVIL, version=EVIL, checkpoint=EVIL, weights_sha256=EVIL),
        operating_point=OperatingPoint(least_probability=0.2, calibrated_on=EVIL),
        suspicion={"overall": 0.5, EVIL: 0.5},
        doubts=(Doubt(code=EVIL, words=EVIL),),
        impression=(EVIL,),
    )
    return made, ct, labels


def test_hostile_words_stay_words():
    text = report_html(*evil_report())
    made = Page(text)
    assert "script" not in made.tags and made.tags.count("img") == 5 and made.tags.count("title") == 1
    assert not [name for _, name, _ in made.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in made.text and "$case ${facts} &" in made.text
    assert "\x00" not in text and "\u202e" not in text
    assert "script" not in Page(report_html(*(replace(evil_report()[0], impression=()), *evil_report()[1:]))).tags


def test_without_findings_three_planes_are_shown_and_the_limits_said():
    ct, labels = made_scan(balls=())
    made = findings(lesions=(), shape=ct.grid.shape, impression=(), plain=None, suspicion={})
    shown = page(made, ct, labels)
    assert shown.tags.count("img") == 3
    assert "No lesion of the fifteen types was found" in shown.text and "does not exclude a lesion" in shown.text
    assert "Orange" not in shown.text


def test_many_findings_are_all_listed_the_first_pictured_and_the_page_stays_small():
    rng = np.random.default_rng(0)
    balls = tuple((tuple(rng.uniform(30, 90, 3).tolist()), 3.0) for _ in range(30))
    ct, labels = made_scan(balls=balls)
    noisy = replace(ct, hu=(ct.hu + rng.normal(0, 40, ct.hu.shape)).astype(np.int16))
    some = tuple(record_of(labels, n, probability=1 - n / 60) for n in range(1, 31) if (labels.labels == n).any())
    made = findings(lesions=some, shape=ct.grid.shape, impression=())
    text = report_html(made, noisy, labels)
    shown = Page(text)
    assert shown.tags.count("img") == 5 * MOST_PICTURED and len(cells((made, noisy, labels))) == len(some) + 1
    assert f"Pictures of the first {MOST_PICTURED} of {len(some)} findings." in shown.text
    assert len(text) < 5_000_000


def test_findings_of_another_ct_are_refused():
    made, ct, labels = made_report()
    with pytest.raises(ValueError, match="shape"):
        report_html(replace(made, shape=(1, 2, 3)), ct, labels)


def test_probabilities_of_a_network_nobody_calibrated_are_called_so():
    assert "calibrated on 30 drawn scans" in page(*made_report()).text
    shown = page(*made_report(operating_point=OperatingPoint(least_probability=0.5))).text
    assert "not known to be calibrated" in shown and "is not known" in shown


def test_an_old_report_stays_where_a_new_one_fails(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    made, ct, labels = made_report()
    with pytest.raises(ValueError, match="shape"):
        write_report(path, replace(made, shape=(1, 2, 3)), ct, labels)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_stones_are_told_without_a_relation_to_neighbours():
    made, ct, labels = made_report(1)
    stone = lesion(1, type="kidney_stone", attributes={"invasion": Reading(read="Close relationship with adjacent structures")})
    assert cells((replace(made, lesions=(stone,)), ct, labels))[1][7] == "not assessed"


def compared(**changes):
    told = {
        "prior_case": "case_0",
        "pairs": (
            Pair(prior=1, now=2, prior_mm=20.0, now_mm=30.0, target=True),
            Pair(prior=2, now=None, prior_mm=12.0, now_mm=None),
            Pair(prior=None, now=1, prior_mm=None, now_mm=11.0),
        ),
        "response": Response.PROGRESSIVE,
        "reason": "a new lesion, to be confirmed by a reader",
        "prior_sum_mm": 20.0,
        "now_sum_mm": 30.0,
        "organs": ("liver", "kidney_left"),
        "residual_mm": 6.0,
    }
    return FollowUp(**(told | changes))


def test_a_comparison_lists_every_lesion_at_both_dates():
    made, ct, labels = made_report()
    shown = page(replace(made, follow_up=compared()), ct, labels).text.replace("\u00a0", " ")
    assert "Comparison with case_0" in shown and "progressive disease by the rules of RECIST 1.1" in shown
    assert "1220 → 30+50%yes" in shown and "2–12 → not foundgone" in shown and "–1not found → 11new" in shown
    assert "Registered by liver and left kidney, whose centres meet within 6 mm." in shown
    assert "Comparison with" not in page(made, ct, labels).text


def test_a_comparison_that_failed_says_why_and_hostile_names_stay_words():
    made, ct, labels = made_report()
    failed = compared(
        prior_case=EVIL,
        pairs=(),
        response=Response.NOT_EVALUABLE,
        reason="they cannot be registered",
        organs=(),
        residual_mm=None,
    )
    told = Page(report_html(replace(made, follow_up=failed), ct, labels))
    assert "script" not in told.tags and "they cannot be registered" in told.text
