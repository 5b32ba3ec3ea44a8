"""Organ maps from TotalSegmentator's files, v1 or v2, one label map or a folder of single masks; v1 numbering inside."""

from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.nifti import read_labels
from panlesion.ct.organs import V1_LABELS, V1_NAMES, V2_LABELS, V2_NAMES, v1_label_of, v2_to_v1_table
from panlesion.ct.volume import Grid, LabelMap
from panlesion.errors import OrganMapError

_MOST_OVERLAP = 0.01
"""Masks of neighbours may share this part of the smaller one (ours): edges drawn apart overlap by a voxel layer at most."""


class OrganNumbering(StrEnum):
    """Whose label numbers a map on disk has; nothing in the voxels tells them apart."""

    V1 = "v1"
    V2 = "v2"


def read_organs(path: Path | str, *, numbering: OrganNumbering | str, like: Grid | None = None) -> LabelMap:
    """The organ map of a file, or of a folder of masks named as TotalSegmentator v1 or v2 names them, in v1 numbering.

    A structure that v1 does not know becomes background; `organs.v2_to_v1_table` says which become what. In a folder the
    names say everything and `numbering` is not used.

    Args:
        path: A NIfTI label map, or a folder of `<structure>.nii.gz`.
        numbering: Whose numbers the file has.
        like: The grid of the CT it belongs to; the map must lie on the same one.

    Raises:
        OrganMapError: Labels outside the numbering, an empty map, unknown or overlapping masks, another grid than `like`.
        ReadError: A file that cannot be read.
        ValueError: `numbering` is neither v1 nor v2.
    """
    path, numbering = Path(path), OrganNumbering(numbering)
    organs = _from_folder(path) if path.is_dir() else _from_file(path, numbering)
    if not organs.labels.any():
        raise OrganMapError(f"{path}: the organ map is empty: no voxel has a label that v1 numbering knows")
    if like is not None:
        check_same_grid(organs.grid, like, str(path))
    return organs


def check_same_grid(found: Grid, like: Grid, name: str) -> None:
    """Refuse a map that does not lie voxel on voxel on its CT.

    Raises:
        OrganMapError: With what differs: shape, spacing, axes or position.
    """
    if found.same_as(like):
        return
    differences = []
    if found.shape != like.shape:
        differences.append(f"shape {found.shape} against {like.shape}")
    if found.axes != like.axes:
        differences.append(f"axes {found.axes} against {like.axes}")
    if not np.allclose(found.spacing_mm, like.spacing_mm, rtol=0, atol=1e-4):
        differences.append(
            f"spacing {np.round(found.spacing_mm, 4).tolist()} against {np.round(like.spacing_mm, 4).tolist()} mm"
        )
    if not differences:
        # Same voxels, but elsewhere or turned: the corner that lies furthest off says it best.
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in like.shape])).reshape(3, -1).T
        apart = float(np.abs(found.to_xyz(corners) - like.to_xyz(corners)).max())
        differences.append(f"position, by up to {apart:.2f} mm")
    raise OrganMapError(
        f"{name}: not on the grid of its CT: {', '.join(differences)}. Segment this CT, or resample the map onto its grid"
    )


def _from_file(path: Path, numbering: OrganNumbering) -> LabelMap:
    found = read_labels(path)
    names = V1_NAMES if numbering is OrganNumbering.V1 else V2_NAMES
    unknown = sorted(set(np.flatnonzero(np.bincount(found.labels.ravel(), minlength=256)).tolist()) - {0, *names})
    if unknown:
        raise OrganMapError(
            f"{path}: labels {_listed(unknown)} are not in TotalSegmentator {numbering.value} numbering (1 … {max(names)}). "
            "Is it the other version, or another program's map?"
        )
    if numbering is OrganNumbering.V1:
        return found
    return LabelMap(labels=v2_to_v1_table()[found.labels], grid=found.grid)


def _from_folder(folder: Path) -> LabelMap:
    files = {_structure(file): file for file in sorted(folder.iterdir()) if file.name.endswith((".nii", ".nii.gz"))}
    unknown = sorted(set(files) - set(V1_LABELS) - set(V2_LABELS))
    if not files or unknown:
        fault = f"unknown masks {_listed(unknown)}" if unknown else "no .nii.gz file"
        raise OrganMapError(
            f"{folder}: {fault}; a folder of organ masks holds files named as TotalSegmentator names its structures, "
            "such as liver.nii.gz. Move other files elsewhere"
        )
    labels: NDArray[np.uint8] | None = None
    grid, first = None, ""
    for name, file in files.items():
        found = read_labels(file)
        if labels is None or grid is None:
            labels, grid, first = np.zeros(found.grid.shape, dtype=np.uint8), found.grid, file.name
        if not found.grid.same_as(grid):
            raise OrganMapError(f"{file}: not on the grid of {first} beside it; all masks of a folder share the CT's grid")
        if found.labels.max() > 1 and len(np.unique(found.labels)) > 2:
            raise OrganMapError(f"{file}: {len(np.unique(found.labels)) - 1} labels; a single mask has 0 and one other value")
        _add(labels, found.labels > 0, v1_label_of(name), file)
    assert labels is not None and grid is not None
    return LabelMap(labels=labels, grid=grid)


def _add(labels: NDArray[np.uint8], mask: NDArray[np.bool_], label: int, file: Path) -> None:
    """Paint one mask; voxels another structure already has stay with it, if they are few."""
    if label == 0:
        return
    taken = labels[mask]
    other = int(np.count_nonzero((taken != 0) & (taken != label)))
    if other:
        rivals = np.bincount(taken, minlength=256)
        rivals[[0, label]] = 0
        rival = int(rivals.argmax())
        smaller = min(taken.size, int(np.count_nonzero(labels == rival)))
        if rivals[rival] > _MOST_OVERLAP * smaller:
            raise OrganMapError(
                f"{file}: {rivals[rival]} of its voxels are also {V1_NAMES[rival]}'s; masks may share "
                f"{_MOST_OVERLAP:.0%} of the smaller one ({smaller} voxels). Decide which structure owns them"
            )
    labels[mask & (labels == 0)] = label


def _structure(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".nii")


def _listed(items: list, most: int = 8) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(str(item) for item in items[:most]) + more
