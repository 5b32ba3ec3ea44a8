"""`Plan`: everything that was drawn for one lesion. Rendering it draws nothing, so a case can be made again from it.

A plan is JSON-able (`to_json`, `from_json`) and free of any grid: positions are RAS+ world mm, lengths mm, densities HU.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from panlesion.ct.volume import Vector3
from panlesion.lesion.spec import LesionSpec
from panlesion.synth.field import Field
from panlesion.synth.shape.outline import Outline


@dataclass(frozen=True, kw_only=True)
class Part:
    """One solid body of a lesion."""

    centre_xyz: Vector3
    outline: Outline


@dataclass(frozen=True, kw_only=True)
class Spicule:
    """A thin cone from the lesion's surface outwards."""

    base_xyz: Vector3
    tip_xyz: Vector3
    base_radius_mm: float


@dataclass(frozen=True, kw_only=True)
class WallPatch:
    """A stretch of thickened wall of a hollow organ.

    Thickness falls from its full value around `centre_xyz` to nothing at `half_length_mm`, measured along `axis` where the
    patch is annular (the whole circumference), else in all directions along the wall; a high `shoulder` makes it abrupt.
    It reaches `inward_mm` into and `outward_mm` out of the organ and leaves a lumen of radius `lumen_mm` open.
    """

    centre_xyz: Vector3
    axis: Vector3
    annular: bool
    half_length_mm: float
    inward_mm: float
    outward_mm: float
    lumen_mm: float
    shoulder: float
    roughness_mm: float
    field: Field


class Confine(StrEnum):
    """How a lesion's body meets its organ."""

    ORGAN = "stays within the organ"
    BULGE = "may push the organ's surface outwards"
    FREE = "may leave the organ"


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Where a lesion is: the union of its bodies less its craters, cut by what confines it.

    `bulge_mm` is how far a `BULGE` may rise over the organ's surface; `keep_gap_mm` the least distance kept from adjacent
    structures, 0 for none; `into_neighbour_mm` how deep it may cross into one.
    """

    parts: tuple[Part, ...] = ()
    craters: tuple[Part, ...] = ()
    spicules: tuple[Spicule, ...] = ()
    wall: WallPatch | None = None
    confine: Confine = Confine.ORGAN
    bulge_mm: float = 0.0
    keep_gap_mm: float = 0.0
    into_neighbour_mm: float = 0.0
    smooth_union_mm: float = 2.0


class LayerKind(StrEnum):
    """How a layer of matter is laid."""

    CORE = "deeper than start_mm"
    RIM = "between start_mm and stop_mm from the surface"
    BLOBS = "where the field is in its highest share"
    SHEETS = "thin sheets of half-width start_mm along the field's zero set"
    TEXTURE = "everywhere, proportional to the field"
    OUTSIDE = "where the lesion has left its organ"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a lesion's matter.

    `hu` is the HU the layer goes to (CORE, RIM, BLOBS, SHEETS, OUTSIDE) or the SD it adds (TEXTURE); `soft_mm` the
    width over which it fades; `share` the fraction of the lesion a BLOBS layer covers.
    """

    kind: LayerKind
    hu: float
    start_mm: float = 0.0
    stop_mm: float = 0.0
    soft_mm: float = 1.0
    share: float = 0.0
    field: Field | None = None
    ragged_mm: float = 0.0


class Blend(StrEnum):
    """How matter meets the host."""

    REPLACE = "the host's voxels give way"
    VEIL = "denser host structures (vessels) stay visible through it"


@dataclass(frozen=True, kw_only=True)
class Matter:
    """What a lesion is made of; later layers lie over earlier ones.

    `margin_mm` is the SD of an ill-defined margin beyond the scanner's point spread; with a `margin_field` half of its
    variance is a ragged edge and half a fading one, as infiltration looks, not a blur.
    """

    base_hu: float
    layers: tuple[Layer, ...] = ()
    margin_mm: float = 0.0
    margin_field: Field | None = None
    blend: Blend = Blend.REPLACE
    push: float = 0.0
    noise_seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Strand:
    """A thin tube along a path, laid into the host and not part of the mask: a dilated duct, a pleural tag."""

    path_xyz: tuple[Vector3, ...]
    radius_mm: float
    hu: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One lesion, ready to render: what it shall be, where it is, and what it is made of."""

    spec: LesionSpec
    geometry: Geometry
    matter: Matter
    strands: tuple[Strand, ...] = ()


_ADAPTER: TypeAdapter[Plan] = TypeAdapter(Plan)


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain JSON types."""
    record: dict[str, Any] = _ADAPTER.dump_python(plan, mode="json")
    record["spec"]["features"] = sorted(record["spec"]["features"])
    return record


def from_json(record: dict[str, Any]) -> Plan:
    """The plan of a record that `to_json` made; equal to the one that was dumped."""
    return _ADAPTER.validate_python(record)
