"""`Phantom`: a drawn patient's CT with its organ map and the record that makes it again."""

import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.phase import Phase
from panlesion.ct.volume import Box, Grid, Index3, LabelMap, Vector3, Volume, standard_grid
from panlesion.errors import StoreError
from panlesion.phantom.body import Body, draw_body, render_body, standard_grid_for
from panlesion.phantom.paint import draw_paint, render_paint
from panlesion.phantom.scanner import draw_scanner, render_scan

CT_NAME, ORGANS_NAME, RECORD_NAME = "ct.nii.gz", "organs.nii.gz", "record.json"
_SPACINGS_MM = (0.4, 10.0)
_FINDING_MM = 6.0  # spacing of the throw-away map in which a named organ's centre is looked up
_AIR_BESIDE_MM = 40.0  # what the whole-torso grid leaves beside the skin, both sides together


@dataclass(frozen=True, kw_only=True, eq=False)
class Phantom:
    """A CT, its organ map in v1 numbering on the same grid, and the JSON-able record of every random number in it."""

    ct: Volume
    organs: LabelMap
    record: dict[str, Any]


def make_phantom(
    seed: int,
    *,
    spacing_mm: float = 1.5,
    shape: Index3 | None = None,
    centre: str | Vector3 | None = None,
    phase: Phase | None = None,
    sex: str | None = None,
    age: float | None = None,
    bmi: float | None = None,
) -> Phantom:
    """Draw and render one phantom; equal arguments give equal bits.

    Without `shape` the grid holds the whole torso. With it, `centre` is the middle of the box: a v1 organ name, a point
    in RAS+ mm, or the first lumbar vertebra's level in the middle of the trunk when None.

    Raises:
        ValueError: A spacing, shape, centre, seed, sex, age or body mass index that no phantom has.
    """
    _check(seed, spacing_mm, shape, centre)
    rng = np.random.default_rng([seed, 0x626F6479])
    drawn_phase = list(Phase)[int(rng.integers(len(Phase)))]
    phase = drawn_phase if phase is None else phase
    body_rng, paint_rng, scanner_rng = rng.spawn(3)
    body = draw_body(body_rng, sex=sex, age=age, bmi=bmi)
    paint = draw_paint(phase, paint_rng, age=round(body.physique.age))
    torso = standard_grid_for(body, spacing_mm)
    width_mm = torso.shape[0] * spacing_mm - _AIR_BESIDE_MM
    scanner = draw_scanner(scanner_rng, patient_width_mm=width_mm)
    grid = torso if shape is None else _box_grid(body, torso, spacing_mm, shape, centre)
    drawn = render_body(body, grid)
    hu = render_scan(render_paint(paint, drawn.tissues, grid), scanner, grid)
    record = {
        "kind": "phantom",
        "seed": seed,
        "phase": phase.value,
        "grid": {"shape": list(grid.shape), "affine": grid.affine.tolist()},
        "body": asdict(body),
        "paint": asdict(paint),
        "scanner": asdict(scanner),
    }
    return Phantom(ct=Volume(hu=hu, grid=grid), organs=drawn.organs, record=record)


def _check(seed: int, spacing_mm: float, shape: Index3 | None, centre: str | Vector3 | None) -> None:
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    low, high = _SPACINGS_MM
    if not low <= spacing_mm <= high:
        raise ValueError(f"spacing_mm is {spacing_mm}; it must be between {low} and {high}")
    if shape is not None and (len(shape) != 3 or min(shape) < 8):
        raise ValueError(f"shape is {shape}; it must be three numbers of voxels, each 8 or more")
    if centre is not None and shape is None:
        raise ValueError(f"centre is {centre!r} but shape is not given; a centre is the centre of a box of that shape")
    if isinstance(centre, str) and centre not in V1_LABELS:
        raise ValueError(f"centre is {centre!r}; it must be an organ of TotalSegmentator v1, such as 'liver', or a point in mm")


def _box_grid(body: Body, torso: Grid, spacing_mm: float, shape: Index3, centre: str | Vector3 | None) -> Grid:
    if isinstance(centre, str):
        xyz = _organ_centre(body, centre)
    elif centre is None:
        middle = torso.to_xyz((np.array(torso.shape) - 1) / 2)
        xyz = (0.0, float(middle[1]), 0.0)
    else:
        xyz = centre
    x, y, z = (float(round(v / spacing_mm) * spacing_mm) for v in xyz)
    half = [(n - 1) // 2 * spacing_mm for n in shape]
    return standard_grid(shape, spacing_mm, (x + half[0], y + half[1], z - half[2]))


def _organ_centre(body: Body, organ: str) -> Vector3:
    coarse = render_body(body, standard_grid_for(body, _FINDING_MM)).organs
    mask = coarse.labels == V1_LABELS[organ]
    if not mask.any():
        raise ValueError(f"centre is {organ!r}, which this phantom does not have; name another organ or give a point in mm")
    box = Box.of(mask)
    ijk = [(a + b - 1) / 2 for a, b in zip(box.start, box.stop, strict=True)]
    x, y, z = coarse.grid.to_xyz((ijk[0], ijk[1], ijk[2])).tolist()
    return (x, y, z)


def save_phantom(phantom: Phantom, folder: Path | str) -> Path:
    """Write a host folder: `ct.nii.gz`, `organs.nii.gz` (v1 numbering) and `record.json`; whole or not at all.

    Raises:
        StoreError: The folder exists already, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise StoreError(f"{folder} exists already; name another folder or remove it first")
    part = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        part.mkdir(parents=True)
        write_volume(part / CT_NAME, phantom.ct)
        write_labels(part / ORGANS_NAME, phantom.organs)
        with (part / RECORD_NAME).open("w", encoding="utf-8") as stream:
            json.dump(phantom.record, stream, indent=1, allow_nan=False)
            stream.flush()
            os.fsync(stream.fileno())
        part.rename(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error}. Check the disk's space and the folder's rights") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder
