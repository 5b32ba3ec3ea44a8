"""Whether a label lies voxel on voxel on its image, and its copy on the image's axes where it only is turned."""

from collections.abc import Sequence

from panlesion.ct.standardise import restore
from panlesion.ct.volume import Grid, LabelMap
from panlesion.errors import StoreError

_SAME_MM = 0.1  # float32 headers of long scans differ by less


def on_grid_of(label: LabelMap, grid: Grid) -> LabelMap:
    """The label on its image's array axes; both must mean the same voxels, turned or not.

    Raises:
        StoreError: The voxels are others.
    """
    refuse_other_grid(grid, label.grid)
    return LabelMap(labels=label.labels, grid=grid) if grid.same_as(label.grid, _SAME_MM) else restore(label, grid)


def refuse_other_grid(ct: Grid, label: Grid) -> None:
    """Refuse two grids that mean other voxels.

    Raises:
        StoreError: With how far they lie apart.
    """
    if sorted(ct.shape) != sorted(label.shape):
        raise StoreError(f"the CT has {by(ct.shape)} voxels, its label {by(label.shape)}; draw or resample it on its CT")
    apart = ct.apart_mm(label)
    if apart > _SAME_MM:
        raise StoreError(
            f"CT and label lie {apart:.2f} mm apart (limit {_SAME_MM}): origin, spacing or direction differ. "
            f"CT: axes {ct.axes}, {by(ct.spacing_mm)} mm; label: axes {label.axes}, {by(label.spacing_mm)} mm. "
            "Write the label with its CT's affine"
        )


def by(numbers: Sequence[float]) -> str:
    """Numbers as "512 x 512 x 90"."""
    return " x ".join(f"{number:g}" for number in numbers)
