"""The great vessels: aorta and its branches, caval and iliac veins, pulmonary trunk; and the oesophagus between them."""

import numpy as np

from panlesion.phantom.anatomy.lattice import Field
from panlesion.phantom.anatomy.solids import Curve, curve
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue

Knots = list[tuple[float, float, float]]

AORTA: Knots = [
    (-2, 34, 146), (10, 46, 172), (15, 42, 200), (4, 20, 224), (-12, 0, 219), (-22, -14, 196), (-24, -19, 170), (-21, -14, 130),
    (-16, -1, 95), (-11, 9, 62), (-8, 19, 36), (-6, 27, 5), (-6, 34, -35), (-6, 37, -72), (-3, 36, -106),
]  # fmt: skip
_AORTA_RADII = (13.5, 15.5, 15.5, 13.5, 12.5, 12, 11.8, 11.5, 11.2, 10.8, 10.3, 9.8, 9.0, 8.5, 8.2)
IVC: Knots = [
    (10, 28, -124),
    (18, 30, -102),
    (20, 32, -60),
    (21, 32, -20),
    (22, 30, 15),
    (25, 28, 45),
    (26, 30, 78),
    (22, 34, 104),
    (22, 36, 122),
]
_IVC_RADII = (9, 10, 10.5, 11, 12, 12, 12.5, 12.5, 12.5)


def _tube(stage: Stage, knots: Knots, radii: list[float] | tuple[float, ...], scale: float = 1.0) -> Curve:
    return curve(stage.body_points(knots), np.asarray(radii, dtype=np.float64) * scale)


def calibre(stage: Stage) -> float:
    """Scale of the arteries: wider in men and with age (Rogers et al. 2013: infrarenal 19.3 mm in men, 16.7 in women)."""
    p = stage.frame.physique
    return float((0.90 if p.female else 1.02) * (1 + 0.0022 * (p.age - 55)) * stage.frame.bone**0.5)


def build_arteries(stage: Stage) -> None:
    """Aorta (7), arch branches, iliac arteries (51, 52); claims "aorta"."""
    c = calibre(stage)
    aorta = stage.claim(stage.tube_field([_tube(stage, AORTA, _AORTA_RADII, c)]), "aorta")
    branches = [
        _tube(stage, [(9, 30, 220), (16, 26, 250), (26, 18, 300)], (7, 6.5, 5), c),
        _tube(stage, [(2, 18, 226), (-12, 18, 260), (-20, 18, 304)], (5, 4, 3.8), c),
        _tube(stage, [(-8, 4, 226), (-24, 6, 262), (-46, 8, 292)], (5.5, 5, 4.5), c),
        _tube(stage, [(-6, 27, 24), (-6, 36, 22), (-2, 42, 21)], (4.5, 4, 3.5), c),
        _tube(stage, [(-5, 34, 5), (-3, 46, -4), (-2, 58, -35), (0, 68, -76)], (4.5, 4, 3.6, 2.6), c),
    ]
    field = stage.claim(stage.tube_field(branches))
    stage.canvas.paint(field, [(0.0, Tissue.ARTERIAL_BLOOD)], 0)
    for side, label in ((1, 52), (-1, 51)):
        outer = _tube(
            stage,
            [(-3, 36, -104), (side * 14, 31, -128), (side * 38, 24, -164), (side * 56, 36, -202),
             (side * 70, 62, -240), (side * 74, 66, -268), (side * 76, 54, -345)],
            (6.5, 6, 5.4, 5, 4.7, 4.6, 4.2),
            c,
        )  # fmt: skip
        inner = _tube(stage, [(side * 36, 24, -160), (side * 27, 12, -184), (side * 30, -6, -206)], (4.5, 4, 3), c)
        iliac = stage.claim(stage.tube_field([outer, inner]))
        stage.canvas.paint(iliac, [(0.0, Tissue.ARTERIAL_BLOOD)], label)
    stage.canvas.paint(aorta, [(0.0, Tissue.ARTERIAL_BLOOD)], 7)


def build_veins(stage: Stage) -> None:
    """Inferior cava (8), iliac veins (53, 54), superior cava and its tributaries; claims "ivc"."""
    ivc = stage.tube_field([_tube(stage, IVC, _IVC_RADII)])
    ivc = Field(lattice=ivc.lattice, values=np.maximum(ivc.values, 0.6 - stage.taken(ivc.lattice)))
    for side, label in ((1, 54), (-1, 53)):
        start = (10.0, 28.0, -126.0)
        middle = (24.0, 24.0, -140.0) if side > 0 else (-14.0, 20.0, -142.0)
        tube = _tube(
            stage,
            [
                start,
                middle,
                (side * 38, 13, -170),
                (side * 51, 23, -204),
                (side * 55, 54, -242),
                (side * 60, 60, -270),
                (side * 64, 44, -345),
            ],
            (8, 7.5, 6.6, 6.0, 6.0, 6.0, 5.4),
        )
        inner = _tube(stage, [(side * 37, 14, -168), (side * 34, -8, -194), (side * 38, -20, -214)], (5, 4.2, 3))
        field = stage.tube_field([tube, inner])
        field = Field(lattice=field.lattice, values=np.maximum(field.values, 0.6 - stage.taken(field.lattice)))
        stage.canvas.paint(field, [(0.0, Tissue.SYSTEMIC_VENOUS_BLOOD)], label)
        stage.claim(field)
    stage.claim(ivc, "ivc")
    stage.canvas.paint(ivc, [(0.0, Tissue.SYSTEMIC_VENOUS_BLOOD)], 8)
    superior = [
        _tube(stage, [(27, 32, 158), (27, 30, 190), (24, 30, 218), (23, 32, 236)], (9.5, 9, 8.5, 8)),
        _tube(stage, [(23, 32, 234), (-4, 42, 245), (-30, 32, 268), (-48, 22, 288)], (7, 6, 6, 5.5)),
        _tube(stage, [(23, 32, 234), (32, 28, 262), (46, 20, 288)], (7, 6.5, 6)),
        _tube(stage, [(14, -24, 60), (12, -34, 120), (12, -36, 180), (14, -22, 205), (22, 14, 210)], (3, 3.4, 3.8, 4, 4)),
    ]
    svc = stage.tube_field(superior)
    svc = stage.claim(Field(lattice=svc.lattice, values=np.maximum(svc.values, 0.6 - stage.taken(svc.lattice))))
    stage.canvas.paint(svc, [(0.0, Tissue.SYSTEMIC_VENOUS_BLOOD)], 0)


def build_pulmonary(stage: Stage) -> None:
    """Pulmonary trunk and its two arteries (49), and the pulmonary veins; claims "pulmonary"."""
    arteries = [
        _tube(stage, [(-18, 58, 162), (-21, 48, 182), (-17, 26, 196)], (14, 14, 12.5)),
        _tube(stage, [(-16, 26, 195), (8, 16, 190), (34, 6, 184), (46, 0, 172)], (11.5, 11, 10, 7)),
        _tube(stage, [(-18, 26, 196), (-32, 4, 198), (-44, -8, 186), (-48, -12, 170)], (11.5, 11, 9.5, 7)),
    ]
    field = stage.tube_field(arteries)
    aorta = stage.on("aorta", field.lattice)
    field = stage.claim(Field(lattice=field.lattice, values=np.maximum(field.values, 1.2 - aorta)), "pulmonary")
    stage.canvas.paint(field, [(0.0, Tissue.PULMONARY_BLOOD)], 49)


def build_oesophagus(stage: Stage, content_mm: float) -> None:
    """Oesophagus (42), collapsed or with a thread of gas of the given radius; claims "oesophagus"."""
    knots: Knots = [
        (-2, 15, 312), (-4, 3, 266), (-5, -4, 234), (-5, -9, 208), (-3, -10, 184), (-4, -8, 158), (-7, 2, 125), (-10, 16, 98),
        (-17, 24, 82), (-26, 30, 72),
    ]  # fmt: skip
    # The hiatus and the junction with the stomach move with the diaphragm.
    points = np.concatenate([stage.body_points(knots[:-3]), stage.organ_points(knots[-3:])])
    tube = curve(points, (6.5, 6.5, 7, 7, 7, 7.2, 7.5, 7.8, 8, 8.5))
    field = stage.tube_field([tube])
    # Where it is squeezed, a thin core stays and dents its neighbours.
    values = np.minimum(np.maximum(field.values, 1.0 - stage.taken(field.lattice)), field.values + 4.0)
    field = stage.claim(Field(lattice=field.lattice, values=values), "oesophagus")
    stage.canvas.paint(field, [(0.0, Tissue.GUT_WALL), (-7.0 + content_mm, Tissue.GAS)], 42)
