import numpy as np
import pytest
from records_made import findings, lesion

from panlesion.ct.organs import V1_LABELS
from panlesion.ct.volume import Grid, LabelMap
from panlesion.infer.follow_up import compare, paired, register
from panlesion.infer.record import Caliper, Response, read_findings, write_findings

SPACING = 4.0
ORGANS = {"liver": (30, 20, 30, 9), "spleen": (60, 20, 30, 6), "kidney_left": (58, 35, 20, 5), "kidney_right": (34, 36, 19, 5)}


def body(shift_mm=(0.0, 0.0, 0.0), stretch=1.0, leave_out=(), cut_k=0):
    """Balls for organs; the world is shifted and stretched by the affine of the image."""
    labels = np.zeros((90, 60, 50), dtype=np.uint8)
    at = np.indices(labels.shape)
    for name, (*middle, radius) in ORGANS.items():
        if name not in leave_out:
            inside = sum((a - m) ** 2 for a, m in zip(at, middle, strict=True)) < radius**2
            labels[inside] = V1_LABELS[name]
    affine = np.diag([-SPACING * stretch, -SPACING * stretch, SPACING * stretch, 1.0])
    affine[:3, 3] = shift_mm
    labels = np.ascontiguousarray(labels[:, :, cut_k:])
    affine[2, 3] += cut_k * SPACING * stretch
    return LabelMap(labels=labels, grid=Grid(shape=labels.shape, affine=affine))


def at(number, xyz, long_mm=20.0, type="liver_tumor"):
    calipers = {
        name: Caliper(length_mm=mm, ends_ijk=((0, 0, 0), (1, 0, 0)), ends_xyz=((0, 0, 0), (1, 0, 0)))
        for name, mm in (("long", long_mm), ("short", long_mm / 2))
    }
    return lesion(number, type=type, centre_xyz=tuple(map(float, xyz)), diameter_mm=long_mm, **calipers)


@pytest.mark.parametrize("shift", [(0, 0, 0), (40.0, -25.0, 300.0)])
@pytest.mark.parametrize("stretch", [1.0, 1.05])
def test_a_moved_patient_is_brought_back(shift, stretch):
    found = register(body(), body(shift, stretch))
    for ijk in ((30, 20, 30), (60, 20, 30), (45, 30, 25)):
        there = body().grid.to_xyz(np.array(ijk, float))
        here = body(shift, stretch).grid.to_xyz(np.array(ijk, float))
        assert np.linalg.norm(found.moved(there) - here) < 2.0
    assert found.residual_mm < 2.0


def test_two_organs_do_not_shear_a_patient():
    out = ("kidney_left", "kidney_right")
    found = register(body(leave_out=out), body((30.0, 0, 0), leave_out=out))
    assert np.abs(np.linalg.svd(found.affine[:3, :3])[1] - 1).max() < 0.05


def test_organs_that_are_cut_off_are_no_landmarks():
    found = register(body(), body(cut_k=19))  # both kidneys lie partly below
    assert set(found.organs) == {"liver", "spleen"}


def test_too_few_organs_cannot_be_registered():
    out = ("spleen", "kidney_left", "kidney_right")
    assert register(body(), body(leave_out=out)) is None
    told = compare(findings(lesion()), body(), findings(lesion()), body(leave_out=out))
    assert told.response is Response.NOT_EVALUABLE and "cannot be registered" in told.reason


def test_lesions_are_paired_by_place_and_organ_not_by_order():
    shift = np.array([40.0, 0, 0])
    moved = register(body(), body(tuple(shift)))
    prior = [at(1, (-120, -80, 120)), at(2, (-240, -80, 120), type="kidney_cyst"), at(3, (-120, -80, 40))]
    now = [at(1, prior[2].centre_xyz + shift), at(2, prior[0].centre_xyz + shift), at(3, (0, 0, 0), type="lung_tumor")]
    found = [(a and a.number, b and b.number) for a, b in paired(prior, now, moved)]
    assert found == [(1, 2), (3, 1), (2, None), (None, 3)]


def test_every_lesion_is_in_one_pair():
    rng = np.random.default_rng(0)
    moved = register(body(), body())
    prior = [at(n, rng.uniform(-100, 100, 3)) for n in range(1, 9)]
    now = [at(n, rng.uniform(-100, 100, 3)) for n in range(1, 6)]
    pairs = paired(prior, now, moved)
    assert sorted(a.number for a, _ in pairs if a) == list(range(1, 9))
    assert sorted(b.number for _, b in pairs if b) == list(range(1, 6))


HERE, THERE = (-120.0, -80.0, 120.0), (-240.0, -80.0, 120.0)


@pytest.mark.parametrize(
    ("prior", "now", "response"),
    [
        ([at(1, HERE, 20)], [at(1, HERE, 20)], Response.STABLE),
        ([at(1, HERE, 20)], [at(1, HERE, 14)], Response.PARTIAL),
        ([at(1, HERE, 20)], [at(1, HERE, 14.2)], Response.STABLE),
        ([at(1, HERE, 20)], [], Response.COMPLETE),
        ([at(1, HERE, 20), at(2, THERE, 8)], [at(1, THERE, 8)], Response.PARTIAL),  # what is no target is still there
        ([at(1, HERE, 30)], [at(1, HERE, 36)], Response.PROGRESSIVE),
        ([at(1, HERE, 20)], [at(1, HERE, 24)], Response.STABLE),  # 20 %, but 4 mm only
        ([at(1, HERE, 20)], [at(1, HERE, 10), at(2, THERE, 12)], Response.PROGRESSIVE),  # a new lesion
        ([at(1, HERE, 20)], [at(1, HERE, 20), at(2, THERE, 12, "liver_cyst")], Response.STABLE),  # a new cyst is none
        ([at(1, HERE, 9)], [at(1, HERE, 9)], Response.NOT_EVALUABLE),
        ([at(1, HERE, 30, "liver_cyst")], [at(1, HERE, 30, "liver_cyst")], Response.NOT_EVALUABLE),
        ([], [], Response.NOT_EVALUABLE),
    ],
)
def test_response(prior, now, response):
    told = compare(findings(lesions=tuple(prior)), body(), findings(lesions=tuple(now)), body())
    assert told.response is response, told.reason


def test_at_most_two_targets_in_an_organ_and_five_in_all():
    liver = [at(n, (-120, -80, 40 * n), 20 + n) for n in range(1, 5)]
    lungs = [at(n, (-300, -80, 40 * n), 20, "lung_tumor") for n in range(5, 8)]
    others = [at(8, (0, 0, 0), 20, "kidney_tumor"), at(9, (0, 0, 200), 15, "bone_metastasis")]
    every = findings(lesions=(*liver, *lungs, *others))
    told = compare(every, body(), every, body())
    targets = {pair.prior for pair in told.pairs if pair.target}
    assert {3, 4} <= targets and not {1, 2} & targets  # the two largest of the liver
    assert len(targets) == 5 and len(targets & {5, 6, 7}) == 2


def test_a_comparison_is_kept_in_the_document(tmp_path):
    told = compare(findings(lesion()), body(), findings(lesion()), body((5.0, 0, 0)))
    made = findings(lesion(), follow_up=told)
    write_findings(tmp_path / "f.json", made)
    assert read_findings(tmp_path / "f.json") == made
