"""A host is measured once; a site knows what is taken and where its seats are."""

import numpy as np
import pytest
from terrain_made import ball_plan, liver_host

from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.host import APART_MM, Host, Site


def test_a_survey_is_made_once_per_type() -> None:
    host = liver_host()
    assert host.survey(LesionType.LIVER_TUMOR) is host.survey(LesionType.LIVER_TUMOR)
    assert host.survey(LesionType.LIVER_TUMOR) is not host.survey(LesionType.LIVER_CYST)


def test_a_host_is_measured_when_made(phantom_host) -> None:
    again = Host.of("again", phantom_host.ct, phantom_host.organs)
    assert again.facts.psf_mm == phantom_host.facts.psf_mm
    assert 0.3 < min(again.facts.psf_mm) <= max(again.facts.psf_mm) < 4


def test_what_is_taken_keeps_its_distance() -> None:
    other = ball_plan(10.0)
    site = Site(host=liver_host(), type=LesionType.LIVER_TUMOR, others=(other,))
    away = np.linalg.norm(site.survey.xyz - other.spec.centre_xyz, axis=1)
    taken = site.taken(12.0)
    assert taken.any()
    assert not taken.all()
    assert away[~taken].min() >= 10 + 6 + APART_MM
    assert not Site(host=liver_host(), type=LesionType.LIVER_TUMOR).taken(12.0).any()


@pytest.mark.parametrize("type", [LesionType.LIVER_TUMOR, LesionType.KIDNEY_CYST, LesionType.LUNG_TUMOR])
def test_seats_lie_where_the_atlas_says(phantom_host, type) -> None:
    site = Site(host=phantom_host, type=type)
    label = int(site.survey.label[0])
    seats = phantom_host.facts.atlas.seats(label)
    assert len(seats) >= 1
    for seat in seats[:3]:
        found = np.flatnonzero(site.in_seat(seat) & (site.survey.label == label))
        for n in found[:: max(1, len(found) // 4)]:
            assert phantom_host.facts.atlas.seat(label, tuple(site.survey.xyz[n])) == seat
    assert not site.in_seat("no such seat").any()


def test_the_midline_is_the_spines(phantom_host) -> None:
    spine = np.argwhere((phantom_host.organs.labels >= 18) & (phantom_host.organs.labels <= 41))
    middle = phantom_host.organs.grid.to_xyz(spine.mean(axis=0))[0]
    assert Site(host=phantom_host, type=LesionType.KIDNEY_STONE).midline_x == pytest.approx(middle, abs=3.0)
