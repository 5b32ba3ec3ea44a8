"""Thin things that leave a lesion's body: spicules, which belong to it, and strands, which do not."""

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Vector3
from panlesion.synth.plan import Part, Spicule

# 1-2 mm thick, a few mm to 1 cm long (Fleischner glossary, Hansell 2008, Radiology 246:697).
SPICULE_COUNT = (7, 16)
SPICULE_MM = (3.0, 8.0)
SPICULE_RADIUS_MM = (0.8, 1.4)


def draw_spicules(part: Part, rng: np.random.Generator) -> tuple[Spicule, ...]:
    """Roughly radial strands from a body's surface outwards."""
    rotation = np.asarray(part.outline.rotation).reshape(3, 3)
    radii = np.asarray(part.outline.radii_mm)
    made = []
    for _ in range(int(rng.integers(*SPICULE_COUNT))):
        direction = _unit(rng.standard_normal(3))
        surface = float(1 / np.linalg.norm(rotation.T @ direction / radii))
        base = np.asarray(part.centre_xyz) + direction * surface * 0.85
        bent = _unit(direction + 0.25 * rng.standard_normal(3))
        tip = base + bent * (rng.uniform(*SPICULE_MM) + 0.15 * surface)
        radius = float(rng.uniform(*SPICULE_RADIUS_MM))
        made.append(Spicule(base_xyz=point(base), tip_xyz=point(tip), base_radius_mm=round(radius, 2)))
    return tuple(made)


def _unit(vector: NDArray) -> NDArray:
    return vector / np.linalg.norm(vector)


def point(xyz: NDArray) -> Vector3:
    """A position as plain numbers, to a thousandth of a mm."""
    x, y, z = np.asarray(xyz, dtype=float).round(3).tolist()
    return (x, y, z)
