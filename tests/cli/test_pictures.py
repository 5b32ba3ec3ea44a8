import numpy as np
import pytest
from cohorts_made import make_cohort

from panlesion.cli._pictures import Opener, complete_cases, draw_case, kind_of, root_of, write_cohort_gallery
from panlesion.data.store import find_case
from panlesion.errors import StoreError


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return make_cohort(tmp_path_factory.mktemp("cohort"))


def test_a_case_is_opened_with_its_healthy_ct_whether_full_or_delta(cohort):
    opener = Opener(cohort)
    for case in complete_cases(cohort):
        opened, healthy = opener.open(case)
        assert healthy is not None
        differs = opened.image.hu != healthy.hu
        assert differs[opened.label.labels == 2].all()
        assert not differs[:5].any()


def test_a_case_whose_host_is_gone_is_shown_alone(cohort, tmp_path):
    lone = tmp_path / "Liver" / "Tumor" / "000000"
    lone.parent.mkdir(parents=True)
    (cohort / "Liver" / "Tumor" / "000000").rename(lone)
    try:
        case = find_case(lone, tmp_path)
        assert Opener(tmp_path).open(case)[1] is None
        assert draw_case(case, Opener(tmp_path)).width > 800
    finally:
        lone.rename(cohort / "Liver" / "Tumor" / "000000")


def test_the_root_of_a_case_is_where_the_hosts_are(cohort, tmp_path):
    assert root_of(cohort / "Liver" / "Tumor" / "000000") == cohort
    assert root_of(tmp_path / "a" / "b" / "c") == tmp_path


def test_cases_are_named_after_their_type(cohort):
    assert [kind_of(case) for case in complete_cases(cohort)] == ["liver cyst", "liver tumour", "liver tumour"]


def test_a_folder_without_cases_is_refused_with_what_would_be_one(tmp_path):
    with pytest.raises(StoreError, match=r"type\.json"):
        complete_cases(tmp_path)


def test_the_gallery_holds_every_case_and_nothing_from_outside(cohort, tmp_path):
    target, shown, there = write_cohort_gallery(cohort, tmp_path / "g.html")
    text = target.read_text()
    assert (shown, there) == (3, 3)
    assert text.count("<figure") == 3
    assert "http" not in text
    assert "liver tumour 2" in text


def test_a_sheet_shows_the_change(cohort):
    case = next(case for case in complete_cases(cohort) if case.type == "liver_tumor")
    sheet = np.asarray(draw_case(case, Opener(cohort)))
    top, left, px, gap = 100, 24, 320, 6
    close = [sheet[top : top + px, left + n * (px + gap) :][:, :px] for n in (2, 3, 4)]
    assert close[1].mean() < close[0].mean()  # the lesions of these cases are darker than their hosts
    assert (close[2] != close[1]).any()
