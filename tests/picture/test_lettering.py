from PIL import Image, ImageDraw

from panlesion.picture.lettering import INK, paragraph, spelled, width_px, wrapped


def test_no_line_is_longer_than_the_limit_and_no_word_is_lost():
    text = "close relationship with adjacent structures, protruding from the organ surface"
    lines = wrapped(text, 16, 150)
    assert len(lines) > 1
    assert all(width_px(line, 16) <= 150 for line in lines)
    assert " ".join(lines) == text


def test_a_word_longer_than_the_limit_is_kept_whole():
    assert wrapped("a oesophagogastroduodenoscopy b", 16, 40)[1] == "oesophagogastroduodenoscopy"


def test_signs_without_a_glyph_are_spelled():
    assert spelled("28 × 29 ≥ 3") == "28 x 29 >= 3"


def test_a_paragraph_tells_where_the_next_one_starts():
    page = Image.new("RGB", (200, 200))
    below = paragraph(ImageDraw.Draw(page), (0, 10), "one two three four", size=16, colour=INK, limit_px=60)
    assert page.getbbox()[3] <= below
    assert below > 10 + 16
