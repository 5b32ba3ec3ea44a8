"""Simple hosts with known truth: blocks of organs in fat with air around them, blurred, with noise of a known correlation."""

from dataclasses import replace
from functools import cache

import numpy as np
from scipy import ndimage

from panlesion.ct.phase import Phase
from panlesion.ct.volume import Box, Grid, LabelMap, Vector3, Volume
from panlesion.lesion.spec import LesionSpec
from panlesion.lesion.taxonomy import LesionType
from panlesion.lesion.vocabulary import Density, Feature, Heterogeneity, Invasion, Shape, Surface
from panlesion.measure.host import measure_host
from panlesion.measure.noise import Noise
from panlesion.synth.field import draw_field
from panlesion.synth.host import Host
from panlesion.synth.plan import Blend, Confine, Geometry, Layer, LayerKind, Matter, Part, Plan, Strand, WallPatch
from panlesion.synth.shape.outline import draw_outline
from panlesion.synth.shape.spicules import draw_spicules
from panlesion.synth.terrain import Terrain

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
LIVER, SPLEEN, KIDNEY, PSOAS = 5, 1, 2, 102
ORGAN_HU, MUSCLE_HU, FAT_HU, AIR_HU = 100.0, 60.0, -100.0, -1000.0


def grid_of(size_mm: Vector3, spacing_mm: Vector3 = (1.0, 1.0, 1.0)) -> Grid:
    """An L,P,S grid of that extent with the world's origin near its middle."""
    shape = tuple(round(length / s) for length, s in zip(size_mm, spacing_mm, strict=True))
    i, j, k = spacing_mm
    affine = np.diag([-i, -j, k, 1.0])
    affine[:3, 3] = [shape[0] / 2 * i, shape[1] / 2 * j, -shape[2] / 2 * k]
    return Grid(shape=shape, affine=affine)


def world(grid: Grid) -> np.ndarray:
    """World mm (I, J, K, 3) of every voxel."""
    return grid.to_xyz(np.moveaxis(np.indices(grid.shape), 0, -1))


def gaussian_noise(shape, sd_hu: float, sigma_voxels, seed: int) -> np.ndarray:
    field = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    field = ndimage.gaussian_filter(field, sigma_voxels, mode="wrap")
    return field / field.std() * np.float32(sd_hu)


def gaussian_acf(sigma_voxels: Vector3, reach: int) -> np.ndarray:
    """Autocorrelation of white noise smoothed by a Gaussian: a Gaussian √2 as wide."""
    lags = np.arange(-reach, reach + 1)
    i, j, k = (np.exp(-(lags**2) / (4.0 * s * s)) for s in sigma_voxels)
    return (i[:, None, None] * j[None, :, None] * k[None, None, :]).astype(np.float32)


def noise_of(sd_hu: float, sigma_voxels: Vector3 = (0.8, 0.8, 0.8), reach: int = 5) -> Noise:
    return Noise(sd_hu=sd_hu, acf=gaussian_acf(sigma_voxels, reach))


def block(grid: Grid, low: Vector3, high: Vector3) -> np.ndarray:
    """Bool (I, J, K): the voxels between two corners in world mm."""
    xyz = world(grid)
    return np.all((xyz >= np.asarray(low)) & (xyz <= np.asarray(high)), axis=-1)


def blocks_host(
    blocks: dict[int, tuple[Vector3, Vector3]],
    *,
    size_mm: Vector3 = (100.0, 98.0, 88.0),
    spacing_mm: Vector3 = (1.0, 1.0, 1.0),
    sd_hu: float = 12.0,
    noise_sigma_mm: float = 0.8,
    psf_mm: float = 0.8,
    phase: Phase = Phase.PORTAL,
    tissue_hu: dict[int, float] | None = None,
) -> Host:
    """Blocks of organs in a body of fat, 10 mm of air around it; later blocks lie over earlier ones."""
    grid = grid_of(size_mm, spacing_mm)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    low, high = world(grid).min(axis=(0, 1, 2)), world(grid).max(axis=(0, 1, 2))
    hu = np.where(block(grid, tuple(low + 10), tuple(high - 10)), FAT_HU, AIR_HU).astype(np.float32)
    for label, (start, stop) in blocks.items():
        inside = block(grid, start, stop)
        labels[inside] = label
        hu[inside] = (tissue_hu or {}).get(label, MUSCLE_HU if label == PSOAS else ORGAN_HU)
    hu = ndimage.gaussian_filter(hu, [psf_mm / s for s in spacing_mm])
    hu += gaussian_noise(grid.shape, sd_hu, [noise_sigma_mm / s for s in spacing_mm], seed=5)
    ct = Volume(hu=np.rint(hu).astype(np.int16), grid=grid)
    organs = LabelMap(labels=labels, grid=grid)
    return Host(id="blocks", ct=ct, organs=organs, facts=measure_host(ct, organs, phase=phase))


@cache
def liver_host(**how) -> Host:
    """One large block of liver with a little muscle beside it. Made once per kind: hosts are never changed."""
    blocks = {LIVER: ((-36.0, -32.0, -28.0), (26.0, 32.0, 28.0)), PSOAS: ((30.0, -30.0, -28.0), (39.0, 32.0, 28.0))}
    return blocks_host(blocks, **how)


def terrain_of(host: Host, type: LesionType = LesionType.LIVER_TUMOR, organ_label: int = LIVER) -> Terrain:
    """The whole of a host as one terrain."""
    everything = Box(start=(0, 0, 0), stop=host.ct.grid.shape)
    return Terrain.of(host.ct, host.organs, type=type, organ_label=organ_label, box=everything)


def ball(centre_xyz: Vector3, radius_mm: float, *, radii_mm: Vector3 | None = None) -> Part:
    """A smooth ball or upright ellipsoid."""
    outline = draw_outline(np.random.default_rng(0), radii_mm=radii_mm or (radius_mm,) * 3, roughness=0.0, rotation=UPRIGHT)
    return Part(centre_xyz=centre_xyz, outline=outline)


def ball_plan(
    radius_mm: float,
    *,
    centre_xyz: Vector3 = (-5.0, 0.0, 0.0),
    type: LesionType = LesionType.LIVER_TUMOR,
    organ_label: int = LIVER,
    matter: Matter | None = None,
    geometry: Geometry | None = None,
) -> Plan:
    """A plan made by hand: a smooth ball of one density, 50 HU unless told."""
    matter = matter or Matter(base_hu=50.0, noise_seed=11)
    spec = LesionSpec(
        type=type,
        phase=Phase.PORTAL,
        organ_label=organ_label,
        seat="",
        centre_xyz=centre_xyz,
        diameter_mm=2 * radius_mm,
        mean_hu=matter.base_hu,
        shape=Shape.ROUND,
        density=Density.HYPO,
        heterogeneity=Heterogeneity.HOMOGENEOUS,
        surface=Surface.WELL_DEFINED,
        invasion=Invasion.NOT_CLOSE,
    )
    return Plan(spec=spec, geometry=geometry or Geometry(parts=(ball(centre_xyz, radius_mm),)), matter=matter)


def full_plan(seed: int = 3) -> Plan:
    """A plan that uses every kind of record a plan can hold."""
    rng = np.random.default_rng(seed)
    body = Part(centre_xyz=(1.0, 2.0, 3.0), outline=draw_outline(rng, radii_mm=(9.0, 7.0, 5.0), roughness=0.1, bend=0.3))
    wall = WallPatch(
        centre_xyz=(0.0, 1.0, 2.0),
        axis=(0.0, 0.6, 0.8),
        annular=True,
        half_length_mm=12.0,
        inward_mm=6.0,
        outward_mm=2.0,
        lumen_mm=1.5,
        shoulder=3.0,
        roughness_mm=0.5,
        field=draw_field(rng, wavelength_mm=(6.0, 20.0)),
    )
    geometry = Geometry(
        parts=(body,), craters=(ball((4.0, 2.0, 3.0), 3.0),), spicules=draw_spicules(body, rng), wall=wall,
        confine=Confine.BULGE, bulge_mm=2.5, keep_gap_mm=3.0, into_neighbour_mm=1.0,
    )  # fmt: skip
    layers = tuple(
        Layer(kind=kind, hu=20.0, start_mm=2.0, stop_mm=4.0, share=0.3, field=draw_field(rng, wavelength_mm=(4.0, 9.0)))
        for kind in LayerKind
    )
    matter = Matter(base_hu=40.0, layers=layers, margin_mm=1.5, blend=Blend.VEIL, push=0.4, noise_seed=2**31 - 1)
    strand = Strand(path_xyz=((0.0, 0.0, 0.0), (5.0, 1.0, 0.5)), radius_mm=1.2, hu=8.0)
    plan = ball_plan(9.0, matter=matter, geometry=geometry)
    spec = replace(plan.spec, features=frozenset({Feature.NECROSIS, Feature.CAPSULE, Feature.SPICULATED}))
    return replace(plan, spec=spec, strands=(strand,))


@cache
def tube_host(label: int, *, radius_mm: float, content_hu: float = 20.0, size_mm: Vector3 = (90.0, 90.0, 120.0)) -> Host:
    """A straight hollow organ along z in fat, with muscle beside it."""
    blocks = {PSOAS: ((22.0, -34.0, -50.0), (34.0, 34.0, 50.0))}
    host = blocks_host(blocks, size_mm=size_mm, spacing_mm=(1.0, 1.0, 1.2), sd_hu=8.0)
    xyz = world(host.ct.grid)
    off_axis = np.hypot(xyz[..., 0], xyz[..., 1])
    inside = (off_axis < radius_mm) & (np.abs(xyz[..., 2]) < size_mm[2] / 2 - 12)
    lumen = inside & (off_axis < radius_mm - 3.0)
    content = np.where(lumen, content_hu, 60.0) - FAT_HU
    hu = host.ct.hu + ndimage.gaussian_filter(np.where(inside, content, 0.0).astype(np.float32), 0.8)
    labels = np.where(inside, np.uint8(label), host.organs.labels)
    return _measured(Volume(hu=np.rint(hu).astype(np.int16), grid=host.ct.grid), labels)


@cache
def sac_host(label: int = 4, *, radii_mm: Vector3 = (14.0, 24.0, 18.0), content_hu: float = 12.0) -> Host:
    """A sac of fluid in fat, with muscle beside it: a gallbladder or bladder."""
    host = blocks_host({PSOAS: ((24.0, -34.0, -30.0), (36.0, 34.0, 30.0))}, sd_hu=8.0)
    inside = np.linalg.norm(world(host.ct.grid) / np.asarray(radii_mm), axis=-1) < 1
    hu = host.ct.hu + ndimage.gaussian_filter(np.where(inside, content_hu - FAT_HU, 0.0).astype(np.float32), 0.8)
    labels = np.where(inside, np.uint8(label), host.organs.labels)
    return _measured(Volume(hu=np.rint(hu).astype(np.int16), grid=host.ct.grid), labels)


@cache
def lung_host() -> Host:
    """A block of lung with straight vessels of 4 mm along y, unlabelled as maps leave them, and muscle beside it."""
    blocks = {13: ((-36.0, -34.0, -30.0), (20.0, 34.0, 30.0)), PSOAS: ((22.0, -34.0, -30.0), (38.0, 34.0, 30.0))}
    host = blocks_host(blocks, tissue_hu={13: -860.0}, sd_hu=15.0)
    xyz = world(host.ct.grid)
    near = [np.hypot((xyz[..., 0] + 1) % 14 - 7, (xyz[..., 2] + 1) % 14 - 7) < 2.0]
    vessels = near[0] & (host.organs.labels == 13)
    hu = host.ct.hu + ndimage.gaussian_filter(np.where(vessels, 900.0, 0.0).astype(np.float32), 0.7)
    labels = np.where(vessels, np.uint8(0), host.organs.labels)
    return _measured(Volume(hu=np.rint(hu).astype(np.int16), grid=host.ct.grid), labels)


def _measured(ct: Volume, labels: np.ndarray) -> Host:
    organs = LabelMap(labels=labels, grid=ct.grid)
    return Host(id="made", ct=ct, organs=organs, facts=measure_host(ct, organs, phase=Phase.PORTAL))
