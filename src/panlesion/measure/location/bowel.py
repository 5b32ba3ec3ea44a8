"""Stomach and colon: hollow organs that bend, so that their parts need more than one axis."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from panlesion.measure.location.landmarks import Landmarks, Points

STOMACH, OESOPHAGUS, DUODENUM, COLON = 6, 42, 56, 57
LATTICE_MM = 6.0


@dataclass(frozen=True, kw_only=True, eq=False)
class StomachSeats:
    """Cardia, fundus, body and antrum (Japanese classification of gastric carcinoma, 2011, simplified).

    Cardia: within 20 mm of the gastro-oesophageal junction (Siewert & Stein, Br J Surg 1998, type II). Fundus: above the
    junction's level. Antrum: the last third of the way through the stomach from pylorus to junction (ours, for the angular
    notch). The junction is where the stomach is nearest to the oesophagus, the pylorus where it is nearest to the
    duodenum; without those organs, the upper right and the lower right end. A stomach cut by the map's upper end and
    without an oesophagus has no cardia and no fundus in the map.
    """

    origin: Points
    lattice: NDArray[np.uint8]
    names: tuple[str, ...] = ("cardia", "fundus", "body", "antrum")

    @classmethod
    def of(cls, landmarks: Landmarks) -> "StomachSeats":
        cells, origin = _cells(landmarks.points(STOMACH))
        points = origin + cells * LATTICE_MM
        oesophagus, height = landmarks.points(OESOPHAGUS), _share_of_height(points)
        junction = _gate(points, oesophagus, points[:, 0] + 1e3 * (height > 0.6))
        pylorus = _gate(points, landmarks.points(DUODENUM), points[:, 0] + 1e3 * (height < 0.6))
        distance = _way(points, pylorus)
        seat = np.full(len(points), 2, dtype=np.uint8)
        if not len(oesophagus) and points[:, 2].max() > landmarks.top_z - LATTICE_MM:
            seat[distance < distance.max() / 3] = 3
        else:
            seat[points[:, 2] > points[junction, 2] + LATTICE_MM / 2] = 1
            seat[distance < distance[junction] / 3] = 3
            seat[np.linalg.norm(points - points[junction], axis=1) <= 20] = 0
        return cls(origin=origin, lattice=_filled(cells, seat))

    def index(self, xyz: Points) -> NDArray[np.int64]:
        cell = np.rint((xyz - self.origin) / LATTICE_MM).astype(int)
        i, j, k = np.clip(cell, 0, np.asarray(self.lattice.shape) - 1).T
        return self.lattice[i, j, k].astype(int)


def _cells(points: Points) -> tuple[NDArray[np.int64], Points]:
    """Occupied cells (N, 3) of a lattice of `LATTICE_MM`, and the world position of cell (0, 0, 0)."""
    origin = points.min(axis=0)
    return np.unique(np.rint((points - origin) / LATTICE_MM).astype(int), axis=0), origin


def _share_of_height(points: Points) -> NDArray[np.float64]:
    z = points[:, 2]
    return (z - z.min()) / max(1.0, float(np.ptp(z)))


def _gate(points: Points, organ: Points, otherwise: NDArray) -> int:
    """The point nearest to another organ; without that organ the one where `otherwise` is largest."""
    if not len(organ):
        return int(np.argmax(otherwise))
    distance, _ = cKDTree(organ).query(points)
    return int(np.argmin(distance))


def _way(points: Points, start: int) -> NDArray[np.float64]:
    """Length of the shortest way inside the organ from one point to all; straight to pieces that are cut off."""
    pairs = cKDTree(points).query_pairs(1.8 * LATTICE_MM, output_type="ndarray")
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    graph = csr_array((length, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    way = np.asarray(dijkstra(graph, directed=False, indices=np.array([start])))[0]
    return np.where(np.isfinite(way), way, np.linalg.norm(points - points[start], axis=1))


def _filled(cells: NDArray, seat: NDArray) -> NDArray[np.uint8]:
    """Seats of all cells of the organ's box; an empty cell takes the nearest occupied one's."""
    lattice = np.full(cells.max(axis=0) + 1, 255, dtype=np.uint8)
    lattice[tuple(cells.T)] = seat
    nearest = distance_transform_edt(lattice == 255, return_distances=False, return_indices=True)
    return np.asarray(lattice[tuple(nearest)])


@dataclass(frozen=True, kw_only=True)
class ColonSeats:
    """Caecum to rectum by position in the colon's box: an approximation that knows no loops.

    Rectum: below the middle of the sacrum (S3), near the midline, no further than 50 mm in front of the sacrum (Gray's
    Anatomy: the rectum begins at S3). Caecum: the lowest 60 mm of the right colon (its mean length in Gray's Anatomy).
    Sigmoid: what else lies below the iliac crests. Above them, the hinder outer part on either side is ascending and
    descending (both retroperitoneal) and the rest transverse (limits of a third of the half-width and 0.55 of the depth,
    or of 0.6 of the half-width more than 40 mm below the flexure at any depth: ours).
    """

    midline_x: float
    half_width_mm: float
    back_y: float
    depth_mm: float
    crest_z: float
    flexure_z: float
    caecum_z: float
    rectum_z: float
    rectum_y: float
    names: tuple[str, ...] = ("caecum", "ascending", "transverse", "descending", "sigmoid", "rectum")

    @classmethod
    def of(cls, landmarks: Landmarks) -> "ColonSeats":
        colon, sacrum, crest = landmarks.points(COLON), landmarks.sacrum, landmarks.crest_z
        midline = landmarks.midline_x(colon)
        low, high = np.quantile(colon, [0.005, 0.995], axis=0)
        if crest is None:  # a colon that reaches low is long
            crest = float(low[2] + 0.4 * (high[2] - low[2])) if high[2] - low[2] > 250 else float(low[2]) - 1.0
        half = max(1.0, float(np.max(np.abs(np.array([low[0], high[0]]) - midline))))
        right = colon[(colon[:, 0] - midline > 0.35 * half)]
        bottom = float(np.quantile(right[:, 2], 0.005)) if len(right) else float(low[2])
        abdominal = colon[colon[:, 2] > crest]
        y = (abdominal if len(abdominal) > 20 else colon)[:, 1]
        back, front = np.quantile(y, [0.02, 0.98])
        middle = float((sacrum[:, 2].min() + sacrum[:, 2].max()) / 2) if len(sacrum) else crest - 90.0
        return cls(
            midline_x=midline,
            half_width_mm=half,
            back_y=float(back),
            depth_mm=max(1.0, float(front - back)),
            crest_z=crest,
            flexure_z=float(high[2]) - 40.0,
            caecum_z=min(bottom + 60.0, crest + 20.0),
            rectum_z=middle,
            rectum_y=float(np.quantile(sacrum[:, 1], 0.98)) + 50.0 if len(sacrum) else float(high[1]),
        )

    def index(self, xyz: Points) -> NDArray[np.int64]:
        x, y, z = xyz.T
        side = (x - self.midline_x) / self.half_width_mm
        hinder = (y - self.back_y) / self.depth_mm < 0.55
        outer = (hinder & (np.abs(side) > 0.33)) | ((z < self.flexure_z) & (np.abs(side) > 0.6))
        upper = np.where(outer, np.where(side > 0, 1, 3), 2)
        seat = np.where(z > self.crest_z, upper, np.where(side > 0.33, 1, 4))
        seat = np.where((side > 0.33) & (z < self.caecum_z), 0, seat)
        rectum = (z < self.rectum_z) & (np.abs(x - self.midline_x) < 45) & (y < self.rectum_y)
        return np.where(rectum, 5, seat)
