"""What each region of a limb is made of: muscles, bones and vessels as stations at its upper and its lower end.

Positions are (lateral, posterior) shares of the deep fascia's radius, the axis of the limb at the origin. They were read off
axial sections as any atlas shows them (Möller & Reif, Pocket Atlas of Sectional Anatomy, 4th ed. 2014) and rounded; ours.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

# What stands among the muscles of the back without being one.
MEDIASTINUM = "mediastinum"


class Region(StrEnum):
    """The stretches of limb and trunk wall that are drawn."""

    THIGH = "thigh"
    KNEE = "knee"
    CALF = "calf"
    UPPER_ARM = "upper arm"
    FOREARM = "forearm"
    BUTTOCK = "buttock"
    BACK = "back"


class Belly(NamedTuple):
    """A muscle: station and radius at both ends (a share of the fascia's radius; negative = not there), tangential stretch."""

    name: str
    upper: tuple[float, float]
    lower: tuple[float, float]
    radius: tuple[float, float]
    stretch: float = 1.0
    organ: str = ""


class Shaft(NamedTuple):
    """A bone: stations, radius and cortex in mm at both ends, lateral stretch, its share of the length, HU of its inside."""

    name: str
    upper: tuple[float, float]
    lower: tuple[float, float]
    radius_mm: tuple[float, float]
    cortex_mm: tuple[float, float]
    stretch: float = 1.0
    turn_rad: float = 0.0
    reach: tuple[float, float] = (-9.0, 9.0)
    inside_hu: tuple[float, float] = (-40.0, -40.0)
    triangle: float = 0.05
    organ: str = ""


class Cord(NamedTuple):
    """A vessel or nerve: stations, radius of itself and of the fat about it in mm, what runs in it."""

    upper: tuple[float, float]
    lower: tuple[float, float]
    radius_mm: float
    sheath_mm: float
    content: str


class Anatomy(NamedTuple):
    """A region: the fascia's mean radius in mm, its lower end's share of it, breadth, length, and what it holds."""

    radius_mm: tuple[float, float]
    taper: tuple[float, float]
    breadth: float
    length_mm: float
    bellies: tuple[Belly, ...]
    shafts: tuple[Shaft, ...]
    cords: tuple[Cord, ...]
    lungs: tuple[tuple[float, float, float, float], ...] = ()
    fill: float = 0.14


_THIGH = Anatomy(
    radius_mm=(62.0, 97.0),
    taper=(0.64, 0.80),
    breadth=1.0,
    length_mm=300.0,
    bellies=(
        Belly("rectus femoris", (0.08, -0.78), (0.0, -0.88), (0.24, 0.08), 1.2),
        Belly("vastus lateralis", (0.62, -0.28), (0.62, -0.40), (0.34, 0.34), 1.25),
        Belly("vastus intermedius", (0.22, -0.42), (0.05, -0.52), (0.22, 0.24)),
        Belly("vastus medialis", (-0.22, -0.40), (-0.55, -0.42), (0.14, 0.34)),
        Belly("sartorius", (-0.42, -0.82), (-0.90, 0.12), (0.10, 0.13), 1.5),
        Belly("gracilis", (-0.97, 0.0), (-0.85, 0.38), (0.09, 0.08), 1.8),
        Belly("adductor longus", (-0.62, -0.30), (-0.5, -0.05), (0.22, 0.02)),
        Belly("adductor magnus", (-0.42, 0.22), (-0.42, 0.12), (0.40, 0.14)),
        Belly("semimembranosus", (-0.20, 0.66), (-0.48, 0.62), (0.12, 0.28)),
        Belly("semitendinosus", (0.0, 0.80), (-0.18, 0.86), (0.18, 0.12), 1.1),
        Belly("biceps femoris", (0.28, 0.74), (0.45, 0.64), (0.20, 0.26), 1.1),
        Belly("short biceps", (0.42, 0.38), (0.42, 0.35), (0.06, 0.18)),
        Belly("gluteus maximus", (0.62, 0.60), (0.7, 0.5), (0.34, -0.5), 1.6, "gluteus_maximus"),
    ),
    shafts=(Shaft("femur", (0.18, -0.10), (0.04, -0.15), (14.5, 15.5), (6.5, 4.0), organ="femur"),),
    cords=(
        Cord((-0.38, -0.42), (-0.45, 0.20), 4.2, 6.0, "artery"),
        Cord((-0.34, -0.33), (-0.37, 0.27), 5.0, 6.6, "vein"),
        Cord((0.12, 0.46), (0.02, 0.45), 2.6, 4.4, "nerve"),
        Cord((-1.12, -0.3), (-1.08, 0.35), 2.2, 0.0, "vein"),
        Cord((0.10, -1.14), (0.3, -1.10), 1.2, 0.0, "vein"),
    ),
)

_KNEE = Anatomy(
    radius_mm=(48.0, 62.0),
    taper=(0.85, 1.0),
    breadth=1.0,
    length_mm=220.0,
    bellies=(
        Belly("vastus medialis", (-0.65, -0.45), (-0.7, -0.4), (0.38, -0.55)),
        Belly("vastus lateralis", (0.62, -0.55), (0.7, -0.5), (0.26, -0.5)),
        Belly("semimembranosus", (-0.48, 0.58), (-0.6, 0.40), (0.30, -0.35)),
        Belly("semitendinosus", (-0.28, 0.88), (-0.7, 0.45), (0.10, -0.02)),
        Belly("sartorius", (-0.90, 0.25), (-0.92, 0.0), (0.12, -0.05), 1.7),
        Belly("gracilis", (-0.80, 0.52), (-0.9, 0.2), (0.07, -0.04)),
        Belly("biceps femoris", (0.58, 0.58), (0.82, 0.30), (0.30, -0.25)),
        Belly("medial gastrocnemius", (-0.30, 0.52), (-0.45, 0.70), (-0.40, 0.42)),
        Belly("lateral gastrocnemius", (0.32, 0.52), (0.45, 0.70), (-0.40, 0.38)),
        Belly("popliteus", (0.0, 0.4), (-0.05, 0.30), (-0.6, 0.22), 1.8),
        Belly("soleus", (0.3, 0.4), (0.15, 0.45), (-0.9, 0.40), 1.8),
        Belly("tibialis anterior", (0.5, -0.5), (0.45, -0.60), (-0.9, 0.32)),
        Belly("peroneus", (0.8, -0.2), (0.78, -0.15), (-0.9, 0.26)),
    ),
    shafts=(
        Shaft("femur", (0.0, -0.28), (0.0, 0.02), (17.0, 46.0), (2.6, 0.6), 1.25, 0.0, (-9, 0.50), (20, 210), 0.10, "femur"),
        Shaft("tibia", (0.0, -0.10), (-0.20, -0.38), (42.0, 15.0), (0.6, 4.0), 1.2, 0.0, (0.52, 9), (190, -20), 0.08),
        Shaft("patella", (0.0, -0.93), (0.0, -0.93), (15.0, 15.0), (1.8, 1.8), 1.5, 0.0, (0.22, 0.44), (200, 200)),
        Shaft("fibula", (0.80, 0.2), (0.70, 0.10), (9.0, 6.5), (1.6, 2.2), 1.0, 0.0, (0.62, 9), (120, 10)),
    ),
    cords=(
        Cord((-0.05, 0.32), (0.0, 0.42), 3.4, 8.0, "artery"),
        Cord((0.06, 0.46), (0.08, 0.52), 4.2, 8.0, "vein"),
        Cord((0.12, 0.64), (0.10, 0.64), 2.4, 6.0, "nerve"),
        Cord((-1.10, 0.30), (-1.08, 0.2), 2.2, 0.0, "vein"),
    ),
    fill=0.10,
)

_CALF = Anatomy(
    radius_mm=(48.0, 66.0),
    taper=(0.52, 0.68),
    breadth=0.97,
    length_mm=300.0,
    bellies=(
        Belly("tibialis anterior", (0.28, -0.62), (0.12, -0.68), (0.28, 0.18), 0.8),
        Belly("extensor digitorum", (0.58, -0.48), (0.42, -0.58), (0.18, 0.20), 0.8),
        Belly("peroneus", (0.86, -0.12), (0.78, 0.15), (0.20, 0.20), 1.4),
        Belly("tibialis posterior", (0.16, -0.05), (0.0, 0.05), (0.20, 0.14)),
        Belly("flexor digitorum", (-0.42, 0.12), (-0.45, 0.20), (0.14, 0.16)),
        Belly("flexor hallucis", (0.48, 0.25), (0.30, 0.40), (0.10, 0.28)),
        Belly("soleus", (0.12, 0.40), (0.02, 0.62), (0.34, 0.26), 1.6),
        Belly("medial gastrocnemius", (-0.42, 0.66), (-0.3, 0.9), (0.36, -0.25), 1.3),
        Belly("lateral gastrocnemius", (0.46, 0.70), (0.3, 0.9), (0.32, -0.25), 1.3),
    ),
    shafts=(
        Shaft("tibia", (-0.26, -0.42), (-0.20, -0.30), (15.5, 11.5), (4.5, 4.5), 0.9, 0.5, triangle=0.22),
        Shaft("fibula", (0.62, 0.02), (0.56, 0.15), (6.8, 6.0), (2.6, 2.4), triangle=0.12),
    ),
    cords=(
        Cord((-0.02, 0.15), (-0.2, 0.30), 2.3, 4.5, "artery"),
        Cord((0.40, 0.14), (0.25, 0.2), 2.1, 4.0, "vein"),
        Cord((0.36, -0.22), (0.22, -0.2), 1.6, 3.2, "artery"),
        Cord((-1.10, -0.1), (-1.12, -0.4), 2.2, 0.0, "vein"),
        Cord((0.05, 1.12), (0.2, 1.12), 2.0, 0.0, "vein"),
    ),
)

_UPPER_ARM = Anatomy(
    radius_mm=(36.0, 56.0),
    taper=(0.70, 0.88),
    breadth=1.0,
    length_mm=230.0,
    bellies=(
        Belly("deltoid", (0.78, -0.12), (0.75, -0.2), (0.46, -0.45), 1.9),
        Belly("biceps brachii", (-0.15, -0.62), (0.0, -0.75), (0.26, 0.32)),
        Belly("brachialis", (0.10, -0.35), (0.12, -0.42), (0.04, 0.34), 1.4),
        Belly("coracobrachialis", (-0.42, -0.32), (-0.4, -0.3), (0.22, -0.4)),
        Belly("long triceps", (-0.32, 0.58), (-0.30, 0.66), (0.34, 0.26), 1.2),
        Belly("lateral triceps", (0.42, 0.60), (0.45, 0.62), (0.30, 0.30), 1.2),
        Belly("medial triceps", (0.05, 0.38), (0.05, 0.36), (0.04, 0.26), 1.4),
        Belly("brachioradialis", (0.75, -0.3), (0.80, -0.25), (-0.5, 0.26)),
    ),
    shafts=(
        Shaft("humerus", (0.10, -0.02), (0.06, 0.0), (12.5, 11.0), (3.8, 4.0), organ="humerus"),
        Shaft("head", (0.08, -0.02), (0.10, -0.02), (23.0, 14.0), (1.2, 2.5), 1.0, 0.0, (-9, 0.10), (170, 60), organ="humerus"),
    ),
    cords=(
        Cord((-0.55, 0.02), (-0.55, -0.2), 2.6, 4.6, "artery"),
        Cord((-0.62, 0.10), (-0.60, -0.1), 2.8, 4.6, "vein"),
        Cord((-0.50, 0.14), (-0.55, 0.1), 2.0, 3.6, "nerve"),
        Cord((0.2, -1.12), (0.3, -1.12), 1.8, 0.0, "vein"),
    ),
)

_FOREARM = Anatomy(
    radius_mm=(32.0, 46.0),
    taper=(0.55, 0.75),
    breadth=1.15,
    length_mm=230.0,
    bellies=(
        Belly("brachioradialis", (0.72, -0.5), (0.75, -0.4), (0.26, 0.06)),
        Belly("radial extensors", (0.85, 0.05), (0.8, 0.1), (0.24, 0.12)),
        Belly("common extensors", (0.45, 0.65), (0.4, 0.6), (0.34, 0.28), 1.3),
        Belly("ulnar extensor", (-0.15, 0.82), (-0.2, 0.75), (0.2, 0.16)),
        Belly("deep flexors", (-0.35, -0.05), (-0.25, -0.2), (0.36, 0.36), 1.4),
        Belly("superficial flexors", (-0.15, -0.62), (-0.1, -0.7), (0.36, 0.28), 1.4),
        Belly("ulnar flexor", (-0.82, -0.15), (-0.8, -0.2), (0.24, 0.2)),
        Belly("supinator", (0.42, 0.2), (0.4, 0.25), (0.2, 0.14)),
    ),
    shafts=(
        Shaft("radius", (0.42, -0.05), (0.45, -0.05), (7.5, 9.0), (2.6, 2.2), triangle=0.12),
        Shaft("ulna", (-0.32, 0.45), (-0.38, 0.3), (8.0, 6.5), (2.8, 2.4), triangle=0.15),
    ),
    cords=(
        Cord((0.3, -0.5), (0.4, -0.6), 1.8, 3.5, "artery"),
        Cord((-0.5, -0.5), (-0.5, -0.6), 1.8, 3.5, "artery"),
        Cord((0.9, -0.75), (0.9, -0.75), 1.8, 0.0, "vein"),
    ),
)

_BUTTOCK = Anatomy(
    radius_mm=(88.0, 112.0),
    taper=(0.80, 0.95),
    breadth=1.0,
    length_mm=260.0,
    bellies=(
        Belly("gluteus maximus", (-0.10, 0.78), (0.40, 0.66), (0.34, 0.36), 1.9, "gluteus_maximus"),
        Belly("gluteus medius", (0.52, 0.15), (0.72, 0.0), (0.40, -0.05), 1.5, "gluteus_medius"),
        Belly("gluteus minimus", (0.36, -0.18), (0.5, -0.2), (0.24, -0.2), 1.3, "gluteus_minimus"),
        Belly("tensor fasciae latae", (0.62, -0.52), (0.70, -0.40), (0.12, 0.18), 1.5),
        Belly("iliopsoas", (-0.25, -0.42), (-0.10, -0.38), (0.32, 0.20), 1.0, "iliopsoas"),
        Belly("sartorius", (0.30, -0.80), (-0.05, -0.88), (0.08, 0.11), 1.3),
        Belly("rectus femoris", (0.30, -0.62), (0.28, -0.72), (-0.05, 0.22)),
        Belly("vastus lateralis", (0.6, -0.3), (0.62, -0.22), (-0.7, 0.34), 1.2),
        Belly("pectineus", (-0.42, -0.48), (-0.48, -0.42), (-0.15, 0.24)),
        Belly("obturators", (-0.55, 0.05), (-0.42, 0.02), (0.14, 0.24)),
        Belly("adductor magnus", (-0.5, 0.3), (-0.45, 0.32), (-0.7, 0.34)),
        Belly("hamstrings", (-0.1, 0.45), (0.05, 0.50), (-0.3, 0.20)),
        Belly("quadratus femoris", (0.1, 0.30), (0.2, 0.22), (0.10, 0.16), 1.5),
    ),
    shafts=(
        Shaft("ilium", (0.06, 0.02), (-0.12, -0.02), (26.0, 26.0), (2.0, 1.8), 2.4, 0.9, (-9, 0.40), (120, 160), organ="hip"),
        Shaft(
            "head", (0.02, -0.06), (0.14, -0.05), (22.0, 26.0), (1.0, 1.2), 1.3, 0.1, (0.32, 0.58), (230, 210), organ="femur"
        ),
        Shaft(
            "ischium", (-0.28, 0.26), (-0.36, 0.24), (15.0, 15.0), (2.0, 2.0), 1.3, 0.7, (0.36, 0.85), (150, 150), organ="hip"
        ),
        Shaft("femur", (0.36, -0.02), (0.28, -0.02), (21.0, 15.0), (1.8, 6.0), 1.1, 0.0, (0.44, 9), (140, -10), organ="femur"),
        Shaft("pubis", (-0.62, -0.35), (-0.68, -0.2), (11.0, 10.0), (1.8, 1.8), 1.6, 0.5, (0.45, 0.7), (130, 130), organ="hip"),
    ),
    cords=(
        Cord((-0.34, -0.66), (-0.28, -0.62), 4.5, 7.0, "artery"),
        Cord((-0.45, -0.62), (-0.38, -0.56), 5.5, 7.5, "vein"),
        Cord((0.02, 0.42), (0.14, 0.40), 3.2, 5.0, "nerve"),
    ),
    fill=0.10,
)

_T6 = "vertebrae_T6"
# Where a rib crosses the section: station, turn, and its share of the length.
_RIB_PLACES = (
    (0.72, 0.28, 1.2, 0.0),
    (0.50, 0.50, 0.7, 0.12),
    (0.82, 0.02, 1.5, 0.2),
    (0.62, 0.42, 0.9, 0.36),
    (0.78, -0.2, 1.8, 0.42),
    (0.40, 0.56, 0.4, 0.55),
    (0.76, 0.22, 1.2, 0.6),
    (0.58, 0.46, 0.8, 0.78),
    (0.80, -0.05, 1.6, 0.85),
)
_RIBS = tuple(
    Shaft(
        f"rib {n}", (s * x, y), (s * x, y), (6.0, 6.0), (1.6, 1.6), 1.9, s * turn, (at, at + 0.13), (140, 140), 0.05, f"rib_{n}"
    )
    for s in (1.0, -1.0)
    for n, (x, y, turn, at) in enumerate(_RIB_PLACES, start=2)
)

_BACK = Anatomy(
    radius_mm=(128.0, 150.0),
    taper=(0.90, 1.0),
    breadth=1.15,
    length_mm=260.0,
    bellies=(
        Belly("autochthon", (0.16, 0.78), (0.17, 0.76), (0.15, 0.17), 1.2, "autochthon"),
        Belly("autochthon far", (-0.16, 0.78), (-0.17, 0.76), (0.15, 0.17), 1.2, "autochthon"),
        Belly("trapezius", (0.30, 0.96), (0.14, 0.98), (0.12, 0.01), 3.0),
        Belly("trapezius far", (-0.30, 0.96), (-0.14, 0.98), (0.12, 0.01), 3.0),
        Belly("infraspinatus", (0.60, 0.76), (0.62, 0.70), (0.20, -0.05), 1.7),
        Belly("subscapularis", (0.62, 0.50), (0.6, 0.55), (0.16, -0.15), 1.7),
        Belly("latissimus dorsi", (0.92, 0.42), (0.80, 0.62), (0.08, 0.16), 2.2),
        Belly("infraspinatus far", (-0.60, 0.76), (-0.62, 0.70), (0.20, -0.05), 1.7),
        Belly("latissimus far", (-0.92, 0.42), (-0.80, 0.62), (0.08, 0.16), 2.2),
        Belly("serratus", (0.95, 0.08), (0.95, 0.1), (0.08, 0.10), 2.4),
        Belly("pectoral", (0.52, -0.82), (0.5, -0.85), (0.16, 0.05), 2.4),
        Belly("pectoral far", (-0.52, -0.82), (-0.5, -0.85), (0.16, 0.05), 2.4),
        Belly(MEDIASTINUM, (0.0, -0.15), (0.0, -0.25), (0.20, 0.40), 0.8),
    ),
    shafts=(
        Shaft("vertebra", (0.0, 0.36), (0.0, 0.36), (21.0, 23.0), (0.9, 0.9), 1.25, 0.0, (-9, 9), (180, 180), organ=_T6),
        Shaft("arch", (0.0, 0.62), (0.0, 0.60), (14.0, 14.0), (1.8, 1.8), 0.45, 0.0, (-9, 9), (160, 160), organ=_T6),
        Shaft(
            "scapula", (0.58, 0.64), (0.64, 0.56), (14.0, 12.0), (2.2, 1.8), 3.2, -0.5, (-9, 0.6), (110, 110), organ="scapula"
        ),
        Shaft(
            "far scapula",
            (-0.58, 0.64),
            (-0.64, 0.56),
            (14.0, 12.0),
            (2.2, 1.8),
            3.2,
            0.5,
            (-9, 0.6),
            (110, 110),
            organ="scapula",
        ),
        *_RIBS,
    ),
    cords=(Cord((0.10, 0.16), (0.12, 0.16), 11.0, 13.0, "artery"),),
    lungs=((0.42, -0.05, 0.36, 0.62), (-0.42, -0.05, 0.36, 0.62)),
    fill=0.05,
)

ANATOMY: Mapping[Region, Anatomy] = MappingProxyType(
    {
        Region.THIGH: _THIGH,
        Region.KNEE: _KNEE,
        Region.CALF: _CALF,
        Region.UPPER_ARM: _UPPER_ARM,
        Region.FOREARM: _FOREARM,
        Region.BUTTOCK: _BUTTOCK,
        Region.BACK: _BACK,
    }
)
