"""`MaskScores`: everything that is said of one predicted class in one scan."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Box, Grid
from panlesion.measure.detection import HitRule, Tally, compare, tally
from panlesion.measure.overlap import dice
from panlesion.measure.surface import surface_distances
from panlesion.measure.volume_error import VolumeError, volume_error


@dataclass(frozen=True, kw_only=True)
class MaskScores:
    """Overlap and distances are None where the truth holds nothing: what is predicted there is told by volume and tally.

    Where the truth holds something and nothing was predicted, Dice and NSD are 0 and the distances infinite.
    """

    volume: VolumeError
    tally: Tally
    dice: float | None
    nsd: float | None
    hd95_mm: float | None
    mean_surface_mm: float | None


def score_masks(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], grid: Grid, *, tolerance_mm: float, rule: HitRule | None = None
) -> MaskScores:
    """Scores of a predicted mask on its grid; `tolerance_mm` is that of the NSD.

    Raises:
        ValueError: The masks do not have the grid's shape.
    """
    if not predicted.shape == truth.shape == grid.shape:
        raise ValueError(f"the prediction has shape {predicted.shape}, the truth {truth.shape}, their grid {grid.shape}")
    part = Box.of(predicted | truth).slices
    predicted, truth = predicted[part], truth[part]
    there = bool(truth.any())
    distances = surface_distances(predicted, truth, grid.spacing_mm) if there else None
    return MaskScores(
        volume=volume_error(predicted, truth, grid.voxel_ml),
        tally=tally([compare(predicted, truth)], rule),
        dice=dice(predicted, truth) if there else None,
        nsd=distances.nsd(tolerance_mm) if distances else None,
        hd95_mm=distances.hd95_mm if distances else None,
        mean_surface_mm=distances.mean_mm if distances else None,
    )
