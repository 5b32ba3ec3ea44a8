"""`Physique`: who is drawn, and `Frame`: where the reference anatomy lies in that body and how the body lies in the scanner."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from panlesion.ct.volume import Vector3
from panlesion.phantom.anatomy.lattice import Array, Lattice, Points
from panlesion.phantom.anatomy.solids import Coordinates, rotation

# Centres of the vertebral bodies from T1 to L5, then of the sacral ones to the coccyx: (y, z) in mm from the centre of L1,
# for a stature of 172 cm. Heights: Panjabi et al. 1991 and 1992 (bodies and discs); 40 degrees of kyphosis, 50 of lordosis.
LEVELS = ("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5")
SPINE_Z_MM = (
    291.0,
    272.0,
    252.0,
    231.0,
    209.0,
    187.0,
    164.0,
    140.0,
    115.0,
    89.0,
    62.0,
    32.0,
    0.0,
    -35.0,
    -70.0,
    -106.0,
    -140.0,
)
SPINE_Y_MM = (0.0, -9.0, -17.0, -24.0, -29.0, -32.0, -32.0, -30.0, -26.0, -20.0, -13.0, -6.0, 0.0, 6.0, 10.0, 10.0, 3.0)
SACRUM_Z_MM = (-172.0, -198.0, -220.0, -240.0, -256.0, -270.0)
SACRUM_Y_MM = (-13.0, -31.0, -46.0, -53.0, -52.0, -44.0)

REFERENCE_HEIGHT_CM = 172.0


@dataclass(frozen=True, kw_only=True)
class Physique:
    """Sex, age, build and pose of one drawn body.

    `breadth`, `depth`, `length`: scales of the skeleton and cavities across, front to back and along the body.
    `visceral`: scale of the belly's depth. `belly_fat_mm`: subcutaneous fat at the navel.
    """

    sex: str
    age: float
    height_cm: float
    bmi: float
    breadth: float
    depth: float
    length: float
    visceral: float
    belly_fat_mm: float
    muscle: float
    kyphosis: float
    lordosis: float
    breath: float
    tilt_degrees: Vector3
    bend_mm: float
    bend_phase: float
    seed: int

    @property
    def female(self) -> bool:
        return self.sex == "female"


def draw_physique(rng: np.random.Generator, sex: str | None, age: float | None, bmi: float | None) -> Physique:
    """Draw a body's build.

    Stature: 176 (SD 7) cm in men, 163 (6.5) in women (ICRP 89 reference adults: 176 and 163 cm); BMI: skewed around 26
    (NCD-RisC 2016 for high-income countries), 17 to 40. Subcutaneous fat at the navel: 7 to 55 mm, thicker in women at the
    same BMI (ours). Visceral fat grows with BMI, age and in men.
    """
    sex = sex if sex is not None else str(rng.choice(["female", "male"]))
    female = sex == "female"
    age = float(age if age is not None else rng.triangular(20, 62, 90))
    height = float(np.clip(rng.normal(163, 6.5) if female else rng.normal(176, 7), 148, 198))
    bmi = float(bmi if bmi is not None else np.clip(rng.gamma(9.0, 1.15) + 15.8, 17, 40))
    size = height / REFERENCE_HEIGHT_CM
    over = (bmi - 25) / 10
    return Physique(
        sex=sex,
        age=age,
        height_cm=height,
        bmi=bmi,
        breadth=float(size**0.6 * (0.97 if female else 1.0) * (1 + 0.07 * over) * np.clip(rng.normal(1, 0.025), 0.95, 1.05)),
        depth=float(size**0.5 * (0.96 if female else 1.0) * (1 + 0.08 * over) * np.clip(rng.normal(1, 0.03), 0.94, 1.06)),
        length=float(size * np.clip(rng.normal(1, 0.02), 0.96, 1.04)),
        visceral=float(
            np.clip(1 + (0.20 if female else 0.30) * over + 0.02 * (age - 60) / 30 + rng.normal(0, 0.04), 0.82, 1.45)
        ),
        belly_fat_mm=float(np.clip((24 if female else 17) + 1.9 * (bmi - 25) + rng.normal(0, 3), 7, 55)),
        muscle=float(
            np.clip(
                (0.92 if female else 1.03) * (1 - 0.0035 * max(age - 45, 0)) * (1 + 0.1 * over) * rng.normal(1, 0.06), 0.7, 1.25
            )
        ),
        kyphosis=float(np.clip(rng.normal(1, 0.18) + 0.006 * max(age - 60, 0), 0.6, 1.5)),
        lordosis=float(np.clip(rng.normal(0.95, 0.25), 0.3, 1.5)),
        breath=float(rng.beta(5, 3.5)),
        tilt_degrees=(float(rng.normal(0, 1.2)), float(rng.normal(0, 1.2)), float(rng.normal(0, 2.0))),
        bend_mm=float(rng.normal(0, 3.0)),
        bend_phase=float(rng.uniform(0, 2 * np.pi)),
        seed=int(rng.integers(2**31)),
    )


class Frame:
    """Reference anatomy (mm of a 172 cm body, RAS+ about the centre of L1) → body mm → world mm."""

    def __init__(self, physique: Physique) -> None:
        self.physique = p = physique
        z, y = np.array(SPINE_Z_MM + SACRUM_Z_MM), np.array(SPINE_Y_MM + SACRUM_Y_MM)
        bent = y * np.where(z > 0, p.kyphosis, np.where(z > -150, p.lordosis, 1.0))
        # The sacrum keeps its shape; the lordosis only shifts it.
        bent[z < -150] += (p.lordosis - 1) * SPINE_Y_MM[-1]
        self._reference_spine = PchipInterpolator(z[::-1], y[::-1])
        self._spine = PchipInterpolator(z[::-1], bent[::-1])
        self.bone = float((p.length * p.breadth) ** 0.5)
        self._turn = rotation(p.tilt_degrees)

    def front_scale(self, z_reference: NDArray | float) -> NDArray[np.float64]:
        """Scale of depths in front of the spine: the skeleton's in the chest, the belly's below it."""
        z = np.asarray(z_reference, dtype=np.float64)
        belly = 1 / (1 + np.exp((z - 55) / 22)) * (1 - 0.75 / (1 + np.exp((z + 205) / 18)))
        return self.physique.depth * (1 + (self.physique.visceral - 1) * belly)

    def spine_y(self, z_reference: NDArray | float) -> NDArray[np.float64]:
        """Body y of the vertebral bodies' centres at reference heights."""
        z = np.clip(np.asarray(z_reference, dtype=np.float64), -270, 291)
        y: NDArray[np.float64] = self._spine(z)
        return y * self.bone

    def place(self, points: NDArray | Vector3) -> Points:
        """Body mm (…, 3) of reference points (…, 3)."""
        p = np.asarray(points, dtype=np.float64)
        z = np.clip(p[..., 2], -270, 291)
        ahead = p[..., 1] - self._reference_spine(z)
        scale = np.where(ahead > 20, self.front_scale(p[..., 2]), self.bone)
        y = self.spine_y(p[..., 2]) + np.where(ahead > 20, 20 * self.bone + (ahead - 20) * scale, ahead * self.bone)
        return np.stack([p[..., 0] * self.physique.breadth, y, p[..., 2] * self.physique.length], axis=-1)

    def breathed(self, points: NDArray | Vector3) -> Points:
        """Body mm of reference points of organs that move with the diaphragm.

        Full excursion under the domes, half of it at L1, none below L4 (Brandner et al. 2006: liver 13, kidneys 11 to 13 mm in
        quiet breathing).
        """
        p = np.array(points, dtype=np.float64)
        p[..., 2] += self.diaphragm_shift_mm * np.interp(p[..., 2], [-110, -40, 0, 90], [0.0, 0.3, 0.5, 0.85])
        return self.place(p)

    @property
    def diaphragm_shift_mm(self) -> float:
        """How much higher the domes stand than in the reference body."""
        return 24.0 - 36.0 * self.physique.breath

    def to_world(self, body: NDArray) -> Points:
        """World mm (RAS+) of body points (…, 3)."""
        p = np.array(body, dtype=np.float64)
        p[..., 0] -= self._bend(p[..., 2])
        world: Points = p @ self._turn.T
        return world

    def coordinates(self, lattice: Lattice) -> Coordinates:
        """Body mm of every lattice point: three (I, J, K) arrays."""
        i, j, k = lattice.axes_lps_mm()
        r = self._turn
        x, y, z = (
            [v.astype(np.float32) for v in (-r[0, a] * i, -r[1, a] * j, r[2, a] * k)] for a in range(3)
        )  # what each lattice axis adds to each body coordinate
        x[2] += self._bend(z[0][0] + z[1][0] + z[2]).astype(np.float32)
        x, y, z = ((ofi[:, None, None] + ofj[:, None]) + ofk for ofi, ofj, ofk in (x, y, z))
        return x, y, z

    def _bend(self, z: NDArray) -> NDArray:
        return self.physique.bend_mm * np.sin(z / 110.0 + self.physique.bend_phase)


def rows_of(z_low: float, count: int, step_mm: float, z: Array) -> NDArray[np.int32]:
    """Row of each height in a table whose row n belongs to `z_low + n * step_mm`."""
    rows: NDArray[np.int32] = np.clip(((z - np.float32(z_low)) * np.float32(1 / step_mm)).astype(np.int32), 0, count - 1)
    return rows


def table(z_low: float, values: Array, step_mm: float, z: Array) -> Array:
    """Nearest entries of a table over heights."""
    return values[rows_of(z_low, len(values), step_mm, z)]
