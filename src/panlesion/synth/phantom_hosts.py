"""Hosts that are drawn: which phantoms a cohort needs, each in the field of view that its types are scanned in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np

from panlesion.ct.organs import OrganSystem
from panlesion.ct.phase import Phase
from panlesion.data.host_folder import HostCard
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.phantom.phantom import Phantom, make_phantom


class Region(StrEnum):
    """The field of view of a phantom, as scanners have one for each question."""

    CHEST = "chest"
    ABDOMEN = "abdomen"
    PELVIS = "pelvis"
    TORSO = "torso"


_CENTRES: Mapping[Region, str | None] = MappingProxyType(
    {Region.CHEST: "esophagus", Region.ABDOMEN: None, Region.PELVIS: "urinary_bladder"}
)
"""The middle of a region's cube as `make_phantom` names it; None is the first lumbar vertebra's level."""

_REGIONS: Mapping[OrganSystem, tuple[Region, ...]] = MappingProxyType(
    dict.fromkeys(OrganSystem, (Region.ABDOMEN,))
    | {
        OrganSystem.LUNG: (Region.CHEST,),
        OrganSystem.ESOPHAGUS: (Region.CHEST,),
        OrganSystem.BLADDER: (Region.PELVIS,),
        OrganSystem.BONE: (Region.ABDOMEN, Region.CHEST, Region.PELVIS),
    }
)
"""Where a system is scanned; the first region is drawn for it, the others serve it when something else needs them."""


@dataclass(frozen=True, kw_only=True)
class HostPhantom:
    """A drawn body: a cube of `size_voxels` around its region, or the whole torso."""

    id: str
    seed: int
    phase: Phase
    region: Region
    size_voxels: int

    @property
    def source(self) -> dict[str, Any]:
        return {
            "phantom_seed": self.seed,
            "phase": self.phase.value,
            "region": self.region.value,
            "size_voxels": self.size_voxels,
        }

    @property
    def group(self) -> str:
        return self.id


def draw_phantoms(count: int, seed: int, types: Sequence[LesionType], size_voxels: int) -> list[HostPhantom]:
    """Bodies to draw: `count` for each region that the types need, whole torsos when `size_voxels` is 0.

    The four phases take turns from a drawn start, so that few phantoms already show several.
    """
    needed = {_REGIONS[TYPES[type_].system][0] for type_ in types} if size_voxels else {Region.TORSO}
    hosts = []
    for number, region in enumerate(Region):
        # each region has its own stream: asking for another type changes no phantom
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
        phases = [list(Phase)[int(n)] for n in rng.permutation(len(Phase))]
        for n, one in enumerate(rng.integers(0, 2**31, count).tolist() if region in needed else []):
            name, phase = f"phantom_{region.value}_{n:03d}", phases[n % len(phases)]
            hosts.append(HostPhantom(id=name, seed=one, phase=phase, region=region, size_voxels=size_voxels))
    return hosts


def serves(card: HostCard, type_: LesionType) -> bool:
    """Whether a host was scanned, or drawn, for the type's organ system; patients' CTs serve whatever they hold."""
    region = card.source.get("region", Region.TORSO)
    return region == Region.TORSO or region in _REGIONS[TYPES[type_].system]


def draw_phantom(source: HostPhantom, spacing_mm: float) -> Phantom:
    """Draw and render the body; equal arguments give equal bits."""
    if source.region is Region.TORSO:
        return make_phantom(source.seed, spacing_mm=spacing_mm, phase=source.phase)
    size = source.size_voxels
    return make_phantom(
        source.seed, spacing_mm=spacing_mm, shape=(size, size, size), centre=_CENTRES[source.region], phase=source.phase
    )
