"""`measure_lesion`: everything a report says of a lesion, measured on its voxels. The rules stand in docs/why/measure.md."""

from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import LabelMap, Vector3, Volume
from panlesion.lesion.taxonomy import TYPES, LesionType, TypeInfo
from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface
from panlesion.measure.host import HostFacts
from panlesion.measure.margin import Margin, measure_margin
from panlesion.measure.noise import thinned
from panlesion.measure.relation import Relation, measure_relation, surface_contact
from panlesion.measure.scene import Scene, cut_scene
from panlesion.measure.shape import ShapeFeatures, shape_features
from panlesion.measure.size import Size, measure_size
from panlesion.measure.texture import coarse_sd_hu, core_of, sharpest_edge_mm

PUNCTATE_MM = 10.0
"""Lesions up to this diameter are "punctate, nodular". Ours; 10 mm is RECIST 1.1's least target lesion (Eisenhauer 2009)."""
ROUND_SPHERICITY = 0.80
ROUND_SOLIDITY = 0.85
"""Round-like: at least this sphericity and this share of the convex hull. Ours: ellipsoids of axis ratio 0.5 and more pass,
as do two thirds of
the lung nodules radiologists scored round, smooth and free of spicules; of the others 15 % (docs/why/measure.md)."""
WALL_THICKNESS_SHARE = 0.5
WALL_CONTACT = 0.35
"""Wall thickening: the largest ball inside is at most half the diameter; this share of the surface is the organ's. Ours."""


@dataclass(frozen=True, kw_only=True)
class Attributes:
    """Numbers and classes of one lesion.

    `mean_hu` is over the whole mask, `core_mean_hu` over the part the edge does not reach; `offset_hu` = core mean − reference.
    `heterogeneity_sd_hu` is the noise-corrected coarse SD of the core, `inscribed_mm` the diameter of the largest ball inside.
    """

    type: LesionType
    organ_label: int
    seat: str
    size: Size
    form: ShapeFeatures
    inscribed_mm: float
    surface_contact: float
    mean_hu: float
    core_mean_hu: float
    core_voxels: int
    reference_hu: float
    offset_hu: float
    heterogeneity_sd_hu: float
    margin: Margin
    relation: Relation
    shape: Shape
    density: Density
    heterogeneity: Heterogeneity
    surface: Surface
    invasion: Invasion

    def as_dict(self) -> dict[str, object]:
        """JSON-able."""
        return {key: str(value) if isinstance(value, StrEnum) else value for key, value in asdict(self).items()}


def density_class(offset_hu: float, info: TypeInfo) -> Density:
    """Class of (lesion − reference) by the type's isodense band."""
    low, high = info.isodense_hu
    return Density.HYPO if offset_hu < low else Density.HYPER if offset_hu > high else Density.ISO


def shape_class(size: Size, form: ShapeFeatures, inscribed_mm: float, contact: float, info: TypeInfo) -> Shape:
    """Punctate by size, wall thickening by thinness and contact with the wall, else round by sphericity and solidity."""
    if size.diameter_mm <= PUNCTATE_MM:
        return Shape.PUNCTATE
    if info.hollow and inscribed_mm <= WALL_THICKNESS_SHARE * size.diameter_mm and contact >= WALL_CONTACT:
        return Shape.WALL
    round_like = form.sphericity >= ROUND_SPHERICITY and form.solidity >= ROUND_SOLIDITY
    return Shape.ROUND if round_like else Shape.IRREGULAR


def seat_xyz(scene: Scene, organ_label: int, ct: Volume, organs: LabelMap) -> Vector3:
    """Centre of mass of the lesion, moved to the nearest voxel of its organ, in the lesion where it has any."""
    centre = np.argwhere(scene.lesion).mean(axis=0)
    start, stride = np.asarray(scene.box.start), scene.stride
    organ = scene.labels == organ_label
    for mask in (organ & scene.lesion, organ):
        points = np.argwhere(mask)
        if len(points):
            break
    else:
        points = (np.argwhere(organs.labels == organ_label) - start) // stride
    if len(points):
        offset = (points - centre) * np.asarray(scene.spacing_mm)
        centre = points[int(np.argmin((offset**2).sum(axis=1)))]
    x, y, z = ct.grid.to_xyz(centre * stride + start).tolist()
    return (x, y, z)


def measure_lesion(
    ct: Volume, lesion: NDArray[np.bool_], organs: LabelMap, *, type: LesionType, organ_label: int, host: HostFacts
) -> Attributes:
    """Measure one lesion; only its box grown by `scene.REACH_MM` is looked at.

    Args:
        ct: the CT that holds the lesion.
        lesion: bool (I, J, K) on the CT's grid.
        organs: organ map on the same grid, as it is without the lesion.
        type: lesion type, whose rules apply.
        organ_label: v1 label of the organ it grows in.
        host: facts of the CT without the lesion, or with it excluded.

    Raises:
        OrganMapError: the reference tissue of the type is absent.
        ValueError: empty lesion, shapes that differ, or an organ that the type cannot live in.
    """
    info = TYPES[type]
    if organ_label not in info.organ_labels:
        raise ValueError(f"organ_label is {organ_label}; a {type} lives in one of {sorted(info.organ_labels)}")
    scene = cut_scene(ct, lesion, organs, type)
    whole = lesion[scene.box.slices]
    size = measure_size(whole, ct.grid.crop(scene.box), scene.box.start)
    form = shape_features(whole, ct.grid.spacing_mm)
    margin = measure_margin(scene, host.psf_mm)
    relation = measure_relation(scene)
    contact = surface_contact(scene)
    inscribed = 2.0 * float(scene.below_mm.max())
    core = core_of(scene, max(margin.edge_sigma_mm or 0.0, sharpest_edge_mm(host.psf_mm, ct.grid.spacing_mm)))
    core_mean = float(scene.hu[core].mean(dtype=np.float64))
    reference = host.reference_hu(type, organ_label)
    sd = coarse_sd_hu(scene.hu, core, thinned(host.noise(organ_label), scene.stride), scene.spacing_mm)
    return Attributes(
        type=type,
        organ_label=organ_label,
        seat=host.atlas.seat(organ_label, seat_xyz(scene, organ_label, ct, organs)),
        size=size,
        form=form,
        inscribed_mm=inscribed,
        surface_contact=contact,
        mean_hu=float(ct.hu[scene.box.slices][whole].mean(dtype=np.float64)),
        core_mean_hu=core_mean,
        core_voxels=int(np.count_nonzero(core)),
        reference_hu=reference,
        offset_hu=core_mean - reference,
        heterogeneity_sd_hu=sd,
        margin=margin,
        relation=relation,
        shape=shape_class(size, form, inscribed, contact, info),
        density=density_class(core_mean - reference, info),
        heterogeneity=Heterogeneity.HETEROGENEOUS if sd > info.heterogeneous_sd_hu else Heterogeneity.HOMOGENEOUS,
        surface=Surface.WELL_DEFINED if margin.well_defined else Surface.ILL_DEFINED,
        invasion=Invasion.CLOSE if relation.close else Invasion.NOT_CLOSE,
    )
