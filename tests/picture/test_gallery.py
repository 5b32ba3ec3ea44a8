import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.picture.gallery import Card, choose, make_card, write_gallery
from panlesion.picture.window import WINDOWS


def a_card(id="000001", kind="liver cyst", lines=()):
    grid = standard_grid((20, 20, 20), 2.0)
    label = np.zeros(grid.shape, dtype=np.uint8)
    label[8:12, 8:12, 8:12] = 2
    hu = np.zeros(grid.shape, dtype=np.int16)
    return make_card(id, kind, Volume(hu=hu, grid=grid), LabelMap(labels=label, grid=grid), window=WINDOWS["soft"], lines=lines)


def test_a_card_is_a_small_jpeg():
    card = a_card()
    assert len(card.jpeg) < 60_000
    with Image.open(io.BytesIO(card.jpeg)) as image:
        assert image.format == "JPEG"


def test_the_file_needs_nothing_from_outside(tmp_path):
    write_gallery(tmp_path / "g.html", [a_card()], title="cohort")
    text = (tmp_path / "g.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sources and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "http" not in text and "@import" not in text and "url(" not in text


def test_every_case_is_there_with_picture_and_report_and_every_type_has_its_button(tmp_path):
    cards = [a_card(f"{n:06d}", ("liver cyst", "gallstone")[n % 2], [("Shape", "Round-like")]) for n in range(5)]
    write_gallery(tmp_path / "g.html", iter(cards), title="cohort")
    text = (tmp_path / "g.html").read_text()
    assert all(f">{'liver cyst' if n % 2 == 0 else 'gallstone'}</b> {n:06d}<" in text for n in range(5))
    assert base64.b64encode(cards[0].jpeg).decode() in text
    assert text.count("<dt>Shape</dt><dd>Round-like</dd>") == 5
    assert "liver cyst 3</button>" in text and "gallstone 2</button>" in text
    assert "5 cases." in text


def test_what_is_left_out_is_told(tmp_path):
    write_gallery(tmp_path / "g.html", [a_card()], title="cohort", of=700)
    assert "1 of 700 cases" in (tmp_path / "g.html").read_text()


def test_words_of_the_data_cannot_break_the_page(tmp_path):
    evil = Card(id="<b>", kind='a"><script>x</script>', jpeg=b"", lines=[("<i>", "&")])
    write_gallery(tmp_path / "g.html", [evil], title="<title>")
    text = (tmp_path / "g.html").read_text()
    assert text.count("<script>") == 1

    class Checker(HTMLParser):
        tags: list[str] = []

        def handle_starttag(self, tag, _attrs):
            self.tags.append(tag)

    Checker().feed(text)
    assert "i" not in Checker.tags
    assert Checker.tags.count("title") == 1


def test_all_cases_are_chosen_where_they_fit():
    assert choose([3, 1, 2], str, most=3) == [3, 1, 2]


def test_the_choice_is_even_over_the_types_and_keeps_the_order():
    cases = [("a", n) for n in range(100)] + [("b", n) for n in range(2)] + [("c", n) for n in range(50)]
    chosen = choose(cases, lambda case: case[0], most=20)
    assert len(chosen) == 20
    assert chosen == sorted(chosen)
    assert [sum(kind == name for kind, _ in chosen) for name in "abc"] == [9, 2, 9]
