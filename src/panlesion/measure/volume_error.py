"""How much too large or too small a predicted volume is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class VolumeError:
    """Predicted and true volume in ml."""

    predicted_ml: float
    truth_ml: float

    @property
    def signed_ml(self) -> float:
        """Above 0: too large."""
        return self.predicted_ml - self.truth_ml

    @property
    def absolute_ml(self) -> float:
        """Without its sign."""
        return abs(self.signed_ml)

    @property
    def signed_percent(self) -> float | None:
        """In % of the true volume; None where there is none."""
        return 100 * self.signed_ml / self.truth_ml if self.truth_ml else None

    @property
    def absolute_percent(self) -> float | None:
        """Without its sign."""
        return None if self.signed_percent is None else abs(self.signed_percent)


def volume_error(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], voxel_ml: float) -> VolumeError:
    """Volumes of two masks whose voxels have `voxel_ml` each; `Grid.voxel_ml` says how much.

    Raises:
        ValueError: The shapes differ, or a voxel has no volume.
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"the prediction has shape {predicted.shape}, the truth {truth.shape}; they must be equal")
    if not voxel_ml > 0:
        raise ValueError(f"voxel_ml is {voxel_ml}; it must be above 0")
    return VolumeError(
        predicted_ml=int(np.count_nonzero(predicted)) * voxel_ml, truth_ml=int(np.count_nonzero(truth)) * voxel_ml
    )
