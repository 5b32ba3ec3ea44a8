"""Couinaud segments by landmarks: an approximation, for no vein of the liver is in the organ map.

Three upright surfaces fan out from the inferior vena cava, one level crosses them (Couinaud 1957; Bismuth, World J Surg 1982):

* Cantlie's plane, from the cava to the gallbladder fossa, parts the right liver (V–VIII) from the left (II–IV);
* the right hepatic vein's plane parts anterior (V, VIII) from posterior (VI, VII). Not visible in a map: it halves the right
  liver (ours);
* the umbilical plane parts IV from II and III. Not visible either: it leaves IV its mean share of the left liver;
* the level of the portal bifurcation parts VIII from V and VII from VI. II lies above and behind III.

Segment I is the part nearest to the cava, in front of it and to its left. Mean shares of liver volume are those of Abdalla et
al., Surgery 2004 (102 livers): right 65 % (49–82), IV 17 %, II + III 16 %, I 2 %; Cantlie's plane is kept within that range.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.measure.location.landmarks import Course, Landmarks, Points

GALLBLADDER, LIVER, CAVA, PORTAL = 4, 5, 8, 9
SEGMENTS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
RIGHT_SHARE, RIGHT_RANGE = 0.65, (0.49, 0.82)
LEFT_OF_UMBILICAL = 16 / 33
CAUDATE_SHARE = 0.02
# Azimuths wrap behind and to the left of the cava, where no liver is.
SEAM_DEG = -135.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LiverSeats:
    """The planes of one liver; azimuths in degrees around the cava, 0 forwards, growing to the patient's right."""

    cava: Course
    cantlie_deg: float
    right_vein_deg: float
    umbilical_deg: float
    bifurcation_z: float
    lateral_level_mm: float
    caudate_radius_mm: float
    names: tuple[str, ...] = tuple(f"segment {s}" for s in SEGMENTS)

    @classmethod
    def of(cls, landmarks: Landmarks) -> "LiverSeats":
        liver = landmarks.points(LIVER)
        cava = _cava(landmarks, liver)
        azimuth, radius = _polar(liver, cava)
        cantlie = _cantlie(landmarks, cava, azimuth)
        right = azimuth >= cantlie
        bifurcation = _bifurcation(landmarks, cava, liver[right])
        near = np.sort(radius[_may_be_caudate(azimuth, liver[:, 2], cantlie, bifurcation)])
        share = min(len(near) - 1, round(CAUDATE_SHARE * len(liver)))
        umbilical = float(np.quantile(azimuth[~right], LEFT_OF_UMBILICAL)) if (~right).any() else cantlie - 40
        lateral = liver[azimuth < umbilical]
        return cls(
            cava=cava,
            cantlie_deg=cantlie,
            right_vein_deg=float(np.median(azimuth[right])),
            umbilical_deg=umbilical,
            bifurcation_z=bifurcation,
            lateral_level_mm=float(np.median(_above_behind(lateral))) if len(lateral) else bifurcation,
            caudate_radius_mm=float(near[share]) if share > 0 else 0.0,
        )

    def index(self, xyz: Points) -> NDArray[np.int64]:
        """Position in `names` of world points (N, 3)."""
        azimuth, radius = _polar(xyz, self.cava)
        high = xyz[:, 2] >= self.bifurcation_z
        right = np.where(azimuth > self.right_vein_deg, np.where(high, 6, 5), np.where(high, 7, 4))
        lateral = np.where(_above_behind(xyz) > self.lateral_level_mm, 1, 2)
        segment = np.where(azimuth > self.cantlie_deg, right, np.where(azimuth < self.umbilical_deg, lateral, 3))
        caudate = _may_be_caudate(azimuth, xyz[:, 2], self.cantlie_deg, self.bifurcation_z)
        return np.where(caudate & (radius <= self.caudate_radius_mm), 0, segment)


def _polar(xyz: Points, cava: Course) -> tuple[NDArray, NDArray]:
    offset = xyz[:, :2] - cava.at(xyz[:, 2])
    degrees = np.degrees(np.arctan2(offset[:, 0], offset[:, 1]))
    return (degrees - SEAM_DEG) % 360 + SEAM_DEG, np.hypot(offset[:, 0], offset[:, 1])


def _above_behind(xyz: Points) -> NDArray:
    """Height plus depth: II is the upper and hinder half of the left lateral section."""
    return (xyz[:, 2] - xyz[:, 1]) / np.sqrt(2)


def _may_be_caudate(azimuth: NDArray, z: NDArray, cantlie_deg: float, bifurcation_z: float) -> NDArray:
    """In front of the cava or to its left, and not far below the portal bifurcation (20 mm: ours)."""
    return (azimuth < min(cantlie_deg, 20.0)) & (azimuth > -110.0) & (z > bifurcation_z - 20)


def _cava(landmarks: Landmarks, liver: Points) -> Course:
    """The cava's course; without one, a line 20 mm right of the spine's middle and just in front of it."""
    cava = landmarks.points(CAVA)
    if len(cava):
        return Course.of(cava)
    spine = landmarks.spine
    low, high = liver.min(axis=0), liver.max(axis=0)
    if len(spine):
        x, y = np.median(spine[:, 0]) + 20.0, np.quantile(spine[:, 1], 0.95) + 10.0
    else:
        x, y = low[0] + 0.4 * (high[0] - low[0]), low[1] + 0.3 * (high[1] - low[1])
    return Course(z=np.array([low[2], high[2]]), xy=np.array([[x, y], [x, y]]))


def _cantlie(landmarks: Landmarks, cava: Course, liver_azimuth: NDArray) -> float:
    gallbladder = landmarks.points(GALLBLADDER)
    if not len(gallbladder):
        return float(np.quantile(liver_azimuth, 1 - RIGHT_SHARE))
    azimuth, _ = _polar(gallbladder, cava)
    low, high = np.quantile(liver_azimuth, [1 - RIGHT_RANGE[1], 1 - RIGHT_RANGE[0]])
    return float(np.clip(np.median(azimuth), low, high))


def _bifurcation(landmarks: Landmarks, cava: Course, right_liver: Points) -> float:
    """Upper end of the portal vein right of the splenic vein's course, within the middle half of the right liver."""
    low, middle, high = np.quantile(right_liver[:, 2], [0.25, 0.5, 0.75])
    portal = landmarks.points(PORTAL)
    if len(portal):
        portal = portal[portal[:, 0] > cava.at(portal[:, 2])[:, 0] - 15]
    level = np.quantile(portal[:, 2], 0.9) if len(portal) else middle
    return float(np.clip(level, low, high))
