"""`MassPlan`: everything that was drawn for one soft-tissue mass; JSON-able and free of any grid."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from panlesion.ct.volume import Vector3


class Texture(StrEnum):
    """What a mass is made of."""

    PLAIN = "plain"
    NECROTIC = "necrotic core"
    MYXOID = "myxoid"
    FATTY = "fatty"
    BLEEDING = "haemorrhage"
    MIXED = "mixed"


@dataclass(frozen=True, kw_only=True)
class Lobe:
    """An ellipsoid: middle (RAS+ mm), half-axes in mm, and the direction of its first axis."""

    centre_xyz: Vector3
    half_mm: Vector3
    axis: Vector3


@dataclass(frozen=True, kw_only=True)
class Stuff:
    """HU of a mass: a base, a core deeper than `core_mm`, islands covering `island_share`, flecks, and a texture's SD."""

    texture: Texture
    base_hu: float
    core_hu: float
    core_mm: float
    island_hu: float
    island_share: float
    septum_hu: float
    fleck_hu: float
    fleck_share: float
    texture_sd_hu: float
    coarse_mm: float
    fine_mm: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class MassPlan:
    """One mass as drawn.

    `diameter_mm`: the longest extent wanted; bone, skin and compartments may take of it. `confine_mm`: how much the surface is
    drawn in outside `compartments`; `push`: share of its volume that it displaces; `bulge_mm`: how far it may rise over the
    skin's old place; `margin_mm`: SD of the margin beyond the point spread; `halo_hu`: oedema about it, no part of its mask.
    """

    diameter_mm: float
    lobes: tuple[Lobe, ...]
    rough_mm: float
    rough_scale_mm: float
    compartments: tuple[int, ...]
    confine_mm: float
    bone_gap_mm: float
    bulge_mm: float
    push: float
    margin_mm: float
    halo_hu: float
    halo_mm: float
    stuff: Stuff
    seed: int


_ADAPTER: TypeAdapter[MassPlan] = TypeAdapter(MassPlan)


def mass_to_json(plan: MassPlan) -> dict[str, Any]:
    """The plan as plain JSON types."""
    return asdict(plan)


def mass_from_json(record: dict[str, Any]) -> MassPlan:
    """The plan of a record that `mass_to_json` made."""
    return _ADAPTER.validate_python(record)
