"""DICOM studies for the reading room's tests: series of one patient and study, and a data folder to put them in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_made import complete
from dicom_making import SLICES, ct_slice
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from panlesion.aid.db import Sessions, migrate, open_engine, open_sessions
from panlesion.aid.settings import Settings
from panlesion.aid.store.intake import Taken, take_file
from panlesion.aid.vocabulary import StudySource

Change = Callable[[int, FileDataset], None]


@dataclass(frozen=True, kw_only=True)
class Room:
    """A data folder with its database, and nothing that runs."""

    settings: Settings
    sessions: Sessions

    def take(self, path: Path, source: StudySource = StudySource.UPLOAD) -> Taken:
        return take_file(self.sessions, self.settings, path, name=path.name, source=source, by=None)

    def files(self) -> list[Path]:
        """Every image that is kept, and whatever else lies about."""
        roots = (self.settings.data / "dicom", self.settings.data / "incoming")
        return sorted(path for root in roots for path in root.rglob("*") if path.is_file())


def open_room(folder: Path, **settings: object) -> Room:
    told = Settings(data=folder / "data", **settings)  # type: ignore[arg-type]
    told.data.mkdir(parents=True, exist_ok=True)
    migrate(told.database)
    return Room(settings=told, sessions=open_sessions(open_engine(told.database)))


def study_slice(index: int, *, study: str, series: str, change: Change | None = None, hu: Any = None) -> FileDataset:
    """One CT image of a complete patient and study."""
    ds = ct_slice(index, series, hu)
    complete(ds)
    ds.StudyInstanceUID, ds.SeriesNumber = study, 2
    if change is not None:
        change(index, ds)
    return ds


def write_study(
    folder: Path,
    *,
    study: str | None = None,
    series: str | None = None,
    slices: int = SLICES,
    change: Change | None = None,
    prefix: str = "I",
) -> list[Path]:
    """Files of one CT series, in the order of their slices."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series = study or generate_uid(), series or generate_uid()
    paths = []
    for index in range(slices):
        paths.append(folder / f"{prefix}{index:03d}.dcm")
        study_slice(index, study=study, series=series, change=change).save_as(paths[-1], enforce_file_format=True)
    return paths
