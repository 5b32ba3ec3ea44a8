import numpy as np
import pytest
from masks_made import drawn, write_folders

from panlesion.bench.evaluate import evaluate
from panlesion.bench.mask_pairs import Checked, check_pairs, find_pairs
from panlesion.ct.nifti import read_labels, write_labels
from panlesion.measure.detection import HitRule
from panlesion.measure.resampling import bootstrap_mean


def run(folders, names=None, *, patients=None, merge=False, **more):
    pairs, problems = find_pairs(*folders, patients)
    assert problems == []
    return evaluate(check_pairs(pairs, names or {}, merge=merge), predicted=folders[0], truth=folders[1], **more)


def metrics_of(found, name):
    return {one.id: one for one in next(one for one in found.classes if one.name == name).metrics}


def test_means_are_those_of_the_masks(tmp_path):
    folders = write_folders(tmp_path, 5)
    found = run(folders)
    for value in (1, 2):
        overlaps, errors = [], []
        for n in range(5):
            said, true = (read_labels(folder / f"case_{n}.nii.gz").labels == value for folder in folders)
            overlaps.append(2 * (said & true).sum() / (said.sum() + true.sum()))
            errors.append((int(said.sum()) - int(true.sum())) * 0.008)
        metrics = metrics_of(found, f"class_{value}")
        expected = bootstrap_mean(overlaps, [str(n) for n in range(5)])
        got = metrics["dice"].interval
        assert (got.mean, got.low, got.high, got.n) == pytest.approx((expected.mean, expected.low, expected.high, 5))
        assert metrics["volume_error_ml"].interval.mean == pytest.approx(np.mean(errors))
        assert metrics["lesion_sensitivity"].interval.mean == 1.0
        assert metrics["nsd"].interval.mean == 1.0  # a voxel off is within 2 mm
    assert len(found.rows) == 10


def test_a_perfect_prediction_has_perfect_scores(tmp_path):
    found = run(write_folders(tmp_path, 3, shift=0))
    for one in found.classes:
        metrics = {metric.id: metric.interval.mean for metric in one.metrics}
        assert all(metrics[name] == 1.0 for name in ("dice", "nsd", "lesion_sensitivity", "lesion_precision", "lesion_f1"))
        assert all(value == 0.0 for name, value in metrics.items() if "mm" in name or "error" in name or "false" in name)


def test_tolerance_and_rule_reach_the_scores(tmp_path):
    folders = write_folders(tmp_path, 3)
    strict = metrics_of(run(folders, tolerance_mm=1.0, rule=HitRule(at_least=0.99)), "class_1")
    assert strict["nsd"].interval.mean < 1.0
    assert strict["lesion_sensitivity"].interval.mean == 0.0
    assert strict["false_per_scan"].interval.mean == 1.0


def test_cases_without_the_class_count_for_false_positives_alone(tmp_path):
    folders = write_folders(tmp_path, 4)
    for n in range(2):
        write_labels(folders[1] / f"case_{n}.nii.gz", drawn(n, values=(2,)))
    found = run(folders, {1: "tumour", 2: "cyst"})
    tumour = next(one for one in found.classes if one.name == "tumour")
    metrics = metrics_of(found, "tumour")
    assert (tumour.cases, tumour.cases_with, tumour.lesions) == (4, 2, 2)
    assert metrics["dice"].cases == metrics["dice"].interval.n == 2
    assert metrics["false_per_scan"].interval.mean == 0.5 and metrics["false_per_scan"].interval.n == 4
    assert metrics["lesion_precision"].interval.mean == 0.5
    assert metrics_of(found, "cyst")["false_per_scan"].interval.mean == 0.0


def test_a_missed_case_has_dice_0_and_its_distance_is_counted_as_left_out(tmp_path):
    folders = write_folders(tmp_path, 4)
    for n in range(3):
        write_labels(folders[0] / f"case_{n}.nii.gz", drawn(n, values=(2,), shift=1))
    metrics = metrics_of(run(folders), "class_1")
    assert metrics["dice"].cases == 4 and metrics["dice"].left_out == 0
    assert (metrics["hd95_mm"].cases, metrics["hd95_mm"].left_out) == (1, 3)
    assert "3 left out" in metrics["hd95_mm"].text and "(n = 1)" in metrics["hd95_mm"].text
    assert metrics["lesion_sensitivity"].interval.mean == 0.25


def test_a_class_that_occurs_nowhere_has_no_numbers_but_its_false_positives(tmp_path):
    metrics = metrics_of(run(write_folders(tmp_path, 2), {1: "tumour", 2: "cyst", 5: "stone"}), "stone")
    assert metrics["dice"].interval is None and metrics["dice"].text == "none"
    assert metrics["lesion_sensitivity"].interval is None
    assert metrics["false_per_scan"].interval.mean == 0.0


def test_patients_are_resampled_whole(tmp_path):
    folders = write_folders(tmp_path, 6)
    table = tmp_path / "patients.csv"
    table.write_text("case,patient\n" + "".join(f"case_{n},{n // 3}\n" for n in range(6)))
    found = run(folders, patients=table)
    assert found.patients == 2
    assert all(metric.interval.n == 2 for one in found.classes for metric in one.metrics)


def test_merged_masks_are_one_class_whatever_their_values(tmp_path):
    folders = write_folders(tmp_path, 2, shift=0)
    for n in range(2):
        label = drawn(n)
        write_labels(
            folders[0] / f"case_{n}.nii.gz", type(label)(labels=(label.labels > 0).astype(np.uint8) * 9, grid=label.grid)
        )
    found = run(folders, merge=True)
    assert [one.name for one in found.classes] == ["lesion"]
    assert metrics_of(found, "lesion")["dice"].interval.mean == 1.0


def test_the_same_masks_give_the_same_numbers(tmp_path):
    folders = write_folders(tmp_path, 3)
    assert run(folders) == run(folders)


def test_pairs_with_problems_are_not_scored(tmp_path):
    with pytest.raises(ValueError, match="0 pairs with 0 problems"):
        evaluate(Checked(pairs=(), classes=(), problems=()), predicted=tmp_path, truth=tmp_path)
    pairs, _ = find_pairs(*write_folders(tmp_path, 1))
    with pytest.raises(ValueError, match="1 pairs with 1 problems"):
        evaluate(Checked(pairs=tuple(pairs), classes=(), problems=("x",)), predicted=tmp_path, truth=tmp_path)
    for tolerance_mm in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="tolerance is"):
            evaluate(check_pairs(pairs, {}), predicted=tmp_path, truth=tmp_path, tolerance_mm=tolerance_mm)
