"""Gallbladder, oesophagus and bladder: hollow organs whose parts follow one axis or one centre."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.measure.location.landmarks import Landmarks, Points

GALLBLADDER, OESOPHAGUS, TRACHEA, LEFT_ATRIUM, BLADDER = 4, 42, 43, 45, 104
VERTEBRA_T5, VERTEBRA_T8 = 30, 27


@dataclass(frozen=True, kw_only=True, eq=False)
class GallbladderSeats:
    """Fundus, body and neck: thirds along the long axis, the fundus at its front lower end (thirds: ours)."""

    axis: NDArray[np.float64]
    body_mm: float
    neck_mm: float
    names: tuple[str, ...] = ("fundus", "body", "neck")

    @classmethod
    def of(cls, landmarks: Landmarks) -> "GallbladderSeats":
        points = landmarks.points(GALLBLADDER)
        axis = _long_axis(points)
        if axis[1] - axis[2] > 0:  # towards the neck is backwards and upwards
            axis = -axis
        low, high = np.quantile(points @ axis, [0.005, 0.995])
        return cls(axis=axis, body_mm=float(low + (high - low) / 3), neck_mm=float(low + 2 * (high - low) / 3))

    def index(self, xyz: Points) -> NDArray[np.int64]:
        along = xyz @ self.axis
        return np.where(along < self.body_mm, 0, np.where(along < self.neck_mm, 1, 2))


def _long_axis(points: Points) -> NDArray[np.float64]:
    offset = points - points.mean(axis=0)
    _, vectors = np.linalg.eigh(offset.T @ offset)
    return np.asarray(vectors[:, 2])


@dataclass(frozen=True, kw_only=True)
class OesophagusSeats:
    """Upper, middle and lower third by the AJCC Cancer Staging Manual (8th ed.; Rice et al., Ann Cardiothorac Surg 2017).

    Upper ends at the azygos arch, middle at the inferior pulmonary vein. The map has neither; proxies, the first found:
    lower end of the trachea (carina) and the lower third of the left atrium; lower edge of T5 and of T8; 150 and 100 mm
    above the oesophagus's lower end (25 and 30 of 40 cm from the incisors in the manual).
    """

    upper_z: float
    lower_z: float
    names: tuple[str, ...] = ("upper third", "middle third", "lower third")

    @classmethod
    def of(cls, landmarks: Landmarks) -> "OesophagusSeats":
        bottom = landmarks.points(OESOPHAGUS)[:, 2].min()
        upper = _first(bottom + 150, _level(landmarks, TRACHEA, 0.01), _level(landmarks, VERTEBRA_T5, 0.05))
        lower = _first(bottom + 100, _level(landmarks, LEFT_ATRIUM, 0.33), _level(landmarks, VERTEBRA_T8, 0.05))
        return cls(upper_z=max(upper, lower + 20.0), lower_z=lower)

    def index(self, xyz: Points) -> NDArray[np.int64]:
        return np.where(xyz[:, 2] >= self.upper_z, 0, np.where(xyz[:, 2] >= self.lower_z, 1, 2))


def _level(landmarks: Landmarks, label: int, quantile: float) -> float | None:
    points = landmarks.points(label)
    return float(np.quantile(points[:, 2], quantile)) if len(points) else None


def _first(otherwise: float, *levels: float | None) -> float:
    return next((level for level in levels if level is not None), float(otherwise))


@dataclass(frozen=True, kw_only=True, eq=False)
class BladderSeats:
    """The six walls, by the direction from the bladder's centre in units of its half-size (ours)."""

    centre: NDArray[np.float64]
    half_mm: NDArray[np.float64]
    names: tuple[str, ...] = ("right wall", "left wall", "anterior wall", "posterior wall", "dome", "base and trigone")

    @classmethod
    def of(cls, landmarks: Landmarks) -> "BladderSeats":
        low, high = np.quantile(landmarks.points(BLADDER), [0.005, 0.995], axis=0)
        return cls(centre=(low + high) / 2, half_mm=np.maximum((high - low) / 2, 1.0))

    def index(self, xyz: Points) -> NDArray[np.int64]:
        offset = (xyz - self.centre) / self.half_mm
        axis = np.argmax(np.abs(offset), axis=1)
        return 2 * axis + (np.take_along_axis(offset, axis[:, None], axis=1)[:, 0] < 0)
