"""`Body`: a drawn human torso, and its rendering to a tissue map and an organ map."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Grid, LabelMap, standard_grid
from panlesion.phantom.anatomy.bowel import Bowel, build_bowel, draw_bowel
from panlesion.phantom.anatomy.cage import build_cage
from panlesion.phantom.anatomy.canvas import Canvas
from panlesion.phantom.anatomy.colon import Colon, build_colon, draw_colon
from panlesion.phantom.anatomy.foregut import (
    Foregut,
    build_duodenum,
    build_pancreas,
    build_spleen,
    build_stomach,
    draw_foregut,
    reserve_stomach,
)
from panlesion.phantom.anatomy.heart import Heart, build_heart, build_pulmonary_veins, draw_heart
from panlesion.phantom.anatomy.liver import Liver, build_gallbladder, build_liver, build_portal, draw_liver
from panlesion.phantom.anatomy.lungs import Lungs, build_airways, build_lungs, draw_lungs
from panlesion.phantom.anatomy.muscles import build_back, build_gluteal, build_psoas
from panlesion.phantom.anatomy.pelvis import build_pelvis
from panlesion.phantom.anatomy.physique import Frame, Physique, draw_physique
from panlesion.phantom.anatomy.spine import build_spine
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.anatomy.trunk import build_trunk, paint_trunk, skin_contour
from panlesion.phantom.anatomy.urinary import Urinary, build_adrenals, build_bladder, build_kidneys, build_ureters, draw_urinary
from panlesion.phantom.anatomy.vessels import build_arteries, build_oesophagus, build_pulmonary, build_veins

# Steps of the lattices on which organs are modelled: large smooth ones, and small or thin ones.
_COARSE_MM = 3.0
_FINE_MM = 2.0


@dataclass(frozen=True, kw_only=True)
class Body:
    """Every random number of one torso. JSON-able with `as_dict`."""

    physique: Physique
    heart: Heart
    lungs: Lungs
    liver: Liver
    foregut: Foregut
    urinary: Urinary
    colon: Colon
    bowel: Bowel

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """The body of a record made by `as_dict`, also after a round trip through JSON."""
        parts = {
            "physique": Physique, "heart": Heart, "lungs": Lungs, "liver": Liver,
            "foregut": Foregut, "urinary": Urinary, "colon": Colon, "bowel": Bowel,
        }  # fmt: skip
        return cls(**{name: part(**{k: _as_tuple(v) for k, v in record[name].items()}) for name, part in parts.items()})


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(v) for v in value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """A rendered body: `tissues` uint8 (I, J, K) of `Tissue`, `organs` in v1 numbering on the same grid."""

    tissues: NDArray[np.uint8]
    organs: LabelMap


def draw_body(rng: np.random.Generator, *, sex: str | None = None, age: float | None = None, bmi: float | None = None) -> Body:
    """Draw a torso; what is given is not drawn.

    `sex`: "female" or "male"; `age`: 20 to 90 years; `bmi`: 15 to 45.
    """
    if sex not in (None, "female", "male"):
        raise ValueError(f'sex is {sex!r}; it must be "female", "male" or None')
    if age is not None and not 20 <= age <= 90:
        raise ValueError(f"age is {age}; only adults of 20 to 90 years can be drawn")
    if bmi is not None and not 15 <= bmi <= 45:
        raise ValueError(f"bmi is {bmi}; it must lie in 15 to 45")
    physique = draw_physique(rng, sex, age, bmi)
    female = physique.female
    # Organs grow with body size, less than in proportion (ours).
    size = physique.breadth * physique.depth * physique.length
    size = float(np.clip(size / (0.87 if female else 1.06), 0.65, 1.4) ** 0.85)
    return Body(
        physique=physique,
        heart=draw_heart(rng, female, size),
        lungs=draw_lungs(rng),
        liver=draw_liver(rng, female, size),
        foregut=draw_foregut(rng, female, physique.age, size),
        urinary=draw_urinary(rng, female, physique.age, size),
        colon=draw_colon(rng, size),
        bowel=draw_bowel(rng, physique.visceral),
    )


def render_body(body: Body, grid: Grid) -> Drawn:
    """Tissue and organ map of a body on any unrotated L,P,S grid. Draws nothing."""
    canvas = Canvas(grid)
    # Grids above 2.5 mm do not show what the finest lattices hold.
    detail = float(np.clip(min(grid.spacing_mm) / 2.5, 1.0, 1.5))
    stage = Stage(Frame(body.physique), canvas, _COARSE_MM * detail, _FINE_MM * detail)
    build_trunk(stage)
    paint_trunk(stage)
    build_spine(stage)
    build_cage(stage)
    build_pelvis(stage)
    build_back(stage)
    build_gluteal(stage)
    build_psoas(stage)
    build_arteries(stage)
    build_pulmonary(stage)
    build_veins(stage)
    build_airways(stage)
    build_oesophagus(stage, body.foregut.oesophagus_gas_mm)
    build_heart(stage, body.heart)
    build_pulmonary_veins(stage)
    build_lungs(stage, body.lungs)
    build_adrenals(stage)
    build_kidneys(stage, body.urinary)
    build_ureters(stage, body.urinary)
    build_portal(stage)
    build_duodenum(stage, body.foregut)
    build_pancreas(stage, body.foregut)
    reserve_stomach(stage)
    build_bladder(stage, body.urinary)
    build_gallbladder(stage, body.liver)
    build_colon(stage, body.colon)
    build_spleen(stage, body.foregut)
    build_liver(stage, body.liver)
    build_stomach(stage, body.foregut)
    build_bowel(stage, body.bowel)
    return Drawn(tissues=canvas.tissues, organs=LabelMap(labels=canvas.organs, grid=grid))


def standard_grid_for(body: Body, spacing_mm: float) -> Grid:
    """An L,P,S grid that holds the whole torso from T1 to below the hip joints, with a margin of air around the skin."""
    frame = Frame(body.physique)
    skin = skin_contour(frame)
    length = body.physique.length
    front = float((skin.centre + skin.ahead).max()) + 34.0
    back = float((skin.centre - skin.behind).min()) - 16.0
    half = float(skin.half.max()) + 24.0
    low, high = -338.0 * length, 308.0 * length
    shape = tuple(int(np.ceil(v / spacing_mm)) + 1 for v in (2 * half, front - back, high - low))
    # The first voxel lies on a multiple of the spacing.
    origin = (np.ceil(half / spacing_mm), np.ceil(front / spacing_mm), np.floor(low / spacing_mm))
    x, y, z = (float(v * spacing_mm) for v in origin)
    return standard_grid((shape[0], shape[1], shape[2]), spacing_mm, (x, y, z))
