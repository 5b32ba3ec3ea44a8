from collections import Counter

from panlesion.ct.phase import Phase
from panlesion.data.host_folder import HostCard
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.synth.assign import MAX_HOSTS_TRIED, MINIMUM_ORGAN_ML, case_rng, plan_cases
from panlesion.synth.recipe import Recipe


def card(name, **volumes):
    return HostCard(
        id=name,
        phase=Phase.PORTAL,
        spacing_mm=1.0,
        shape=(10, 10, 10),
        volumes_ml={int(label[1:]): volume for label, volume in volumes.items()},
        source={},
    )


CARDS = [card("a", l5=1400.0), card("b", l5=1400.0, l2=150.0), card("c", l5=1400.0, l3=49.0), card("d", l5=150.0)]
TWO = (LesionType.LIVER_TUMOR, LesionType.KIDNEY_CYST)


def test_hosts_are_used_equally_often_and_only_where_they_hold_the_organ():
    jobs, impossible = plan_cases(Recipe(hosts="x", types=TWO, per_type=12, seed=1), CARDS)
    used = Counter((job.type, job.hosts[0]) for job in jobs)
    assert {used[LesionType.LIVER_TUMOR, name] for name in "abc"} == {4}
    assert used[LesionType.KIDNEY_CYST, "b"] == 12
    assert impossible == []
    for job in jobs:
        assert len(set(job.hosts)) == len(job.hosts) <= MAX_HOSTS_TRIED


def test_cases_of_a_host_stand_together():
    jobs, _ = plan_cases(Recipe(hosts="x", types=TWO, per_type=12, seed=1), CARDS)
    groups = [job.group for job in jobs]
    assert groups == sorted(groups)


def test_a_type_without_host_is_told():
    jobs, impossible = plan_cases(Recipe(hosts="x", types=(LesionType.LUNG_TUMOR,), per_type=3, seed=1), CARDS)
    assert (jobs, impossible) == ([], [LesionType.LUNG_TUMOR])


def test_a_case_does_not_depend_on_how_many_there_are_or_what_else_is_made():
    few, _ = plan_cases(Recipe(hosts="x", types=TWO[:1], per_type=5, seed=1), CARDS)
    many, _ = plan_cases(Recipe(hosts="x", types=TWO, per_type=20, seed=1), list(reversed(CARDS)))
    assert set(few) <= set(many)


def test_generators_differ_between_cases_types_attempts_and_seeds():
    keys = [(s, t, i, a) for s in (0, 1) for t in TWO for i in (0, 1) for a in (0, 1)]
    assert len({case_rng(*key).integers(2**62) for key in keys}) == len(keys)
    assert case_rng(*keys[3]).integers(2**62) == case_rng(*keys[3]).integers(2**62)


def test_every_type_says_how_much_organ_it_needs():
    assert set(MINIMUM_ORGAN_ML) == set(TYPES)


def test_a_drawn_field_of_view_serves_the_types_it_was_drawn_for():
    chest = HostCard(
        id="p", phase=Phase.PORTAL, spacing_mm=1.0, shape=(9, 9, 9), volumes_ml={5: 900.0, 42: 30.0}, source={"region": "chest"}
    )
    types = (LesionType.LIVER_TUMOR, LesionType.ESOPHAGEAL_CANCER)
    jobs, impossible = plan_cases(Recipe(hosts="phantom", types=types, per_type=1, seed=1), [chest])
    assert [job.type for job in jobs] == [LesionType.ESOPHAGEAL_CANCER]
    assert impossible == [LesionType.LIVER_TUMOR]
