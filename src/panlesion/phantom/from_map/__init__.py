"""A CT painted onto the organ map of a real anatomy, with everything the map leaves out filled in."""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import V1_NAMES
from panlesion.ct.phase import Phase
from panlesion.ct.volume import STANDARD_AXES, LabelMap, Volume
from panlesion.errors import OrganMapError
from panlesion.phantom.from_map.bones import paint_bones
from panlesion.phantom.from_map.filling import Filling, draw_filling
from panlesion.phantom.from_map.hollow import paint_hollow
from panlesion.phantom.from_map.outline import infer_outline
from panlesion.phantom.from_map.parenchyma import paint_parenchyma
from panlesion.phantom.from_map.scene import Scene
from panlesion.phantom.from_map.vessels import paint_vessels
from panlesion.phantom.from_map.walls import paint_walls
from panlesion.phantom.paint import draw_paint, render_paint
from panlesion.phantom.phantom import Phantom
from panlesion.phantom.scanner import draw_scanner, render_scan

# TotalSegmentator v1's face, brain and humeri alone make no torso to fill.
_LEAST_VOXELS = 1000


def paint_map(organs: LabelMap, *, seed: int, phase: Phase | None = None) -> Phantom:
    """Paint a CT onto an organ map in v1 numbering; the map comes back unchanged beside it.

    Raises:
        ValueError: The map is not on an isotropic L,P,S grid.
        OrganMapError: The map is empty or has labels that v1 does not know.
    """
    _check(organs)
    rng = np.random.default_rng([seed, 0x6D6170])
    drawn_phase = list(Phase)[int(rng.integers(len(Phase)))]
    phase = drawn_phase if phase is None else phase
    age = int(np.clip(rng.normal(58, 14), 20, 90))
    filling = draw_filling(rng, age=age, male=bool(rng.random() < 0.5))
    paint = draw_paint(phase, rng, age=age)
    scanner = draw_scanner(rng)
    tissues = render_tissues(organs, filling)
    ideal_hu = render_paint(paint, tissues, organs.grid)
    hu = render_scan(ideal_hu, scanner, organs.grid)
    record = {
        "kind": "from-map",
        "seed": seed,
        "phase": phase.value,
        "filling": asdict(filling),
        "paint": asdict(paint),
        "scanner": asdict(scanner),
    }
    return Phantom(ct=Volume(hu=hu, grid=organs.grid), organs=organs, record=record)


def render_tissues(organs: LabelMap, filling: Filling) -> NDArray[np.uint8]:
    """The tissue map of an organ map: every organ painted, every voxel between them filled."""
    scene = Scene(organs)
    outline = infer_outline(scene, filling)
    paint_walls(scene, outline, filling)
    paint_bones(scene)
    paint_parenchyma(scene, filling)
    paint_hollow(scene, filling)
    paint_vessels(scene, outline, filling)
    return scene.tissues


def _check(organs: LabelMap) -> None:
    spacing_mm = organs.grid.spacing_mm
    if organs.grid.axes != STANDARD_AXES or max(spacing_mm) - min(spacing_mm) > 1e-3 * max(spacing_mm):
        raise ValueError(
            f"organs lies on a grid with axes {organs.grid.axes} and spacing {spacing_mm} mm; it must be {STANDARD_AXES} and "
            "isotropic: pass it through ct.standardise.standardise_labels first"
        )
    found = np.flatnonzero(np.bincount(organs.labels.ravel(), minlength=256))
    unknown = sorted(set(found.tolist()) - set(V1_NAMES) - {0})
    if unknown:
        raise OrganMapError(
            f"organs has labels {unknown}; TotalSegmentator v1 knows 1 to 104: was it read with the wrong numbering?"
        )
    painted = np.count_nonzero(organs.labels)
    if painted < _LEAST_VOXELS:
        raise OrganMapError(f"organs has {painted} labelled voxels; at least {_LEAST_VOXELS} are needed to infer a body")
