"""Colon (57): caecum to rectum with haustra, gas, stool and fluid."""

from dataclasses import dataclass

import numpy as np

from panlesion.phantom.anatomy.lattice import OUTSIDE_MM, Field
from panlesion.phantom.anatomy.solids import curve, keep_largest
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue

_KNOTS = (
    (84, 38, -152), (92, 26, -124), (98, 4, -98), (96, -2, -78), (90, 14, -60), (80, 50, -64), (48, 84, -74),
    (2, 92, -78), (-44, 84, -56), (-80, 56, -22), (-102, 18, 8), (-110, -10, -6), (-108, -18, -44), (-106, -10, -88),
    (-102, 8, -126), (-92, 34, -154), (-68, 54, -176), (-38, 50, -190), (-8, 34, -178), (12, 18, -182), (10, 0, -196),
    (0, -14, -216), (0, -27, -244), (0, -27, -266), (0, -34, -296),
)  # fmt: skip
_RADII = (30, 30, 27, 25, 24, 22, 21, 20, 20, 19, 19, 17, 16, 15.5, 15, 14.5, 15, 15, 14.5, 14.5, 15.5, 18, 19, 15, 7)


@dataclass(frozen=True, kw_only=True)
class Colon:
    """Calibre, sag of the transverse part, haustral spacing and filling of the colon.

    `gas`: share of the lumen's depth that is gas at evenly spaced stations from caecum to rectum; `fluid`: whether the rest is
    fluid (true) or stool there.
    """

    scale: float
    sag_mm: float
    sway_mm: float
    haustrum_mm: float
    gas: tuple[float, ...]
    fluid: tuple[bool, ...]


def draw_colon(rng: np.random.Generator, size: float) -> Colon:
    """Draw the colon: calibre 50 to 60 mm in the caecum, 30 in the sigmoid; gas and stool in every proportion (ours)."""
    gas = np.clip(rng.beta(0.9, 1.1, 12) * rng.uniform(0.6, 1.3), 0, 1)
    return Colon(
        scale=float(rng.uniform(0.88, 1.2) * size**0.5),
        sag_mm=float(rng.uniform(-12, 38)),
        sway_mm=float(rng.normal(0, 10)),
        haustrum_mm=float(rng.uniform(26, 36)),
        gas=tuple(gas.tolist()),
        fluid=tuple((rng.random(12) < 0.15).tolist()),
    )


def build_colon(stage: Stage, colon: Colon) -> None:
    """Colon from caecum to anus; claims "colon"."""
    knots = np.array(_KNOTS, dtype=np.float64)
    knots[6:9, 2] -= colon.sag_mm * np.array([0.8, 1.0, 0.7])
    knots[16:20, 0] += colon.sway_mm
    axis = stage.organ_points(knots)
    tube = curve(axis, np.array(_RADII) * colon.scale, 5.0)
    lattice, _ = stage.lattice(tube.points, 40.0, stage.fine_mm)
    values, along = stage.sweep(lattice, tube, 8.0)
    total = float(tube.along_mm[-1])
    # Haustra: the wall is drawn in between them by 4 mm, less and less towards the rectum.
    depth = np.interp(np.linspace(0, 1, 64), [0, 0.55, 0.8, 0.86, 1], [4.6, 4.0, 2.6, 0.6, 0.0])
    near = values < OUTSIDE_MM
    along = along[near]
    pleat = np.float32(1.0) - np.abs(np.sin(along * np.float32(np.pi / colon.haustrum_mm))) ** np.float32(0.7)
    values[near] += depth[np.clip(along * np.float32(64 / total), 0, 63).astype(np.intp)].astype(np.float32) * pleat
    room = np.maximum(
        1.2 - np.minimum(stage.taken(lattice), stage.on("stomach room", lattice)), stage.on("cavity", lattice) + 3.5
    )
    room = np.maximum(room, stage.on("diaphragm", lattice) + 4.0)
    values = keep_largest(np.maximum(values, room).astype(np.float32))
    field = stage.claim(Field(lattice=lattice, values=values), "colon")
    canvas = stage.canvas
    canvas.paint(field, [(0.0, Tissue.GUT_WALL), (-2.2, Tissue.STOOL)], 57)
    stations = np.linspace(0, total, len(colon.gas))
    steps = np.arange(0, total + 4.0, 4.0)
    n = np.clip((along / 4.0).astype(np.intp), 0, len(steps) - 1)
    fluid = np.full_like(values, OUTSIDE_MM)
    fluid[near] = np.interp(steps, stations, np.where(colon.fluid, -4.0, 4.0)).astype(np.float32)[n]
    canvas.paint(field, [(-2.2, Tissue.GUT_FLUID)], 57, within=[(Field(lattice=lattice, values=fluid), 0.0)])
    world_y = stage.frame.to_world(tube.points)[:, 1]
    level = np.interp(steps, tube.along_mm, world_y) + np.interp(steps, tube.along_mm, tube.radii_mm) * (
        1 - 2 * np.interp(steps, stations, colon.gas)
    )
    gas = np.full_like(values, OUTSIDE_MM)
    gas[near] = level.astype(np.float32)[n] + lattice.axes_lps_mm()[1].astype(np.float32)[np.nonzero(near)[1]]
    canvas.paint(field, [(-2.2, Tissue.GAS)], 57, within=[(Field(lattice=lattice, values=gas), 0.0)])
