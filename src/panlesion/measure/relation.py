"""How a lesion relates to its surroundings: gap to the nearest neighbour, breach of its organ's surface, contact with it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import V1_NAMES
from panlesion.lesion.taxonomy import TYPES, Neighbours
from panlesion.measure.region import dilated, voxels_of
from panlesion.measure.scene import REACH_MM, Scene

CLOSE_MM = 3.0
"""A gap below this is a close relationship. Ours: thinner fat planes are lost to partial volume in thick slices."""
BREACH_SHARE = 0.02
"""Share of a bone lesion outside the bone that counts as a breach. Ours: above the partial-volume fringe of a mask."""
CONTACT_MM = 2.0


@dataclass(frozen=True, kw_only=True)
class Relation:
    """Relation of a lesion to its surroundings.

    `gap_mm` is the boundary-to-boundary distance to the nearest neighbour that the lesion's type counts, None where there is
    none within reach; `neighbour` its name. `outside_share` is the share of the lesion's voxels outside its organ system.
    """

    gap_mm: float | None
    neighbour: str | None
    outside_share: float
    close: bool


def _name(label: int) -> str:
    return V1_NAMES.get(label, "unlabelled tissue")


def _nearest(scene: Scene, others: NDArray[np.bool_]) -> tuple[float | None, str | None]:
    """Gap to the nearest of some voxels, and the name of the label there; (None, None) where none is within reach."""
    within = others & scene.lesion
    if within.any():
        return 0.0, _name(int(np.bincount(scene.labels[within]).argmax()))
    distance = np.where(others, scene.away_mm, np.inf)
    least = float(distance.min())
    if not least <= REACH_MM:
        return None, None
    voxels = np.nonzero(distance <= least + 2.0 * max(scene.spacing_mm))
    gaps = scene.gap_mm(voxels)
    first = int(np.argmin(gaps))
    return float(gaps[first]), _name(int(scene.labels[tuple(axis[first] for axis in voxels)]))


def measure_relation(scene: Scene) -> Relation:
    """Gap, neighbour and breach by the rule of the lesion's type, see `taxonomy.Neighbours`."""
    outside = float(np.count_nonzero(scene.lesion & ~scene.own)) / float(np.count_nonzero(scene.lesion))
    gap: float | None = None
    name: str | None = None
    match TYPES[scene.type].neighbours:
        case Neighbours.LABELLED:
            gap, name = _nearest(scene, (scene.labels != 0) & ~scene.own)
        case Neighbours.OUTSIDE:
            gap, name = _nearest(scene, ~scene.own)
            name = "pleura" if name == _name(0) else name
        case Neighbours.BREACH:
            if outside > BREACH_SHARE:
                gap, name = 0.0, "soft tissue beyond the cortex"
        case Neighbours.NONE:
            pass
    return Relation(gap_mm=gap, neighbour=name, outside_share=outside, close=gap is not None and gap < CLOSE_MM - 1e-6)


def surface_contact(scene: Scene) -> float:
    """Share of the lesion's surface within `CONTACT_MM`, at least one voxel, of its organ's outer surface or beyond it."""
    reach = voxels_of(CONTACT_MM, scene.spacing_mm)
    beyond = ~(scene.own | scene.lesion)
    near = dilated(beyond, (max(1, reach[0]), max(1, reach[1]), max(1, reach[2]))) | ~scene.own
    shell = scene.lesion & (scene.depth_mm <= max(scene.spacing_mm) + 1e-6)
    return float(np.count_nonzero(shell & near)) / max(int(np.count_nonzero(shell)), 1)
