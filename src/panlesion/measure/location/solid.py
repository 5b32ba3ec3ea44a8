"""Lungs, pancreas, kidneys, bones, and every organ that has no parts in a report."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import RIB_LABELS, V1_NAMES, VERTEBRA_LABELS
from panlesion.measure.location.landmarks import Landmarks, Points

KIDNEY_RIGHT, AORTA, CAVA, PORTAL, PANCREAS = 2, 7, 8, 9, 10
_LOBES = {
    13: "left upper lobe",
    14: "left lower lobe",
    15: "right upper lobe",
    16: "right middle lobe",
    17: "right lower lobe",
}
_READABLE = {"humerus": "humerus", "scapula": "scapula", "clavicula": "clavicle", "femur": "femur", "hip": "hip bone"}


@dataclass(frozen=True, kw_only=True)
class WholeSeat:
    """An organ with one seat: a lung lobe, a bone, anything without parts."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, label: int) -> "WholeSeat":
        return cls(names=(structure_name(label),))

    def index(self, xyz: Points) -> NDArray[np.int64]:
        return np.zeros(len(xyz), dtype=int)


def structure_name(label: int) -> str:
    """A v1 structure in a reader's words: "L3 vertebra", "left 5th rib", "right hip bone", "left upper lobe"."""
    if label in _LOBES:
        return _LOBES[label]
    words = V1_NAMES[label].split("_")
    if label in VERTEBRA_LABELS:
        return f"{words[1]} vertebra"
    if label in RIB_LABELS:
        return f"{words[1]} {_ordinal(int(words[2]))} rib"
    if words[-1] in ("left", "right"):
        return " ".join([words[-1], _READABLE.get(words[0], " ".join(words[:-1]))])
    return " ".join(words)


def _ordinal(number: int) -> str:
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number, 'th')}"


@dataclass(frozen=True, kw_only=True)
class KidneySeats:
    """Upper and lower pole and the interpolar region: thirds of the kidney's height.

    The PADUA score (Ficarra et al., Eur Urol 2009) draws its polar lines at the sinus; without a sinus in the map the
    thirds are of height (ours).
    """

    lower_z: float
    upper_z: float
    names: tuple[str, ...]

    @classmethod
    def of(cls, landmarks: Landmarks, label: int) -> "KidneySeats":
        z = landmarks.points(label)[:, 2]
        low, high = np.quantile(z, [0.005, 0.995])
        side = "right" if label == KIDNEY_RIGHT else "left"
        return cls(
            lower_z=float(low + (high - low) / 3),
            upper_z=float(low + 2 * (high - low) / 3),
            names=(f"{side} upper pole", f"{side} interpolar region", f"{side} lower pole"),
        )

    def index(self, xyz: Points) -> NDArray[np.int64]:
        return np.where(xyz[:, 2] >= self.upper_z, 0, np.where(xyz[:, 2] >= self.lower_z, 1, 2))


@dataclass(frozen=True, kw_only=True)
class PancreasSeats:
    """Head, body and tail by the borders of the AJCC Cancer Staging Manual (8th ed. 2017).

    The head (with neck and uncinate process) ends at the left border of the superior mesenteric vein, the body at the left
    border of the aorta. The vein is not in the map: its left border is taken 6 mm left of the lower end of the
    portal–splenic vein, or else midway between aorta and cava (ours). Shares of the organ stay within 25–60 % for the head
    and 15–45 % for the tail, so that a turned or cut pancreas still has three parts (ours).
    """

    head_x: float
    tail_x: float
    names: tuple[str, ...] = ("head", "body", "tail")

    @classmethod
    def of(cls, landmarks: Landmarks) -> "PancreasSeats":
        x = landmarks.points(PANCREAS)[:, 0]
        low, high = landmarks.points(PANCREAS)[:, 2].min(), landmarks.points(PANCREAS)[:, 2].max()
        aorta, cava, portal = (_between(landmarks.points(label), low, high) for label in (AORTA, CAVA, PORTAL))
        head, tail = np.quantile(x, [0.55, 0.3])
        if len(aorta):
            tail = np.quantile(aorta[:, 0], 0.02)
            if len(portal):
                trunk = portal[portal[:, 2] <= np.quantile(portal[:, 2], 0.25)]
                head = np.median(trunk[:, 0]) - 6.0
            elif len(cava):
                head = (np.median(aorta[:, 0]) + np.median(cava[:, 0])) / 2
        return cls(
            head_x=float(np.clip(head, *np.quantile(x, [0.4, 0.75]))),
            tail_x=float(np.clip(tail, *np.quantile(x, [0.15, 0.4]))),
        )

    def index(self, xyz: Points) -> NDArray[np.int64]:
        return np.where(xyz[:, 0] >= self.head_x, 0, np.where(xyz[:, 0] >= self.tail_x, 1, 2))


def _between(points: Points, low: float, high: float) -> Points:
    return points[(points[:, 2] >= low) & (points[:, 2] <= high)]
