"""A geometry's level is a distance, has the drawn volume on any grid, and respects its organ and its neighbours."""

from functools import cache

import numpy as np
import pytest
from scipy import ndimage
from terrain_made import KIDNEY, LIVER, SPLEEN, ball, blocks_host, grid_of, liver_host, terrain_of, world

from panlesion.ct.volume import Box, LabelMap, Volume
from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.field import draw_field
from panlesion.synth.plan import Confine, Geometry, Part, WallPatch
from panlesion.synth.shape.outline import draw_outline
from panlesion.synth.shape.solid import bounds_of, box_of, lesion_mask, render_level, smooth_min
from panlesion.synth.shape.spicules import draw_spicules
from panlesion.synth.terrain import Terrain

OPEN = {"confine": Confine.FREE}


def open_terrain(size_mm=(70.0, 70.0, 70.0), spacing_mm=(1.0, 1.0, 1.0)) -> Terrain:
    """Nothing but liver, so that nothing confines a shape."""
    grid = grid_of(size_mm, spacing_mm)
    ct = Volume(hu=np.full(grid.shape, 100, dtype=np.int16), grid=grid)
    organs = LabelMap(labels=np.full(grid.shape, LIVER, dtype=np.uint8), grid=grid)
    everything = Box(start=(0, 0, 0), stop=grid.shape)
    return Terrain.of(ct, organs, type=LesionType.LIVER_TUMOR, organ_label=LIVER, box=everything)


def rough_part(seed: int, centre=(0.0, 0.0, 0.0), radii=(14.0, 10.0, 8.0), roughness=0.12) -> Part:
    return Part(centre_xyz=centre, outline=draw_outline(np.random.default_rng(seed), radii_mm=radii, roughness=roughness))


@pytest.mark.parametrize("spacing_mm", [(0.7, 0.7, 0.7), (1.0, 1.0, 1.0), (1.0, 1.0, 3.0)])
@pytest.mark.parametrize("radii_mm", [(12.0, 12.0, 12.0), (18.0, 12.0, 9.0)])
def test_the_volume_of_a_smooth_outline_is_the_ellipsoids_on_any_grid(radii_mm, spacing_mm) -> None:
    terrain = open_terrain((44.0, 44.0, 44.0), spacing_mm)
    outline = draw_outline(np.random.default_rng(1), radii_mm=radii_mm, roughness=0.0)
    level = render_level(Geometry(parts=(Part(centre_xyz=(0.2, -0.3, 0.1), outline=outline),), **OPEN), terrain)
    volume_ml = np.count_nonzero(level < 0) * terrain.grid.voxel_ml
    assert volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(radii_mm) / 1000, rel=0.03)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0)])
@pytest.mark.parametrize("roughness", [0.0, 0.05])
def test_the_level_has_a_slope_of_one_near_the_surface(spacing_mm, roughness) -> None:
    terrain = open_terrain((50.0, 50.0, 50.0), spacing_mm)
    level = render_level(Geometry(parts=(rough_part(2, radii=(17.0, 13.0, 10.0), roughness=roughness),), **OPEN), terrain)
    slope = np.linalg.norm(np.gradient(level, *spacing_mm), axis=0)[np.abs(level) < 1.5]
    assert np.median(slope) == pytest.approx(1.0, abs=0.06)
    assert np.quantile(np.abs(slope - 1), 0.95) < (0.15 if roughness == 0 else 0.6)


def test_the_same_geometry_covers_the_same_volume_on_fine_and_coarse_grids() -> None:
    geometry = Geometry(parts=(rough_part(3),), spicules=draw_spicules(rough_part(3), np.random.default_rng(3)), **OPEN)
    fine, coarse = (
        np.count_nonzero(render_level(geometry, t) < 0) * t.grid.voxel_ml
        for t in (open_terrain(spacing_mm=(0.8, 0.8, 0.8)), open_terrain(spacing_mm=(1.2, 1.2, 2.0)))
    )
    assert coarse == pytest.approx(fine, rel=0.06)


@pytest.mark.parametrize("offset_mm", [0.0, 6.0, 14.0])
def test_what_stays_within_the_organ_never_leaves_it(offset_mm) -> None:
    terrain = terrain_of(liver_host())
    geometry = Geometry(parts=(rough_part(4, centre=(-36.0 + offset_mm, 3.0, 2.0)),), confine=Confine.ORGAN)
    mask = render_level(geometry, terrain) < 0
    assert mask.any()
    assert not (mask & ~terrain.own).any()


@pytest.mark.parametrize("bulge_mm", [2.0, 5.0])
def test_a_bulge_rises_over_the_organ_by_no_more_than_told(bulge_mm) -> None:
    terrain = terrain_of(liver_host(size_mm=(100.0, 100.0, 80.0)))
    geometry = Geometry(parts=(ball((-5.0, 30.0, 0.0), 12.0),), confine=Confine.BULGE, bulge_mm=bulge_mm)
    outside = (render_level(geometry, terrain) < 0) & ~terrain.own
    rise = ndimage.distance_transform_edt(~terrain.own, sampling=terrain.grid.spacing_mm)[outside].max() - 0.5
    assert bulge_mm - 1.0 <= rise <= bulge_mm + 0.1


@cache
def kidney_beside_spleen() -> Terrain:
    blocks = {KIDNEY: ((-18.0, -16.0, -16.0), (0.0, 16.0, 16.0)), SPLEEN: ((5.0, -16.0, -16.0), (18.0, 16.0, 16.0))}
    return terrain_of(blocks_host(blocks, size_mm=(60.0, 56.0, 56.0)), LesionType.KIDNEY_TUMOR, KIDNEY)


@pytest.mark.parametrize("keep_gap_mm", [3.0, 3.75, 6.0])
def test_a_gap_is_kept_from_neighbours_within_a_voxel(keep_gap_mm) -> None:
    terrain = kidney_beside_spleen()
    geometry = Geometry(parts=(ball((-2.0, 0.0, 0.0), 10.0),), confine=Confine.FREE, keep_gap_mm=keep_gap_mm)
    mask = render_level(geometry, terrain) < 0
    away = ndimage.distance_transform_edt(~terrain.neighbours, sampling=terrain.grid.spacing_mm)
    assert mask.any()
    assert away[mask].min() >= keep_gap_mm - 1.0


@pytest.mark.parametrize("into_mm", [0.0, 1.5])
def test_a_close_lesion_crosses_into_its_neighbour_as_deep_as_told(into_mm) -> None:
    terrain = kidney_beside_spleen()
    geometry = Geometry(parts=(ball((-1.0, 0.0, 0.0), 12.0),), confine=Confine.FREE, into_neighbour_mm=into_mm)
    mask = render_level(geometry, terrain) < 0
    deep = ndimage.distance_transform_edt(terrain.neighbours, sampling=terrain.grid.spacing_mm)
    assert deep[mask].max() <= into_mm + 1.0
    assert (mask & terrain.neighbours).any() == (into_mm > 1.0)


def wall_geometry(seed: int, *, annular: bool) -> Geometry:
    rng = np.random.default_rng(seed)
    patch = WallPatch(
        centre_xyz=(0.0, 0.0, 0.0) if annular else (-11.0, 0.0, 0.0),
        axis=(0.0, 0.0, 1.0),
        annular=annular,
        half_length_mm=float(rng.uniform(10, 22)),
        inward_mm=float(rng.uniform(5, 9)),
        outward_mm=float(rng.uniform(0.5, 4)),
        lumen_mm=float(rng.uniform(1, 3)),
        shoulder=float(rng.uniform(1.5, 6)),
        roughness_mm=float(rng.uniform(0.3, 1.1)),
        field=draw_field(rng, wavelength_mm=(6.0, 22.0)),
    )
    return Geometry(wall=patch, confine=Confine.FREE)


def tube_terrain(radius_mm: float = 11.0) -> Terrain:
    """A straight colon of round section along z in fat."""
    grid = grid_of((70.0, 70.0, 80.0))
    xyz = world(grid)
    inside = np.hypot(xyz[..., 0], xyz[..., 1]) < radius_mm
    ct = Volume(hu=np.where(inside, 20, -100).astype(np.int16), grid=grid)
    organs = LabelMap(labels=np.where(inside, np.uint8(57), np.uint8(0)), grid=grid)
    everything = Box(start=(0, 0, 0), stop=grid.shape)
    return Terrain.of(ct, organs, type=LesionType.COLORECTAL_CANCER, organ_label=57, box=everything)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["rough", "lobed", "spiculated", "patch", "ring"])
def test_the_bounds_contain_every_voxel_of_the_lesion(kind, seed) -> None:
    rng = np.random.default_rng(seed)
    part = rough_part(seed, roughness=float(rng.uniform(0, 0.2)))
    lobe = rough_part(seed + 100, centre=tuple(rng.uniform(-8, 8, 3)), radii=(8.0, 6.0, 5.0), roughness=0.05)
    geometry = {
        "rough": Geometry(parts=(part,), **OPEN),
        "lobed": Geometry(parts=(part, lobe), smooth_union_mm=3.0, **OPEN),
        "spiculated": Geometry(parts=(part,), spicules=draw_spicules(part, rng), **OPEN),
        "patch": wall_geometry(seed, annular=False),
        "ring": wall_geometry(seed, annular=True),
    }[kind]
    terrain = tube_terrain() if geometry.wall else open_terrain()
    mask = render_level(geometry, terrain) < 0
    low, high = bounds_of(geometry)
    xyz = terrain.grid.to_xyz(np.argwhere(mask))
    assert mask.any()
    assert np.all(xyz >= np.asarray(low) - 1e-3)
    assert np.all(xyz <= np.asarray(high) + 1e-3)
    box = box_of((low, high), terrain.grid, 0.0).clipped(terrain.grid.shape)
    assert not np.delete(mask, np.arange(box.start[2], box.stop[2]), axis=2).any()


@pytest.mark.parametrize("seed", range(4))
def test_an_annular_wall_encircles_the_lumen_and_leaves_it_open(seed) -> None:
    terrain = tube_terrain()
    geometry = wall_geometry(seed, annular=True)
    mask = render_level(geometry, terrain) < 0
    xyz = world(terrain.grid)
    middle = np.abs(xyz[..., 2]) < 0.3 * geometry.wall.half_length_mm
    angle = np.arctan2(xyz[..., 1], xyz[..., 0])[mask & middle]
    assert len(np.unique(np.floor((angle + np.pi) / (np.pi / 8)))) >= 16
    axis = np.hypot(xyz[..., 0], xyz[..., 1]) < 0.5
    assert not (mask & middle & axis).any()


def test_a_crater_is_cut_out_of_the_body() -> None:
    terrain = open_terrain((44.0, 44.0, 44.0))
    whole = Geometry(parts=(ball((0.0, 0.0, 0.0), 12.0),), **OPEN)
    cut = Geometry(parts=whole.parts, craters=(ball((12.0, 0.0, 0.0), 5.0),), **OPEN)
    full, cratered = (render_level(g, terrain) < 0 for g in (whole, cut))
    assert not (cratered & ~full).any()
    gone = full & ~cratered
    assert gone.sum() > 150
    assert np.linalg.norm(world(terrain.grid)[gone] - (12.0, 0.0, 0.0), axis=1).max() <= 5.1


def test_spicules_are_part_of_the_lesion_and_reach_their_tips() -> None:
    terrain = open_terrain(spacing_mm=(0.7, 0.7, 0.7))
    part = ball((0.0, 0.0, 0.0), 9.0)
    spicules = draw_spicules(part, np.random.default_rng(2))
    plain, spiky = (render_level(Geometry(parts=(part,), spicules=s, **OPEN), terrain) < 0 for s in ((), spicules))
    assert not (plain & ~spiky).any()
    points = world(terrain.grid)[spiky]
    for spicule in spicules:
        half_way = (np.asarray(spicule.base_xyz) + np.asarray(spicule.tip_xyz)) / 2
        assert np.linalg.norm(points - half_way, axis=1).min() < 0.7


def test_the_mask_is_one_piece_the_one_at_the_centre() -> None:
    terrain = open_terrain((60.0, 44.0, 44.0))
    geometry = Geometry(parts=(ball((-14.0, 0.0, 0.0), 8.0), ball((14.0, 0.0, 0.0), 11.0)), **OPEN)
    level = render_level(geometry, terrain)
    mask = lesion_mask(level, (-14.0, 0.0, 0.0), terrain.grid)
    assert ndimage.label(mask)[1] == 1
    assert world(terrain.grid)[mask][:, 0].max() < 0
    assert not lesion_mask(np.abs(level) + 1, (0.0, 0.0, 0.0), terrain.grid).any()


def test_a_smooth_union_contains_both_and_swells_by_no_more_than_a_quarter_of_its_width() -> None:
    a, b = np.random.default_rng(0).uniform(-6, 6, (2, 500)).astype(np.float32)
    union = smooth_min(a, b, 4.0)
    assert np.all(union <= np.minimum(a, b) + 1e-6)
    assert np.all(union >= np.minimum(a, b) - 1.0 - 1e-6)
    assert np.array_equal(smooth_min(a, b, 0.0), np.minimum(a, b))
