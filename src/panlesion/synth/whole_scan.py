"""Whole drawn scans with lesions in several organs, or none: what a detector meets, and how often it meets nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import LabelMap, Volume
from panlesion.errors import PlacementError, VerifyError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.synth.compose import LESION, make_case
from panlesion.synth.drawn_scans import drawn_scans
from panlesion.synth.host import Host
from panlesion.synth.mass import draw_mass, render_mass
from panlesion.synth.mass_host import MassHost


@dataclass(frozen=True, kw_only=True, eq=False)
class WholeScan:
    """A torso, its organs, and the voxels (I, J, K) of all lesions; `types` names them, None is a soft-tissue mass."""

    ct: Volume
    organs: LabelMap
    lesion: NDArray[np.bool_]
    types: tuple[LesionType | None, ...]


def draw_whole_scan(
    rng: np.random.Generator, *, spacing_mm: float, lesions: int, mass: bool = False, name: str = "body"
) -> WholeScan:
    """A new body with at most `lesions` verified lesions, each in another organ system, after a soft-tissue mass if wanted.

    A lesion that finds no room is replaced by one of another type; a body without room for so many has fewer.
    """
    host, _ = next(drawn_scans(rng, scans=1, spacing_mm=(spacing_mm, spacing_mm), name=name))
    ct, organs = host.ct, host.organs
    lesion = np.zeros(ct.hu.shape, dtype=bool)
    types: list[LesionType | None] = []
    if mass and (with_mass := _with_mass(host, rng)) is not None:
        ct, lesion = with_mass
        types.append(None)
    order = [list(LesionType)[int(n)] for n in rng.permutation(len(LesionType))]
    wanted = len(types) + lesions
    for type_ in order:
        if len(types) == wanted:
            break
        if TYPES[type_].system in {TYPES[one].system for one in types if one is not None}:
            continue
        try:
            case = make_case(Host.of(name, ct, organs), [type_], rng)
        except (PlacementError, VerifyError):
            continue
        ct, organs, lesion = case.image, case.organs, lesion | (case.label.labels == LESION)
        types.append(type_)
    return WholeScan(ct=ct, organs=organs, lesion=lesion, types=tuple(types))


def _with_mass(host: Host, rng: np.random.Generator) -> tuple[Volume, NDArray[np.bool_]] | None:
    soft = MassHost.of(host.ct, host.organs, phase=host.facts.phase, psf_mm=host.facts.psf_mm)
    try:
        hu, mask = render_mass(draw_mass(soft, rng), soft)
    except PlacementError:
        return None
    return (Volume(hu=hu, grid=host.ct.grid), mask) if mask.any() else None
