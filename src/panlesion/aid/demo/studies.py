"""Draw demo studies and take them in, as any study is."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from panlesion.aid.db import Sessions
from panlesion.aid.demo.series import Patient, write_series
from panlesion.aid.settings import Settings
from panlesion.aid.store.intake import take_file
from panlesion.aid.vocabulary import StudySource
from panlesion.ct.volume import Grid, Volume
from panlesion.errors import StoreError
from panlesion.synth.whole_scan import draw_whole_scan

SPACING_MM, PLANES_JOINED = 1.5, 2
SEED, LESIONS = 20_261, 3
_NAMES = ("Demo^Ada", "Demo^Ben", "Demo^Cleo", "Demo^Dan")


def add_demo(
    sessions: Sessions, settings: Settings, count: int, progress: Callable[[int, int, str], None] | None = None
) -> int:
    """Draw `count` patients with lesions and take their CTs in; returns how many images were new.

    The same patients each time, so that a second call changes nothing.

    Raises:
        StoreError: An image was refused, which is a bug of ours.
        DiskFullError: No room.
    """
    new = 0
    for number in range(count):
        if progress is not None:
            progress(number, count, f"drawing patient {number + 1}")
        with TemporaryDirectory(prefix="panlesion-demo-") as folder:
            files = draw_demo(Path(folder), number)
            for n, path in enumerate(files):
                if progress is not None and n % 20 == 0:
                    progress(number, count, f"patient {number + 1}: image {n + 1} of {len(files)}")
                taken = take_file(sessions, settings, path, name=path.name, source=StudySource.DEMO, by=None)
                if taken.reason:
                    raise StoreError(f"demo image {path.name} was refused: {taken.reason}")
                new += taken.outcome == "taken"
    return new


def draw_demo(folder: Path, number: int) -> list[Path]:
    """Write the CT of demo patient `number` (from 0) as DICOM files."""
    rng = np.random.default_rng([SEED, number])
    drawn = draw_whole_scan(rng, spacing_mm=SPACING_MM, lesions=LESIONS, name=f"demo_{number}")
    at = datetime(2026, 1, 12, 9, 30) + timedelta(days=number, minutes=17 * number)
    patient = Patient(
        name=_NAMES[number % len(_NAMES)],
        id=f"DEMO-{number + 1}",
        birth_date=f"{1951 + 7 * number}0{1 + number % 9}15",
        sex="FM"[number % 2],
        description="CT trunk (drawn)",
        accession=f"D{number + 1:03d}",
        at=at,
    )
    return write_series(folder, _thicker(drawn.ct), patient, entropy=f"{SEED}-{number}")


def _thicker(ct: Volume) -> Volume:
    """Planes joined two by two, as thicker slices are read from thin ones."""
    planes = ct.hu.shape[2] // PLANES_JOINED * PLANES_JOINED
    joined = ct.hu[:, :, :planes].reshape(*ct.hu.shape[:2], -1, PLANES_JOINED).mean(axis=3)
    affine = ct.grid.affine.copy()
    affine[:3, 3] = ct.grid.to_xyz((0.0, 0.0, (PLANES_JOINED - 1) / 2))
    affine[:3, 2] *= PLANES_JOINED
    shape = (*ct.hu.shape[:2], planes // PLANES_JOINED)
    return Volume(hu=np.rint(joined).astype(np.int16), grid=Grid(shape=shape, affine=affine))
