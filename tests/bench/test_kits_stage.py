import re

import numpy as np
import pytest
from kits_made import mask, quickly, row, write_kits

from panlesion.bench import kits_features
from panlesion.bench.kits_features import KitsCase
from panlesion.bench.kits_stage import ARMS, GRADES, endpoints, run_kits_stage, staged_cases
from panlesion.bench.protocol import Asked, Choices
from panlesion.data.sources.kits_masks import TStage, read_clinical
from panlesion.errors import StoreError

STAGES = ("1a", "1b", "2a", "2b", "3", "4")
RADII = {"1a": 6.0, "1b": 9.0, "2a": 12.0, "2b": 13.0, "3": 14.0, "4": 15.0}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Thirty patients whose tumours grow with their stage, three that have none, and one row that breaks a rule."""
    root = tmp_path_factory.mktemp("data")
    rows = [row(f"case_{n:03d}", stage=STAGES[n % 6], age=40 + n % 30) for n in range(30)]
    rows += [row("case_030", stage="na", malignant="False"), row("case_031", stage="", malignant=""),
             row("case_032", stage="3", histology="transitional_cell_carcinoma"), row("case_033", stage="9")]  # fmt: skip
    shapes = {stage: mask(radius) for stage, radius in RADII.items()}
    write_kits(root, rows, {one["case_id"]: shapes.get(one["pathology_t_stage"], shapes["1a"]) for one in rows})
    return root


def cases(tree):
    patients = read_clinical(tree / "kits23").patients
    return [KitsCase(patient=one, numbers={"diameter_mm": 20.0}) for one in patients]


def test_only_renal_cell_carcinoma_of_known_stage_is_asked_about_and_the_others_are_counted(tree):
    kept, who = staged_cases(cases(tree))
    assert len(kept) == 30
    assert "Of 33 cases 30 are staged" in who
    assert "1 benign; 1 stage or malignancy unknown; 1 urothelial" in who


def test_grades_rise_with_the_stage_and_endpoints_cut_them(tree):
    assert [GRADES[stage] for stage in TStage] == [0, 1, 2, 2, 3, 3]
    kept, _ = staged_cases(cases(tree))
    high, grade, invasion = endpoints(kept)
    stages = [case.patient.t_stage for case in kept]
    assert high.outcome[:, 0].tolist() == [stage not in (TStage.T1A, TStage.T1B) for stage in stages]
    assert invasion.outcome[:, 0].tolist() == [stage in (TStage.T3, TStage.T4) for stage in stages]
    assert grade.counts == "5 pT1a, 5 pT1b, 10 pT2, 10 pT3-4."
    assert all(set(arm.columns) <= set(high.columns) for arm in ARMS)


def test_too_few_of_a_stage_are_refused_with_their_counts(tree):
    kept, _ = staged_cases(cases(tree))
    with pytest.raises(StoreError, match=r"there are 5 of pT1a, 5 of pT1b, 4 of pT2, 10 of pT3-4.*raise --cases"):
        endpoints([case for n, case in enumerate(kept) if not (n % 6 in (2, 3) and n >= 12)])


def test_a_run_finds_that_size_tells_the_stage_and_lists_the_bad_row(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(kits_features, "_measured", quickly)
    asked = Asked(
        root=tree, checkpoint="nano", out=tmp_path, choices=Choices(arms=("radiologist's size",), seeds=1),
    )  # fmt: skip
    about, high, grade, invasion, hits = run_kits_stage("kits23", asked, lambda *_: None)
    assert "case_033: pathology_t_stage is '9'" in " ".join(about.notes)
    assert [line[0] for line in high.rows] == ["size alone", "radiologist's size"]
    assert all(float(re.match(r"[\d.]+", table.rows[0][1])[0]) == 1.0 for table in (high, grade, invasion))
    assert float(hits.rows[0][3]) == pytest.approx(1 / 3, abs=1e-3)
    assert float(hits.rows[1][1].split()[0]) < 0.15 < float(hits.rows[0][1])
    assert (tmp_path / "roc.png").stat().st_size > 1000
    assert np.isfinite([score.low for table in (high, grade, invasion) for score in table.scores]).all()


def test_an_unknown_arm_is_refused_before_anything_is_measured(tree, tmp_path):
    asked = Asked(root=tree, checkpoint="nano", out=tmp_path / "none", choices=Choices(arms=("tea leaves",)))
    with pytest.raises(ValueError, match="tea leaves is no arm; use some of size alone, five sizes"):
        run_kits_stage("kits23", asked, lambda *_: None)
    assert not (tmp_path / "none").exists()
