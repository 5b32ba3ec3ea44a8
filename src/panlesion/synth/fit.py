"""Fitting a drawn lesion to its host: scaled until its mask has the drawn diameter, its matter set until it reads as drawn."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Box, Vector3
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import TYPES
from panlesion.lesion.vocabulary import Heterogeneity, Invasion, Shape, Surface
from panlesion.measure.attributes import shape_class
from panlesion.measure.margin import ill_defined_from_mm
from panlesion.measure.noise import smoothed
from panlesion.measure.relation import CLOSE_MM, measure_relation, surface_contact
from panlesion.measure.scene import Scene
from panlesion.measure.shape import shape_features
from panlesion.measure.size import largest_diameter_mm, measure_size
from panlesion.measure.texture import CORE_SHARE, CORE_SIGMAS, SMOOTHING_MM, sharpest_edge_mm
from panlesion.synth.blend import EDGE_SDS, blurred, matte
from panlesion.synth.draw import Reading, Wanted, density_of
from panlesion.synth.field import draw_field
from panlesion.synth.host import Site
from panlesion.synth.plan import Geometry, Layer, LayerKind, Matter
from panlesion.synth.shape.scale import scaled
from panlesion.synth.shape.solid import bounds_of, box_of, lesion_mask, render_level
from panlesion.synth.terrain import Terrain
from panlesion.synth.texture.matter import render_parts

# SD of an ill-defined margin's error function, in units of the rule's threshold; and how much body it needs around it.
# (The rule takes medians, so of the margin's variance only the fading half counts fully.)
ILL_DEFINED_SHARE = (2.3, 3.6)
BODY_PER_MARGIN = 3.6
HOMOGENEOUS_SHARE = 0.45
HETEROGENEOUS_SHARE = (1.4, 2.0)
SIZE_TOLERANCE = 0.03
# A geometry that was enlarged and whose mask grew by less than this is cut by its host.
STUCK = 1.02
# Geometries are first scaled in a box thinned to about so many voxels, then fitted in a finer one; drafts only in the first.
# Lesions thinner than a number of voxels are fitted on finer ones: a thin wall has no core to read its density in.
COARSE_VOXELS = 9_000
FINE_VOXELS = 50_000
EVERY_VOXEL = 2**60
FITTING_MM = 3.0
THINNEST_VOXELS = 8
THINNEST_DRAFT_VOXELS = 2.5
# The largest distance between voxel centres falls short by about this share of a voxel, see `measure.size`.
SHORT_VOXELS = 0.2
ROUNDS = 10
# Of a fitted geometry only the mask and so much around it is kept: what neighbours and margins are read in.
AROUND_MM = 6.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A geometry whose mask has the wanted diameter, on the terrain it was fitted to."""

    geometry: Geometry
    centre_xyz: Vector3
    terrain: Terrain
    level: NDArray[np.float32]
    mask: NDArray[np.bool_]
    diameter_mm: float

    @classmethod
    def around(
        cls,
        geometry: Geometry,
        centre_xyz: Vector3,
        terrain: Terrain,
        level: NDArray[np.float32],
        mask: NDArray[np.bool_],
        diameter_mm: float,
    ) -> "Fitted":
        """What is kept of a fit: the mask and `AROUND_MM` beyond it."""
        i, j, k = (math.ceil(AROUND_MM / s) + 1 for s in terrain.grid.spacing_mm)
        box = Box.of(mask).grown((i, j, k)).clipped(mask.shape)
        near = box.slices
        return cls(
            geometry=geometry,
            centre_xyz=centre_xyz,
            terrain=terrain.cropped(box),
            level=level[near],
            mask=mask[near],
            diameter_mm=diameter_mm,
        )

    def enough(self, *, draft: bool, voxels: int) -> bool:
        """Whether a mask on thinned voxels tells enough of the lesion."""
        thick = self.inscribed_mm / max(self.terrain.grid.spacing_mm)
        return thick >= THINNEST_DRAFT_VOXELS if draft else voxels > COARSE_VOXELS and thick >= THINNEST_VOXELS

    @cached_property
    def scene(self) -> Scene:
        """The mask on its healthy host, as the rules of measurement look at it."""
        return Scene(
            box=Box(start=(0, 0, 0), stop=self.terrain.grid.shape),
            spacing_mm=self.terrain.grid.spacing_mm,
            hu=self.terrain.ct.hu.astype(np.float32),
            lesion=self.mask,
            labels=self.terrain.organs.labels,
            type=self.terrain.type,
        )

    @cached_property
    def inscribed_mm(self) -> float:
        """Diameter of the largest ball inside the mask."""
        return 2.0 * float(self.scene.below_mm.max())

    def core(self, edge_sigma_mm: float) -> NDArray[np.bool_]:
        """The part of the mask that an edge of that width does not reach, as `measure.texture.core_of` has it.

        The level stands for depth: on a thinned grid it is finer than distances between voxels.
        """
        deep = -self.level[self.mask]
        least = min(CORE_SIGMAS * edge_sigma_mm, float(np.quantile(deep, 1 - CORE_SHARE)))
        return self.mask & (self.level <= -least + 1e-6)

    def shape(self) -> Shape:
        """The shape class of the mask."""
        scene, info = self.scene, TYPES[self.terrain.type]
        form = shape_features(self.mask, scene.spacing_mm)
        size = measure_size(self.mask, self.terrain.grid)
        return shape_class(size, form, self.inscribed_mm, surface_contact(scene), info)

    def invasion(self) -> Invasion:
        """How the mask relates to its neighbours."""
        gap = measure_relation(self.scene).gap_mm
        # Between boundaries of thinned voxels a gap is shorter by as much as these are wider.
        wider = (1 - 1 / self.terrain.step) * min(self.terrain.grid.spacing_mm)
        return Invasion.CLOSE if gap is not None and gap + wider < CLOSE_MM - 1e-6 else Invasion.NOT_CLOSE


def fit_geometry(
    geometry: Geometry, site: Site, *, organ_label: int, centre_xyz: Vector3, diameter_mm: float, margin_mm: float = AROUND_MM
) -> Fitted:
    """Scale a geometry about its centre until the largest distance within its mask is `diameter_mm`.

    Raises:
        PlacementError: Its host cuts it so much that no scale reaches the diameter.
    """
    voxels, measured, before = COARSE_VOXELS, 0.0, 0.0
    for _ in range(ROUNDS):
        terrain = _terrain(geometry, site, organ_label, margin_mm, voxels)
        level = render_level(geometry, terrain, margin_mm)
        mask = lesion_mask(level, centre_xyz, terrain.grid)
        finest = terrain.step == 1
        if not mask.any():
            if finest:
                break
            voxels = _finer(voxels)
            continue
        measured = largest_diameter_mm(mask, terrain.grid.spacing_mm)
        # Thinned voxels see less of the length; what they miss is not to be made up for.
        measured += SHORT_VOXELS * (1 - 1 / terrain.step) * min(terrain.grid.spacing_mm)
        tolerance = max(SIZE_TOLERANCE * diameter_mm, 0.4 * min(terrain.grid.spacing_mm))
        if abs(measured - diameter_mm) <= tolerance:
            fitted = Fitted.around(geometry, centre_xyz, terrain, level, mask, measured)
            if finest or fitted.enough(draft=site.draft, voxels=voxels):
                return fitted
            voxels, before = _finer(voxels), 0.0
            continue
        if measured < diameter_mm and measured < STUCK * before:
            if finest or measured < (1 - 2 * SIZE_TOLERANCE) * diameter_mm:
                break
            voxels, before = _finer(voxels), 0.0
            continue
        before = measured
        geometry = scaled(geometry, float(np.clip(diameter_mm / max(measured, 1e-3), 0.6, 1.5)), centre_xyz)
    raise PlacementError(
        f"a {site.type} of {diameter_mm:.1f} mm in {site.host.id} came out {measured:.1f} mm where it was placed: "
        "the organ cuts it; use another place or a smaller diameter"
    )


def _finer(voxels: int) -> int:
    return FINE_VOXELS if voxels == COARSE_VOXELS else EVERY_VOXEL


def _terrain(geometry: Geometry, site: Site, organ_label: int, margin_mm: float, voxels: int) -> Terrain:
    """What lies around a geometry, thinned to about so many voxels, but to no spacing above `FITTING_MM`."""
    box = box_of(bounds_of(geometry), site.host.ct.grid, margin_mm)
    terrain = Terrain.of(site.host.ct, site.host.organs, type=site.type, organ_label=organ_label, box=box)
    i, j, k = terrain.grid.shape
    coarsest = max(1, int(FITTING_MM / max(terrain.grid.spacing_mm)))
    step = min(coarsest, max(1, round((i * j * k / voxels) ** (1 / 3))))
    return terrain.thinned(step) if step > 1 else terrain


def settled_surface(reading: Reading, wanted: Wanted, fitted: Fitted) -> Reading:
    """The reading, well-defined where the lesion is too thin to fade: a wide margin would be all there is of it.

    Raises:
        PlacementError: The caller wants the margin ill-defined.
    """
    thinnest = BODY_PER_MARGIN * ILL_DEFINED_SHARE[0] * ill_defined_from_mm(fitted.terrain.grid.spacing_mm)
    if reading.surface is Surface.WELL_DEFINED or fitted.inscribed_mm >= thinnest:
        return reading
    if wanted.surface is Surface.ILL_DEFINED:
        raise PlacementError(f"a lesion {fitted.inscribed_mm:.1f} mm thick cannot be ill-defined; it needs {thinnest:.1f} mm")
    return replace(reading, surface=Surface.WELL_DEFINED)


def draw_margin_mm(reading: Reading, fitted: Fitted, rng: np.random.Generator) -> float:
    """SD of the margin's error function beyond the scanner's own point spread, mm."""
    if reading.surface is Surface.WELL_DEFINED:
        return 0.0
    threshold = ill_defined_from_mm(fitted.terrain.grid.spacing_mm)
    low, high = (share * threshold for share in ILL_DEFINED_SHARE)
    return float(round(rng.uniform(low, max(low, min(high, fitted.inscribed_mm / BODY_PER_MARGIN))), 3))


def texture_layer(rng: np.random.Generator, diameter_mm: float) -> Layer:
    """An inner texture of clumps of 6 mm and more, as heterogeneity is read; its amplitude is set later."""
    high = max(9.0, 0.7 * diameter_mm)
    return Layer(kind=LayerKind.TEXTURE, hu=1.0, field=draw_field(rng, wavelength_mm=(max(7.0, high / 4), high), slope=1.0))


def fit_matter(
    matter: Matter,
    fitted: Fitted,
    site: Site,
    wanted: Wanted,
    reading: Reading,
    rng: np.random.Generator,
    *,
    mean_hu: float | None,
) -> tuple[Matter, float, Reading]:
    """Set the texture's amplitude and the base HU so that the lesion's core has the wanted spread and mean.

    With `mean_hu` None the base stays. Returns the matter, the mean that came out, and the reading with the heterogeneity
    that came out (layers may make a lesion heterogeneous by themselves).

    Raises:
        PlacementError: Mean or spread came out too near a threshold, or in a class the caller did not want.
    """
    threshold = TYPES[site.type].heterogeneous_sd_hu
    heterogeneous = reading.heterogeneity is Heterogeneity.HETEROGENEOUS
    target_sd = threshold * (rng.uniform(*HETEROGENEOUS_SHARE) if heterogeneous else rng.uniform(0.1, HOMOGENEOUS_SHARE))
    if matter.margin_mm > 0:
        ragged = draw_field(rng, wavelength_mm=(max(3.0, 2 * matter.margin_mm), max(8.0, 6 * matter.margin_mm)))
        matter = replace(matter, margin_field=ragged)
    sharpest = sharpest_edge_mm(site.host.facts.psf_mm, site.host.ct.grid.spacing_mm)
    # How much of the edge the measured core leaves out depends on the measured edge: both extremes must read the same.
    core, whole = fitted.core(float(np.hypot(sharpest, matter.margin_mm))), fitted.core(sharpest)
    shown = _shown(_textured(matter, 1.0), fitted, site, core | whole)
    core, whole = core[shown.box.slices], whole[shown.box.slices]
    share, shift = float(shown.weight[core].mean()), 0.0
    if mean_hu is not None and share > 0.15:
        shift = (mean_hu - float(shown.matter_hu[core].mean())) / share
    spacing = fitted.terrain.grid.spacing_mm
    plain, base = _coarse(shown.image, core, spacing), _coarse(shown.base, core, spacing)
    rest, amplitude = plain + np.float32(shift) * base, 0.0
    wave = _coarse(shown.wave, core, spacing)
    if any(layer.kind is LayerKind.TEXTURE for layer in matter.layers):
        # The texture must not move the mean: what it adds to the core is taken off the base.
        amplitude = round(_amplitude(rest, wave, target_sd), 3)
        shift -= amplitude * float(wave.mean()) / max(share, 0.15)
    matter = replace(_textured(matter, amplitude), base_hu=round(matter.base_hu + shift, 3))
    plain = plain + np.float32(shift) * base + np.float32(amplitude) * wave
    image = shown.image + np.float32(shift) * shown.base + np.float32(amplitude) * shown.wave
    wide = _coarse(image, whole, spacing)
    reading = _settled(reading, wanted, (float(plain.std()), float(wide.std())), threshold)
    label = fitted.terrain.organ_label
    if density_of(site, float(wide.mean()), label)[0] is not density_of(site, float(plain.mean()), label)[0]:
        raise PlacementError("density came out on the fence: core and whole lesion fall into different classes")
    return matter, float(plain.mean()), reading


def _textured(matter: Matter, amplitude: float) -> Matter:
    layers = (replace(layer, hu=amplitude) if layer.kind is LayerKind.TEXTURE else layer for layer in matter.layers)
    return replace(matter, layers=tuple(layers))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shown:
    """What the scanner shows but for noise, taken apart, in `box`: image = `image` + d · `base` + a · `wave` (I, J, K).

    Thus a lesion looks whose base is raised by d and whose textures have the amplitude a, since matter is linear in both and so
    is the scanner. `matter_hu` is the matter itself, untextured, `weight` its base's share in it.
    """

    box: Box
    image: NDArray[np.float32]
    base: NDArray[np.float32]
    wave: NDArray[np.float32]
    matter_hu: NDArray[np.float32]
    weight: NDArray[np.float32]


def _shown(matter: Matter, fitted: Fitted, site: Site, core: NDArray[np.bool_]) -> _Shown:
    """What matter with textures of amplitude 1 shows around a core."""
    facts, grid = site.host.facts, fitted.terrain.grid
    i, j, k = (math.ceil(EDGE_SDS * p / s) for p, s in zip(facts.psf_mm, grid.spacing_mm, strict=True))
    box = Box.of(core).grown((i, j, k)).clipped(grid.shape)
    near, terrain = box.slices, fitted.terrain.cropped(box)
    level, host = fitted.level[near], terrain.ct.hu.astype(np.float32)
    plain, wave, weight = render_parts(matter, level, fitted.centre_xyz, terrain)
    voxel_mm = min(site.host.ct.grid.spacing_mm)
    sharp = matte(matter, plain, level, host, fitted.centre_xyz, terrain.grid, voxel_mm=voxel_mm)
    alpha, paint, seen = (blurred(sharp * one, terrain.grid, facts.psf_mm) for one in (np.float32(1), plain, wave))
    base = alpha if float(weight.min()) == 1 else blurred(sharp * weight, terrain.grid, facts.psf_mm)
    return _Shown(box=box, image=host * (1 - alpha) + paint, base=base, wave=seen, matter_hu=plain, weight=weight)


def _coarse(hu: NDArray[np.float32], core: NDArray[np.bool_], spacing_mm: Vector3) -> NDArray[np.float32]:
    """HU (N,) of the core's voxels, smoothed as the rule of heterogeneity smooths them; linear in `hu`."""
    box = Box.of(core)
    i, j, k = (SMOOTHING_MM / s for s in spacing_mm)
    weight = core[box.slices].astype(np.float32)
    return smoothed(hu[box.slices] * weight, weight, (i, j, k))[core[box.slices]]


def _settled(reading: Reading, wanted: Wanted, sds_hu: tuple[float, float], threshold_hu: float) -> Reading:
    """The reading with the heterogeneity that both SDs (of the core and of nearly the whole lesion) agree on."""
    low, high = min(sds_hu), max(sds_hu)
    if low < 1.3 * threshold_hu and high > 0.8 * threshold_hu:
        raise PlacementError(f"heterogeneity came out on the fence: SD {low:.1f}-{high:.1f} HU, threshold {threshold_hu} HU")
    heterogeneity = Heterogeneity.HETEROGENEOUS if low > threshold_hu else Heterogeneity.HOMOGENEOUS
    if wanted.heterogeneity not in (None, heterogeneity):
        raise PlacementError(f"the lesion came out {heterogeneity!r}, not {wanted.heterogeneity!r}")
    return replace(reading, heterogeneity=heterogeneity)


def _amplitude(rest: NDArray[np.float32], wave: NDArray[np.float32], target_sd: float) -> float:
    """The a ≥ 0 for which SD(rest + a · wave) is nearest to the target."""
    if rest.size < 2:
        return 0.0
    a, b, c = float(np.var(wave)), float(np.cov(rest, wave)[0, 1]), float(np.var(rest)) - target_sd**2
    if c >= 0 or a < 1e-9:
        return 0.0
    return float((-b + np.sqrt(b * b - a * c)) / a)
