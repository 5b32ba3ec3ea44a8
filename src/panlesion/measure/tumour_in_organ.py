"""How a tumour sits in a paired organ, from masks alone: how much of it bulges out, how near it comes to hilum and midline."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from panlesion.ct.volume import LabelMap
from panlesion.errors import OrganMapError
from panlesion.measure.shape import ShapeFeatures, shape_features
from panlesion.measure.size import Size, measure_size

LEAST_ML = 0.1
"""Parts below this volume are not counted as tumours or cysts: 12 voxels at 2 mm. Ours."""
LEAST_ORGAN_ML = 5.0
"""What a body of organ tissue must have to count as an organ. Ours."""
MANY_POINTS = 6000
"""Points are thinned to about so many before they are held against a hull's faces."""
SINUS_MM = 4.0
"""How deep below the hull a gap must lie to belong to the hilum; less is an unevenness of the surface. Ours."""


@dataclass(frozen=True, kw_only=True)
class TumourInOrgan:
    """The largest tumour and its organ. None where masks do not tell.

    `tumours` and `cysts` count parts from `LEAST_ML`; `tumour_ml` and `cyst_ml` are sums over all of them. `organ_ml` is the
    organ tissue in one piece with the tumour, `other_organ_ml` that of the other side. `contact_share`: share of the
    tumour's surface that faces organ tissue. `exophytic_share`: share of it outside the convex hull of the organ tissue, which
    bridges the hole the tumour makes, so a tumour on the surface counts as a little more exophytic than it is.
    `polar`: its middle along the organ's long axis, 0 in the middle, 1 at a pole, more beyond. `hilum_mm`: from its nearest
    voxel to the middle of the organ's deepest concavity, which stands for the hilum. `midline_mm`: from its nearest voxel to
    the plane half way between both organs; below 0 where it crosses.
    """

    size: Size
    form: ShapeFeatures
    tumours: int
    tumour_ml: float
    cysts: int
    cyst_ml: float
    organ_ml: float
    other_organ_ml: float | None
    contact_share: float
    exophytic_share: float | None
    polar: float | None
    hilum_mm: float | None
    midline_mm: float | None

    def numbers(self) -> Mapping[str, float]:
        """Flat and JSON-able, in mm and ml; what is not known is left out."""
        found = {
            "diameter_mm": self.size.diameter_mm,
            "axial_long_mm": self.size.axial_long.length_mm,
            "axial_short_mm": self.size.axial_short.length_mm,
            "volume_ml": self.size.volume_ml,
            "extent_z_mm": self.size.extent_mm[2],
            "sphericity": self.form.sphericity,
            "solidity": self.form.solidity,
            "roughness": self.form.roughness,
            "elongation": self.form.elongation,
            "flatness": self.form.flatness,
            "tumours": float(self.tumours),
            "tumour_ml": self.tumour_ml,
            "cysts": float(self.cysts),
            "cyst_ml": self.cyst_ml,
            "organ_ml": self.organ_ml,
            "other_organ_ml": self.other_organ_ml,
            "contact_share": self.contact_share,
            "exophytic_share": self.exophytic_share,
            "polar": self.polar,
            "hilum_mm": self.hilum_mm,
            "midline_mm": self.midline_mm,
        }
        return {name: value for name, value in found.items() if value is not None}


def measure_tumour(labels: LabelMap, *, organ: int, tumour: int, cyst: int) -> TumourInOrgan:
    """Measure the largest tumour of a map that holds both sides of a paired organ, on an L,P,S grid.

    Raises:
        OrganMapError: The map has no tumour or no organ.
    """
    grid, spacing = labels.grid, np.asarray(labels.grid.spacing_mm)
    for what, label in (("tumour", tumour), ("organ", organ)):
        if not (labels.labels == label).any():
            raise OrganMapError(f"the map has no voxel of label {label}, the {what}; it needs at least one")
    tissue, mass = labels.labels == organ, labels.labels == tumour
    tumours, cysts = _parts(mass, grid.voxel_ml), _parts(labels.labels == cyst, grid.voxel_ml)
    bodies, _ = ndimage.label(labels.labels > 0, structure=np.ones((3, 3, 3)))
    largest = _largest(mass)
    own = tissue & (bodies == bodies[largest][0])
    # a body smaller than an organ is a splinter, which neither is one nor has a side
    others = _bodies(tissue & (bodies != bodies[largest][0]), bodies, grid.voxel_ml)
    points = np.argwhere(largest) * spacing
    place = _Place.of(own, labels.labels > 0, spacing)
    sides = _sides(own, others, spacing)
    return TumourInOrgan(
        size=measure_size(largest, grid),
        form=shape_features(largest, grid.spacing_mm),
        tumours=len(tumours),
        tumour_ml=sum(tumours),
        cysts=len(cysts),
        cyst_ml=sum(cysts),
        organ_ml=float(np.count_nonzero(own)) * grid.voxel_ml,
        other_organ_ml=float(np.count_nonzero(others)) * grid.voxel_ml if others.any() else None,
        contact_share=contact_share(largest, own),
        exophytic_share=place.outside(points) if place else None,
        polar=place.polar(points.mean(axis=0)) if place else None,
        hilum_mm=place.to_hilum_mm(points) if place else None,
        midline_mm=_to_midline_mm(points, sides) if sides else None,
    )


def _parts(mask: NDArray[np.bool_], voxel_ml: float) -> list[float]:
    """Volumes in ml of the parts that count; the largest counts in any case."""
    parts, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    volumes = sorted((np.bincount(parts.ravel())[1:] * voxel_ml).tolist(), reverse=True)
    return [volume for n, volume in enumerate(volumes) if n == 0 or volume >= LEAST_ML]


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return np.asarray(parts == int(np.argmax(np.bincount(parts.ravel())[1:])) + 1)


def _bodies(tissue: NDArray[np.bool_], bodies: NDArray, voxel_ml: float) -> NDArray[np.bool_]:
    """The tissue that lies in bodies large enough to be an organ."""
    volumes = np.bincount(bodies.ravel(), weights=tissue.ravel()) * voxel_ml
    return tissue & (volumes >= LEAST_ORGAN_ML)[bodies]


def contact_share(lesion: NDArray[np.bool_], tissue: NDArray[np.bool_]) -> float:
    """Share of the lesion's outer voxel faces that lie against the tissue; what the array's border cuts is no face."""
    faces = touching = 0
    for axis in range(3):
        a, b = np.moveaxis(lesion, axis, 0), np.moveaxis(tissue, axis, 0)
        for inner, outer, against in ((a[:-1], a[1:], b[1:]), (a[1:], a[:-1], b[:-1])):
            face = inner & ~outer
            faces += int(np.count_nonzero(face))
            touching += int(np.count_nonzero(face & against))
    return touching / faces if faces else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Place:
    """An organ as a coordinate system, all in mm of the array: faces of its hull, long axis, and hilum where it has one."""

    faces: NDArray
    middle: NDArray
    axis: NDArray
    half_length_mm: float
    hilum: NDArray | None

    @classmethod
    def of(cls, tissue: NDArray[np.bool_], labelled: NDArray[np.bool_], spacing: NDArray) -> "_Place | None":
        points = np.argwhere(tissue) * spacing
        try:
            faces = np.unique(ConvexHull(points).equations.round(6), axis=0)
        except (QhullError, ValueError):  # too few voxels, or all in one plane
            return None
        middle = points.mean(axis=0)
        axis = np.linalg.eigh(np.cov((points - middle).T))[1][:, -1]
        along = (points - middle) @ axis
        half = float(along.max() - along.min()) / 2
        centre = middle + axis * float(along.max() + along.min()) / 2
        return cls(faces=faces, middle=centre, axis=axis, half_length_mm=half, hilum=_hilum(points, labelled, faces, spacing))

    def outside(self, points: NDArray) -> float:
        return float((_height_mm(_thinned(points), self.faces) > 1e-6).mean())

    def polar(self, point: NDArray) -> float:
        return float(abs((point - self.middle) @ self.axis) / self.half_length_mm)

    def to_hilum_mm(self, points: NDArray) -> float | None:
        return None if self.hilum is None else float(cdist(points, self.hilum[None]).min())


def _height_mm(points: NDArray, faces: NDArray) -> NDArray:
    """Height (N,) over the hull, below 0 inside: there, the depth under the nearest face."""
    return (points @ faces[:, :3].T + faces[:, 3]).max(axis=1)


def _thinned(points: NDArray) -> NDArray:
    return points[:: max(1, len(points) // MANY_POINTS)]


def _hilum(points: NDArray, labelled: NDArray[np.bool_], faces: NDArray, spacing: NDArray) -> NDArray | None:
    """Middle (3,) of what lies deep within the hull and has no label, the deeper the heavier; None where the organ is full."""
    low, high = (points.min(axis=0) / spacing).astype(int), (points.max(axis=0) / spacing).astype(int) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    gaps = _thinned((np.argwhere(~labelled[box]) + low) * spacing)
    if not len(gaps):
        return None
    depth = -_height_mm(gaps, faces) - SINUS_MM
    deep = depth > 0
    return np.asarray((gaps[deep] * depth[deep, None]).sum(axis=0) / depth[deep].sum()) if deep.any() else None


def _sides(own: NDArray[np.bool_], others: NDArray[np.bool_], spacing: NDArray) -> tuple[float, float] | None:
    """Left-right position of the organ's middle and of the other organ's; None where only one is there."""
    if not own.any() or not others.any():
        return None
    here, there = (float(np.argwhere(mask)[:, 0].mean() * spacing[0]) for mask in (own, others))
    return here, there


def _to_midline_mm(points: NDArray, sides: tuple[float, float]) -> float:
    here, there = sides
    return float(((points[:, 0] - (here + there) / 2) * np.sign(here - there)).min())
