from dataclasses import replace

import numpy as np
import pytest

from panlesion.bench import held_out_scans
from panlesion.bench.held_out_scans import FIRST_SEED, MOST_CASES, MOST_SEED, HeldOutScan, ScanJob, Split, make_scan
from panlesion.bench.held_out_scans import threshold_baseline as baseline
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.detection import compare, tally


def job(**changes):
    made = {"split": Split.TEST, "type": LesionType.LIVER_CYST, "index": 0, "seed": 0, "spacing_mm": 5.0}
    return ScanJob(**(made | changes))


def test_no_two_scans_share_a_body_and_none_is_a_cohorts():
    jobs = [
        job(split=split, type=kind, index=index, seed=seed)
        for split in Split
        for kind in (None, *LesionType)
        for index in (0, 1, MOST_CASES - 1)
        for seed in (0, 1, MOST_SEED)
    ]
    seeds = [one.body_seed(attempt) for one in jobs for attempt in range(held_out_scans.MOST_BODIES)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= FIRST_SEED == 2**31  # cohorts draw theirs below
    assert max(seeds) < 2**32  # one word of entropy, as in every other phantom
    halves = [{one.body_seed(0) // 2**30 for one in jobs if one.split is split} for split in Split]
    assert halves == [{2}, {3}]


def test_a_scan_is_the_same_again_and_holds_what_it_says():
    scan, again = make_scan(job()), make_scan(job())
    assert np.array_equal(scan.ct.hu, again.ct.hu)
    assert np.array_equal(scan.lesion, again.lesion)
    assert scan.lesion.any()
    assert scan.ct.grid.same_as(scan.organs.grid)
    near = scan.organs.labels[scan.lesion]
    assert np.mean(near == V1_LABELS["liver"]) > 0.5
    healthy = make_scan(job(type=None))
    assert not healthy.lesion.any()
    assert healthy.body_seed != scan.body_seed


def test_a_body_without_room_is_replaced_and_in_the_end_reported(monkeypatch):
    refused = []

    def refuse(_host, types, _rng):
        refused.append(types)
        raise PlacementError("no room in the liver")

    small = held_out_scans.make_phantom(1, spacing_mm=10.0)
    monkeypatch.setattr(held_out_scans, "make_phantom", lambda *_, **__: small)
    monkeypatch.setattr(held_out_scans, "make_case", refuse)
    with pytest.raises(PlacementError, match=r"test_liver_cyst_000: 8 bodies .* no room in the liver"):
        make_scan(job())
    assert len(refused) == 8


def test_numbers_beyond_the_reserved_seeds_are_refused():
    for changes in ({"seed": MOST_SEED + 1}, {"seed": -1}, {"index": MOST_CASES}):
        with pytest.raises(ValueError, match="use a seed"):
            job(**changes)


def liver_with(contrast_hu, kind=LesionType.LIVER_CYST):
    rng = np.random.default_rng(0)
    organs = np.zeros((40, 40, 40), dtype=np.uint8)
    organs[5:35, 5:35, 5:35] = V1_LABELS["liver"]
    lesion = np.zeros(organs.shape, dtype=bool)
    lesion[12:18, 12:18, 12:18] = True
    hu = rng.normal(60, 10, organs.shape) + contrast_hu * lesion
    hu[organs == 0] = -100
    grid = standard_grid(organs.shape, 2.5)
    return HeldOutScan(
        job=job(type=kind), ct=Volume(hu=hu.astype(np.int16), grid=grid), organs=LabelMap(labels=organs, grid=grid),
        lesion=lesion if kind else np.zeros_like(lesion), phase="portal", body_seed=0, attempts=1,
    )  # fmt: skip


def test_the_baseline_finds_a_plain_cyst_and_not_a_faint_one():
    plain = liver_with(-55)
    reading = compare(baseline(plain), plain.lesion)
    assert reading.dice > 0.8
    assert tally([reading]).hits == 1
    faint = liver_with(-4)
    assert compare(baseline(faint), faint.lesion).dice < 0.2


def test_the_baseline_asks_every_organ_of_a_lesion_free_scan():
    scan = liver_with(-55, kind=None)
    assert compare(baseline(scan), scan.lesion).parts
    nothing = replace(scan, organs=LabelMap(labels=np.zeros_like(scan.organs.labels), grid=scan.organs.grid))
    assert not baseline(nothing).any()
