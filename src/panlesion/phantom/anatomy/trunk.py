"""The trunk's shells: skin, muscle hull, cavity and diaphragm, as contours over body height."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from panlesion.phantom.anatomy.lattice import Array, Field, Points
from panlesion.phantom.anatomy.physique import Frame, rows_of, table
from panlesion.phantom.anatomy.solids import Coordinates, ellipsoid, smooth_max, smooth_min, waves
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue

_STEP_MM = 0.5
# A supine trunk is widest behind its middle.
_WIDEST = 0.43

# Half width, front y and back y (reference mm) of the inner surface of chest and abdominal wall, and of the muscle hull under
# the subcutaneous fat, from the thoracic inlet to the pelvic floor. Ours, set by eye against adult CT at mid-range build.
_UPPER_Z = (318, 300, 285, 270, 250, 225, 200, 170, 140, 110, 80, 50, 20, 0, -40, -80)
_CAVITY_Z = (*_UPPER_Z, -120, -160, -200, -235, -265, -290, -306)
_CAVITY_HALF = (8, 34, 56, 76, 96, 112, 122, 130, 135, 138, 139, 139, 136, 134, 130, 128, 126, 118, 96, 70, 54, 40, 12)
_CAVITY_FRONT = (20, 30, 37, 45, 53, 62, 72, 82, 91, 98, 104, 107, 106, 104, 101, 98, 92, 84, 74, 64, 50, 24, 4)
_CAVITY_BACK = (
    -22, -28, -38, -48, -62, -74, -82, -86, -84, -80, -74, -66, -58, -53, -46, -40, -36, -34, -30, -34, -32, -16, -6,
)  # fmt: skip

_HULL_Z = (*_UPPER_Z, -110, -140, -170, -200, -230, -260, -300, -345)
_HULL_HALF = (
    84, 126, 150, 163, 170, 168, 162, 158, 157, 157, 156, 154, 151, 149, 147, 146, 148, 153, 158, 164, 168, 167, 160, 152,
)  # fmt: skip
_HULL_FRONT = (42, 50, 57, 64, 74, 86, 97, 106, 111, 114, 118, 120, 118, 116, 113, 109, 104, 98, 92, 87, 84, 84, 78, 72)
_HULL_BACK = (
    -58, -68, -77, -88, -100, -109, -113, -113, -110, -105, -99, -95, -93, -92, -91, -91, -92, -93, -95, -98, -100, -98, -88,
    -74,
)  # fmt: skip

# Subcutaneous fat in front, at the side and behind, as shares of the thickness at the navel.
_FAT_Z = (318, 270, 225, 170, 110, 50, 0, -80, -130, -170, -210, -250, -300, -345)
_FAT_FRONT = (0.25, 0.28, 0.32, 0.36, 0.42, 0.55, 0.80, 1.05, 1.10, 1.00, 0.80, 0.65, 0.50, 0.45)
_FAT_SIDE = (0.30, 0.32, 0.38, 0.42, 0.45, 0.50, 0.60, 0.85, 0.95, 0.90, 0.95, 1.00, 0.90, 0.80)
_FAT_BACK = (0.35, 0.35, 0.32, 0.32, 0.36, 0.44, 0.58, 0.80, 0.95, 1.00, 1.00, 0.95, 0.80, 0.65)


@dataclass(frozen=True, kw_only=True, eq=False)
class Contour:
    """Superelliptic outline at every body height, tabulated every 0.5 mm.

    `half`: half width; `centre`: y of the widest place; `ahead`, `behind`: depths in front of it and behind it.
    """

    low_mm: float
    half: Array
    centre: Array
    ahead: Array
    behind: Array
    power: float

    def field(self, xyz: Coordinates) -> Array:
        """Radial signed distance to the outline."""
        x, y, z = xyz
        n = rows_of(self.low_mm, len(self.half), _STEP_MM, z)
        y = y - self.centre[n]
        depth = np.where(y > 0, self.ahead[n], self.behind[n])
        half = self.half[n]
        p = np.float32(self.power)
        q = (np.abs(x / half) ** p + np.abs(y / depth) ** p) ** np.float32(1 / p)
        return (np.sqrt(x * x + y * y) * (1 - 1 / np.maximum(q, 0.05))).astype(np.float32)

    def point(self, angle: Points, z: Points) -> Points:
        """Points (N, 3) on the outline; angle 0 is straight back, 90 degrees (pi/2) the right side, pi straight front."""
        n = np.clip(((z - self.low_mm) / _STEP_MM).astype(int), 0, len(self.half) - 1)
        dx, dy = np.sin(angle), -np.cos(angle)
        p = self.power
        depth = np.where(dy > 0, self.ahead[n], self.behind[n])
        r = (np.abs(dx / self.half[n]) ** p + np.abs(dy / depth) ** p) ** (-1 / p)
        return np.stack([r * dx, self.centre[n] + r * dy, z], axis=-1)

    def front(self, z: float) -> float:
        """The front y at a body height."""
        n = int(np.clip((z - self.low_mm) / _STEP_MM, 0, len(self.half) - 1))
        return float(self.centre[n] + self.ahead[n])


def _contour(frame: Frame, z: tuple[int, ...], half: Points, front: Points, back: Points, power: float) -> Contour:
    """Reference outlines → body outlines; `half`, `front`, `back` are body mm at reference heights."""
    heights = np.asarray(z, dtype=np.float64) * frame.physique.length
    at = np.arange(heights.min(), heights.max(), _STEP_MM)
    a, f, b = (PchipInterpolator(heights[::-1], np.asarray(v)[::-1])(at) for v in (half, front, back))
    return Contour(
        low_mm=float(at[0]),
        half=a.astype(np.float32),
        centre=(b + _WIDEST * (f - b)).astype(np.float32),
        ahead=((1 - _WIDEST) * (f - b)).astype(np.float32),
        behind=(_WIDEST * (f - b)).astype(np.float32),
        power=power,
    )


def cavity_contour(frame: Frame) -> Contour:
    """The inner surface of chest and abdominal wall."""
    z = np.asarray(_CAVITY_Z, dtype=np.float64)
    half = np.asarray(_CAVITY_HALF) * _half_scale(frame, z)
    return _contour(frame, _CAVITY_Z, half, _placed_y(frame, _CAVITY_FRONT, z), _placed_y(frame, _CAVITY_BACK, z), 2.35)


def _half_scale(frame: Frame, z: Points) -> Points:
    """Scale of half widths: breadth, and visceral fat between chest and pelvis."""
    belly = frame.physique.visceral - 1
    widen: Points = 1 + 0.35 * belly / (1 + np.exp((z - 40) / 25)) / (1 + np.exp(-(z + 140) / 15))
    return frame.physique.breadth * widen


def _placed_y(frame: Frame, y: tuple[int, ...], z: Points) -> Points:
    return frame.place(np.stack([np.zeros(len(z)), np.asarray(y, dtype=np.float64), z], axis=1))[:, 1]


def hull_contour(frame: Frame) -> Contour:
    """The outer surface of the muscles."""
    z = np.asarray(_HULL_Z, dtype=np.float64)
    extra = (frame.physique.muscle - 1) * 14
    half = np.asarray(_HULL_HALF) * _half_scale(frame, z) + extra
    front = _placed_y(frame, _HULL_FRONT, z) + 0.5 * extra
    back = _placed_y(frame, _HULL_BACK, z) - extra
    return _contour(frame, _HULL_Z, half, front, back, 2.45)


def skin_contour(frame: Frame) -> Contour:
    """The skin, without breasts and clefts."""
    z = np.asarray(_HULL_Z, dtype=np.float64)
    hull = hull_contour(frame)
    n = np.clip(((z * frame.physique.length - hull.low_mm) / _STEP_MM).astype(int), 0, len(hull.half) - 1)
    fat = frame.physique.belly_fat_mm

    def share(values: tuple[float, ...]) -> Points:
        return np.maximum(PchipInterpolator(_FAT_Z[::-1], values[::-1])(z) * fat, 2.5) + 2.0

    half = hull.half[n] + share(_FAT_SIDE)
    front = hull.centre[n] + hull.ahead[n] + share(_FAT_FRONT)
    back = hull.centre[n] - hull.behind[n] - share(_FAT_BACK)
    return _contour(frame, _HULL_Z, half, front, back, 2.3)


def build_trunk(stage: Stage) -> None:
    """Fields "skin", "hull", "cavity", "diaphragm" and "abdomen"; paints skin, fat, muscle and cavity fat."""
    frame, xyz = stage.frame, stage.xyz
    cavity = cavity_contour(frame).field(xyz)
    # The vertebral column bulges into the cavity from behind.
    spine = _spine_column(frame, xyz)
    cavity = smooth_max(cavity, -spine, 14.0)
    hull = hull_contour(frame).field(xyz)
    skin = skin_contour(frame).field(xyz)
    skin += waves(stage.whole.axes_lps_mm(), frame.physique.seed, 130.0, terms=5) * np.float32(1.5)
    skin, hull = (
        _legs_apart(frame, xyz, skin, 1.0, -6.0),
        _legs_apart(frame, xyz, hull, 5.0 + 0.25 * frame.physique.belly_fat_mm, 26.0),
    )
    hull = np.maximum(hull, skin + np.float32(4.0))
    if frame.physique.female:
        skin = _breasts(frame, xyz, skin)
    diaphragm = _diaphragm(frame, xyz, cavity, stage.whole.step_mm)
    abdomen = smooth_max(cavity + np.float32(2.0), diaphragm + np.float32(2.4), 4.0)
    for name, values in (("skin", skin), ("hull", hull), ("cavity", cavity), ("diaphragm", diaphragm), ("abdomen", abdomen)):
        stage.fields[name] = Field(lattice=stage.whole, values=values)


def paint_trunk(stage: Stage) -> None:
    """Skin, subcutaneous fat, the muscle hull with the fat planes in it, and the cavity's fat."""
    canvas, fields = stage.canvas, stage.fields
    canvas.paint(fields["skin"], [(0.0, Tissue.SKIN), (-1.9, Tissue.FAT)])
    lattice, p = stage.whole, stage.frame.physique
    z = stage.xyz[2] * np.float32(1 / p.length)
    # Three thin layers make the abdominal wall; chest and pelvis are muscle up to the hull.
    thick = np.interp(np.arange(-350, 330, 2.0), [-175, -140, 35, 85], [80, 13 * p.muscle, 13 * p.muscle, 60]).astype(
        np.float32
    )
    wall = np.maximum(fields["hull"].values, fields["cavity"].values - table(-350.0, thick, 2.0, z))
    canvas.paint(Field(lattice=lattice, values=wall), [(0.0, Tissue.MUSCLE)], within=[(fields["skin"], -1.9)])
    # Fat planes: one outside the ribs, the others where a smooth noise changes sign.
    fatness = 0.9 + 0.035 * p.belly_fat_mm
    planes = np.abs(waves(lattice.axes_lps_mm(), p.seed + 1, 120.0, terms=6)) * np.float32(20.0)
    planes = np.minimum(planes, np.abs(waves(lattice.axes_lps_mm(), p.seed + 2, 150.0, terms=6)) * np.float32(26.0))
    planes = np.minimum(
        planes - np.float32(fatness), np.abs(fields["cavity"].values - np.float32(13.0)) - np.float32(0.9 * fatness)
    )
    planes = np.maximum(planes, np.maximum(10.0 - fields["cavity"].values, wall + 2.0)).astype(np.float32)
    canvas.paint(Field(lattice=lattice, values=planes), [(0.0, Tissue.FAT)], over=(Tissue.MUSCLE,))
    canvas.paint(fields["cavity"], [(0.0, Tissue.FAT)])


def _spine_column(frame: Frame, xyz: Coordinates) -> Array:
    x, y, z = xyz
    heights = np.arange(-290, 330, 2.0)
    middle = frame.spine_y(heights / frame.physique.length).astype(np.float32)
    width = (
        np.interp(heights / frame.physique.length, [-270, -200, -150, 0, 150, 300], [34, 50, 46, 27, 25, 15]) * frame.bone
    ).astype(np.float32)
    y0 = table(-290.0, middle, 2.0, z) - np.float32(22 * frame.bone)
    half = table(-290.0, width, 2.0, z)
    u, v = x / half, (y - y0) / np.float32(38 * frame.bone)
    q = np.sqrt(u * u + v * v)
    return (np.sqrt(x * x + (y - y0) ** 2) * (1 - 1 / np.maximum(q, 0.05))).astype(np.float32)


def _legs_apart(frame: Frame, xyz: Coordinates, field: Array, gap_mm: float, deep_mm: float) -> Array:
    """Cut the cleft between the thighs and between the buttocks."""
    x, _, z = xyz
    top = np.float32(-318 * frame.physique.length)
    thighs = np.abs(x) - np.clip((top - z) * np.float32(0.22), -30, 14 + gap_mm)
    field = smooth_max(field, -thighs, 12.0)
    cleft = np.abs(x) - np.float32(gap_mm)
    back = frame.place((0.0, -84.0, -250.0))[1]
    below = np.float32(-150 * frame.physique.length) - z
    depth = (xyz[1] - np.float32(back)) - np.clip(below * np.float32(0.5) - 30.0, -40, deep_mm)
    return smooth_max(field, -np.maximum(cleft, depth), 10.0)


def _breasts(frame: Frame, xyz: Coordinates, skin: Array) -> Array:
    contour = skin_contour(frame)
    size = np.clip(0.85 + 0.02 * (frame.physique.bmi - 25), 0.65, 1.3)
    for side in (-1.0, 1.0):
        z = 158.0 * frame.physique.length
        centre = contour.point(np.array([np.pi - side * 0.72]), np.array([z]))[0]
        rows = slice(*np.searchsorted(xyz[2][0, 0], [z - 95 * size, z + 95 * size]))
        near = (xyz[0][:, :, rows], xyz[1][:, :, rows], xyz[2][:, :, rows])
        breast = ellipsoid(near, (centre[0], centre[1] - 12, z), (62 * size, 34 * size, 58 * size), (0, 0, -side * 24))
        skin[:, :, rows] = smooth_min(skin[:, :, rows], breast, 22.0)
    return skin


def _diaphragm(frame: Frame, xyz: Coordinates, cavity: Array, step_mm: float) -> Array:
    """Signed distance to the diaphragm, positive above it.

    Domes at T9/T10 in a breath hold, the right 10 to 15 mm higher; steep zone of apposition along the wall, deepest behind.
    A full breath lowers the domes by about 4 cm against expiration (forced breathing, supine MR: 44 mm right, 42 left,
    Gierada et al. 1995).
    """
    x, y, z = xyz
    peak = 98.0 + frame.diaphragm_shift_mm
    right, left = frame.place((68.0, 26.0, peak)), frame.place((-72.0, 22.0, peak - 13.0))

    def dome(top: Points, radius: float) -> Array:
        x0, y0, z0 = top.astype(np.float32)
        bowl: Array = z0 - ((x - x0) ** 2 + np.float32(0.75) * (y - y0) ** 2) / np.float32(2 * radius)
        return bowl

    domes = -smooth_min(-dome(right, 150.0), -dome(left, 150.0), 18.0)
    back, front = frame.place((0.0, -70.0, 50.0))[1], frame.place((0.0, 100.0, 50.0))[1]
    ahead = np.clip((y - np.float32(back)) / np.float32(front - back), 0, 1)
    fall = (118.0 - 78.0 * ahead) * np.exp(np.minimum(cavity, 0) / (17.0 + 6.0 * (1 - ahead)))
    height = (z - domes + fall).astype(np.float32)
    slope = np.sqrt(sum(g * g for g in np.gradient(height, step_mm)))
    return np.asarray(height / np.clip(slope, 1.0, 6.0), dtype=np.float32)
