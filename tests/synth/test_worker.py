import fake_compose
import numpy as np
import pytest
from hosts_made import SPACING_MM, write_hosts

from panlesion.ct.organ_files import OrganNumbering
from panlesion.data.store import CaseReader, iterate_cases
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import LesionType
from panlesion.synth import worker
from panlesion.synth.assign import CaseJob
from panlesion.synth.hosts import find_hosts, prepare_host
from panlesion.synth.recipe import Recipe
from panlesion.synth.worker import CaseMaker


@pytest.fixture
def recipe(tmp_path):
    write_hosts(tmp_path / "in")
    for source in find_hosts(tmp_path / "in", OrganNumbering.V2)[0]:
        prepare_host(source, out=tmp_path / "out", spacing_mm=SPACING_MM)
    return Recipe(
        hosts="in", types=(LesionType.KIDNEY_CYST,), per_type=9, seed=1, spacing_mm=SPACING_MM, size_voxels=32, lesions=(2, 2)
    )


def job(index=0, view=0, hosts=("h0", "h1", "h2")):
    return CaseJob(type=LesionType.KIDNEY_CYST, index=index, view=view, hosts=hosts)


def made(out):
    reader = CaseReader(out)
    return {found.id: reader.read(found) for found in iterate_cases(out)}


class RefuseIn:
    """A composer that finds no room in some hosts."""

    def __init__(self, *names):
        self.names, self.seen = names, []

    def __call__(self, host, types, rng):
        self.seen.append(host)
        if host.id in self.names:
            raise PlacementError(f"no room in {host.id}")
        return fake_compose.compose(host, types, rng)


def test_the_record_tells_where_a_case_comes_from(recipe, tmp_path):
    assert CaseMaker(recipe=recipe, out=tmp_path / "out", compose=fake_compose.compose).make(job(index=3)) == 1
    (case,) = made(tmp_path / "out").values()
    record = case.record
    assert (record["id"], record["type"], record["index"], record["seed"]) == ("kidney_cyst_00003", "kidney_cyst", 3, 1)
    assert (record["host"], record["attempts"], record["refused"]) == ("h0", 1, [])
    assert np.ptp(record["crop"], axis=0).tolist() == [32, 32, 32]
    assert [lesion["seat"] for lesion in record["lesions"]] == ["somewhere", "somewhere"]


def test_a_host_without_room_is_left_for_the_next_and_told(recipe, tmp_path):
    assert CaseMaker(recipe=recipe, out=tmp_path / "out", compose=RefuseIn("h0")).make(job()) == 2
    (case,) = made(tmp_path / "out").values()
    assert (case.record["host"], case.record["attempts"]) == ("h1", 2)
    assert case.record["refused"] == [{"host": "h0", "error": "PlacementError", "cause": "no room in h0"}]


def test_when_no_host_has_room_every_cause_is_told(recipe, tmp_path):
    with pytest.raises(PlacementError, match="h0: no room in h0; h1: no room in h1; h2: no room in h2"):
        CaseMaker(recipe=recipe, out=tmp_path / "out", compose=RefuseIn("h0", "h1", "h2")).make(job())
    assert made(tmp_path / "out") == {}


def test_cases_of_one_view_share_the_crop_and_what_was_measured_of_it(recipe, tmp_path):
    compose = RefuseIn()
    maker = CaseMaker(recipe=recipe, out=tmp_path / "out", compose=compose)
    for index, view in ((0, 0), (1, 0), (2, 1)):
        maker.make(job(index=index, view=view))
    assert compose.seen[0] is compose.seen[1]
    assert compose.seen[2] is not compose.seen[0]
    crops = [case.record["crop"] for _, case in sorted(made(tmp_path / "out").items())]
    assert crops[0] == crops[1] != crops[2]


def test_few_hosts_and_views_stay_open(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "HOST_CACHE_BYTES", 2 * 3 * 64 * 50 * 48)
    maker = CaseMaker(recipe=recipe, out=tmp_path / "out", compose=fake_compose.compose)
    for index, name in enumerate(("h0", "h1", "h2", "h0", "h0", "h0", "h0")):
        maker.make(job(index=index, view=index, hosts=(name,)))
    assert sorted(maker._hosts) == ["h0", "h2"]
    assert len(maker._hosts["h0"].views) == worker.VIEWS_KEPT
