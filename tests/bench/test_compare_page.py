import base64
import re
import xml.etree.ElementTree as ElementTree

from results_made import answers, few_shot, survival

from panlesion.bench.compare import read_results
from panlesion.bench.compare_page import ANEW, OURS, PAPER, RIVAL, curves_of, html_page, spoke_of, told_differences
from panlesion.bench.predictions import Said


def pictures(page):
    return {
        alt: base64.b64decode(data).decode()
        for alt, data in re.findall(r"alt='([^']*)' src='data:image/svg\+xml;base64,([^']*)'", page)
    }


def test_the_page_stands_alone_and_its_pictures_are_whole(tmp_path):
    page = html_page(read_results([few_shot(tmp_path / "a"), few_shot(tmp_path / "b", "sts"), survival(tmp_path / "c")]))
    found = pictures(page)
    assert set(found) == {
        "Radar of all rows", "Forest plot of paired differences", "Few-shot curves of a", "Few-shot curves of b",
        "ROC: Lung cancer: survival", "Survival: Lung cancer: survival, head",
    }  # fmt: skip
    for svg in found.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert not re.findall(r"(?:src|href)='(?!data:)", page)
    assert "http" not in page


def test_names_cannot_break_out_of_the_page(tmp_path):
    said = [
        Said(case=one.case, patient=one.patient, arm="<script>x", evidence=one.evidence, truth=one.truth) for one in answers()
    ]
    page = html_page(read_results([survival(tmp_path / "a<b>'", said)]))
    assert "<script>" not in page
    assert "a<b>" not in page


def test_few_rows_have_no_radar_and_stand_ins_no_picture(tmp_path):
    page = html_page(read_results([few_shot(tmp_path / "a"), few_shot(tmp_path / "b", "gallstone-few", stand_in=True)]))
    assert set(pictures(page)) == {"Forest plot of paired differences", "Few-shot curves of a"}


def test_a_spoke_is_the_fine_tuned_arm_at_most_shots_beside_the_paper(tmp_path):
    (result,) = read_results([few_shot(tmp_path / "a")])
    values = spoke_of(result).values
    assert {name: round(value, 3) for name, value in values.items()} == {OURS: 0.55, ANEW: 0.4, PAPER: 0.4, RIVAL: 0.18}
    (ours,) = read_results([few_shot(tmp_path / "b", "sts")])
    assert spoke_of(ours).values[PAPER] is None


def test_curves_hold_the_papers_numbers_that_could_be_read(tmp_path):
    (gastric,) = read_results([few_shot(tmp_path / "a", "gastric_cancer-few")])
    by_name = {curve.name: curve for curve in curves_of(gastric)}
    assert by_name["fine-tuned"].shots == (1, 2, 4)
    assert by_name["paper"].shots == (1, 2, 4, 8, 16)
    assert by_name["best rival"].shots == (4, 8, 16)
    (bone,) = read_results([few_shot(tmp_path / "b", "bone_metastasis-few")])
    assert "best rival (at most)" in {curve.name for curve in curves_of(bone)}
    (survival_,) = read_results([survival(tmp_path / "c")])
    assert curves_of(survival_) == []


def test_of_many_rows_the_main_difference_is_drawn(tmp_path):
    (result,) = read_results([few_shot(tmp_path / "a")])
    assert len(told_differences(result, few=False)) == len(told_differences(result, few=True)) == 3


def test_what_cannot_be_drawn_is_said_with_the_reason(tmp_path):
    one_kind = [Said(case=f"c{n}", patient=f"p{n}", arm="x", evidence=float(n), truth=True) for n in range(4)]
    page = html_page(read_results([survival(tmp_path / "a", one_kind)]))
    assert "no curve, since 4 of 4 cases are positive" in page
    level = [Said(case=f"c{n}", patient=f"p{n}", arm="x", evidence=1.0, time=5.0, event=True) for n in range(4)]
    page = html_page(read_results([survival(tmp_path / "b", level)]))
    assert "cannot be parted into halves" in page
