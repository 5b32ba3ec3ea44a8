"""`scaled`: the same geometry, larger or smaller."""

from dataclasses import replace

import numpy as np

from panlesion.ct.volume import Vector3
from panlesion.synth.field import Field
from panlesion.synth.plan import Geometry, Part, Spicule, WallPatch


def scaled(geometry: Geometry, factor: float, centre_xyz: Vector3) -> Geometry:
    """A geometry scaled about a point. Wall thickness, spicule width and gaps are anatomy and stay as they are."""
    return replace(
        geometry,
        parts=tuple(_part(part, factor, centre_xyz) for part in geometry.parts),
        spicules=tuple(_spicule(spicule, factor, centre_xyz) for spicule in geometry.spicules),
        wall=None if geometry.wall is None else _wall(geometry.wall, factor),
    )


def _moved(xyz: Vector3, factor: float, centre_xyz: Vector3) -> Vector3:
    centre = np.asarray(centre_xyz)
    x, y, z = (centre + factor * (np.asarray(xyz) - centre)).round(4).tolist()
    return (x, y, z)


def _field(field: Field, factor: float) -> Field:
    vectors = (np.asarray(field.wave_vectors) / factor).round(6).tolist()
    return replace(field, wave_vectors=tuple((a, b, c) for a, b, c in vectors))


def _part(part: Part, factor: float, centre_xyz: Vector3) -> Part:
    a, b, c = (round(r * factor, 4) for r in part.outline.radii_mm)
    outline = replace(part.outline, radii_mm=(a, b, c), field=_field(part.outline.field, factor))
    return Part(centre_xyz=_moved(part.centre_xyz, factor, centre_xyz), outline=outline)


def _spicule(spicule: Spicule, factor: float, centre_xyz: Vector3) -> Spicule:
    """The base follows the surface; length and width stay."""
    base = _moved(spicule.base_xyz, factor, centre_xyz)
    x, y, z = (np.asarray(spicule.tip_xyz) + np.asarray(base) - np.asarray(spicule.base_xyz)).round(4).tolist()
    return replace(spicule, base_xyz=base, tip_xyz=(x, y, z))


def _wall(wall: WallPatch, factor: float) -> WallPatch:
    return replace(wall, half_length_mm=round(wall.half_length_mm * factor, 4))
