"""The CT of a study as the reading uses it: its grid, and its voxels kept ready so that a stroke is measured at once."""

from functools import lru_cache
from pathlib import Path
from typing import cast
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.schemas.studies import GridOut
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Reading, Series, Study
from panlesion.ct.dicom import DicomCT
from panlesion.ct.read import read_ct_with_source
from panlesion.ct.volume import Grid, Volume
from panlesion.data.publish import publishing_file, write_text
from panlesion.errors import ReadError

GRID_FILE, CT_FILE = "grid.json", "ct.npy"


def series_folder(session: Session, settings: Settings, study: Study) -> Path:
    """Where the images of the CT that is read lie.

    Raises:
        ReadError: The study has no series that is read as a CT.
    """
    wanted = select(Series.id).where(Series.study_id == study.id, Series.series_uid == study.primary_series)
    series_id = session.scalar(wanted)
    if series_id is None:
        raise ReadError("no series of this study can be read as a CT; the list of its series says why")
    return images_folder(settings, study.id, series_id)


def images_folder(settings: Settings, study_id: UUID, series_id: UUID) -> Path:
    """Where intake keeps the images of a series."""
    return settings.data / "dicom" / str(study_id) / str(series_id)


def results_folder(settings: Settings, reading: Reading) -> Path:
    """What the analysis left of a study, or its grid alone where it was begun by hand."""
    assert reading.original_path is not None
    return settings.data / reading.original_path


def keep_scan(folder: Path, ct: Volume, source: DicomCT) -> None:
    """Write `grid.json` and `ct.npy` (int16, as (K, J, I)) into a folder of results."""
    told = GridOut(
        shape=ct.grid.shape,
        spacing_mm=ct.grid.spacing_mm,
        affine=ct.grid.affine.tolist(),
        sops=[one.sop_instance for one in source.slices],
    )
    keep_voxels(folder, ct)
    write_text(folder / GRID_FILE, told.model_dump_json())


def keep_voxels(folder: Path, ct: Volume) -> None:
    """Write `ct.npy`, whole or not at all."""
    with publishing_file(folder / CT_FILE) as stream:
        np.save(stream, np.ascontiguousarray(ct.hu.transpose(2, 1, 0)), allow_pickle=False)


def grid_of(folder: Path) -> Grid:
    """The grid that the masks of a study lie on.

    Raises:
        ReadError: `grid.json` is missing or damaged.
    """
    return _grid_kept(folder)[0]


def images_of(folder: Path) -> frozenset[str]:
    """The SOP UIDs of the images that were read; what came to their series later is no part of the reading.

    Raises:
        ReadError: `grid.json` is missing or damaged.
    """
    return frozenset(_grid_kept(folder)[1])


@lru_cache(maxsize=64)
def _grid_kept(folder: Path) -> tuple[Grid, tuple[str, ...]]:
    path = folder / GRID_FILE
    try:
        told = GridOut.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReadError(f"{GRID_FILE} of the analysis cannot be read ({error.strerror}); analyse the study again") from error
    except ValidationError as error:
        raise ReadError(f"{GRID_FILE} of the analysis is damaged; analyse the study again") from error
    return Grid(shape=told.shape, affine=np.array(told.affine)), tuple(told.sops)


def open_scan(folder: Path, images: Path, series_uid: str) -> Volume:
    """The CT, memory-mapped; decoded from its images and kept where that has not been done or is damaged.

    Raises:
        ReadError: The images are gone, damaged or no longer those that were analysed.
    """
    grid, sops = _grid_kept(folder)
    hu = _mapped(folder / CT_FILE, grid)
    if hu is None:
        ct, source = read_ct_with_source(images, series=series_uid, among=frozenset(sops))
        found = () if source is None else tuple(one.sop_instance for one in source.slices)
        if found != sops or not ct.grid.same_as(grid):
            raise ReadError("the images of the series are no longer those that were analysed; analyse the study again")
        keep_voxels(folder, ct)
        hu = _mapped(folder / CT_FILE, grid)
        hu = ct.hu if hu is None else hu
    return Volume(hu=hu, grid=grid)


def _mapped(path: Path, grid: Grid) -> NDArray[np.int16] | None:
    """Voxels (I, J, K) of a kept file; None where it is missing or not whole."""
    try:
        kept = cast(NDArray[np.int16], np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None
    if kept.dtype != np.int16 or kept.shape != grid.shape[::-1]:
        return None
    return kept.transpose(2, 1, 0)
