"""Tumours of hollow organs thicken the wall or grow into the lumen; a ring narrows the lumen and leaves it open."""

from functools import cache

import numpy as np
import pytest
from scipy import ndimage
from terrain_made import sac_host, tube_host

from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Feature, Shape
from panlesion.synth.compose import draw_lesion, render_lesion
from panlesion.synth.draw import Wanted

TUBES = {LesionType.ESOPHAGEAL_CANCER: (42, 10.0), LesionType.COLORECTAL_CANCER: (57, 16.0)}


@cache
def annular(type: LesionType, seed: int):
    """A ring in a straight tube, and which of the tube's voxels it takes."""
    label, radius = TUBES[type]
    host = tube_host(label, radius_mm=radius)
    wanted = Wanted(shape=Shape.WALL, diameter_mm=(42.0, 52.0))
    for n in range(30):
        plan = draw_lesion(host, type, np.random.default_rng([seed, n]), wanted=wanted)
        if Feature.LUMINAL_NARROWING in plan.spec.features:
            rendered = render_lesion(plan, host)
            mask = np.zeros(host.ct.grid.shape, dtype=bool)
            mask[rendered.box.slices] = rendered.mask
            return plan, host, mask, host.organs.labels == label
    raise AssertionError("no ring was drawn")


@pytest.mark.parametrize(
    ("type", "seed"),
    [
        (LesionType.ESOPHAGEAL_CANCER, 0),
        (LesionType.ESOPHAGEAL_CANCER, 3),
        (LesionType.COLORECTAL_CANCER, 0),
    ],
)
def test_a_ring_narrows_the_lumen_but_does_not_close_it(type, seed) -> None:
    plan, host, mask, organ = annular(type, seed)
    open_lumen = organ & ~mask
    along = np.flatnonzero(mask.any(axis=(0, 1)))
    k = round(float(host.ct.grid.to_ijk(plan.spec.centre_xyz)[2]))
    assert along.min() < k < along.max()
    before, after = organ[:, :, k].sum(), open_lumen[:, :, k].sum()
    assert 0 < after < 0.6 * before
    pieces, _ = ndimage.label(open_lumen[:, :, max(along.min() - 3, 0) : along.max() + 4], np.ones((3, 3, 3)))
    ends = set(np.unique(pieces[:, :, 0])) & set(np.unique(pieces[:, :, -1])) - {0}
    assert ends, "the lumen is closed"


@pytest.mark.parametrize("type", TUBES)
def test_a_ring_is_soft_tissue_all_around(type) -> None:
    plan, host, mask, _ = annular(type, 0)
    k = round(float(host.ct.grid.to_ijk(plan.spec.centre_xyz)[2]))
    at = host.ct.grid.to_xyz(np.argwhere(mask & (np.arange(mask.shape[2]) == k)))
    angles = np.floor((np.arctan2(at[:, 1], at[:, 0]) + np.pi) / (np.pi / 6))
    assert len(np.unique(angles)) >= 11
    assert plan.spec.shape is Shape.WALL
    assert 40 < plan.spec.mean_hu < 130


@pytest.mark.parametrize("seed", range(2))
def test_a_mass_of_the_bladder_grows_into_the_urine_from_its_wall(seed) -> None:
    host = sac_host(104, radii_mm=(20.0, 30.0, 26.0))
    wanted = Wanted(shape=Shape.ROUND, diameter_mm=(18.0, 24.0))
    plan = draw_lesion(host, LesionType.BLADDER_CANCER, np.random.default_rng(seed), wanted=wanted)
    rendered = render_lesion(plan, host)
    bladder = (host.organs.labels == 104)[rendered.box.slices]
    assert (rendered.mask & bladder).sum() > 0.4 * rendered.mask.sum()
    depth = ndimage.distance_transform_edt(bladder)
    assert depth[rendered.mask].max() > 6, "it reaches into the lumen"
    assert ndimage.binary_dilation(rendered.mask & bladder, iterations=2)[~bladder].any(), "it sits on the wall"
    assert Feature.INTRALUMINAL in plan.spec.features


def test_wall_thickening_of_the_phantoms_organs_reads_as_such(first_draws) -> None:
    types = (LesionType.ESOPHAGEAL_CANCER, LesionType.GASTRIC_CANCER, LesionType.COLORECTAL_CANCER)
    shapes = [draw.plan.spec.shape for type in types for draw in first_draws[type]]
    assert shapes.count(Shape.WALL) >= len(shapes) / 3
