"""Damaged and hostile files: a result or an error of ours, nothing outside OUT, no hang. `PANLESION_FUZZ` sets how many."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from dicom_made import read_series
from patients_made import show

from panlesion.ct.nifti import write_volume
from panlesion.ct.volume import Volume, standard_grid
from panlesion.errors import PanlesionError
from panlesion.infer import predict as room
from panlesion.infer.case_folder import write_case
from panlesion.infer.findings import Prediction, find
from panlesion.infer.predict import Settings, algorithm_of, predict_ct
from panlesion.infer.record import OperatingPoint
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import ANATOMY, LESIONS, pan_tumour_classes

COUNT = int(os.environ.get("PANLESION_FUZZ", "60"))
SECONDS = 60


@pytest.fixture(scope="module")
def model():
    return load_model("nano")


@pytest.fixture(autouse=True)
def seeing(monkeypatch):
    """A network that marks the middle of everything, so that results are written too."""
    groups = {group.name: group.classes for group in pan_tumour_classes().groups}

    def find_lesions(_model, ct, *, watch, **_options):
        types = np.zeros(ct.hu.shape, dtype=np.uint8)
        types[tuple(slice(n // 3, 1 + n // 2) for n in types.shape)] = 1
        prediction = Prediction(
            grid=ct.grid, types=types, probability=types.astype(np.float32), anatomy=np.zeros_like(types),
            lesion_names=groups[LESIONS], anatomy_names=groups[ANATOMY],
        )  # fmt: skip
        show(prediction, ct, watch)
        return prediction, *find(prediction)

    monkeypatch.setattr(room, "find_lesions", find_lesions)


def mutated(data: bytes, rng: np.random.Generator, most: int) -> bytes:
    """Bits flipped among the first `most` bytes, bytes overwritten or moved, or the end cut off."""
    raw = bytearray(data)
    most = min(most, len(raw))
    for _ in range(int(rng.integers(1, 6))):
        match int(rng.integers(5)):
            case 0:
                raw[int(rng.integers(most))] ^= 1 << int(rng.integers(8))
            case 1:
                raw[int(rng.integers(most))] = int(rng.choice([0, 1, 127, 128, 255]))
            case 2:
                start, length = int(rng.integers(most)), int(rng.integers(1, 9))
                raw[start : start + length] = rng.bytes(length)
            case 3:
                start, length = int(rng.integers(most)), int(rng.integers(1, 40))
                del raw[start : start + length]
                most = min(most, len(raw))
            case _:
                if rng.random() < 0.3:
                    del raw[int(rng.integers(len(raw))) :]
                    most = min(most, max(len(raw), 1))
        if not raw:
            return b""
    return bytes(raw)


def tried(path: Path, out: Path, model) -> bool:
    """Whether there is a result; an error of ours is none. Anything else fails the test, as does taking too long."""

    def late(*_):
        raise TimeoutError(f"{path} took longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    settings = Settings(point=OperatingPoint(least_probability=0.5), algorithm=algorithm_of("nano", model))
    numbers = iter(range(1, 1000))
    try:
        write_case(out, predict_ct(path, "case", model, settings, uid=lambda: f"2.25.{next(numbers)}"))
    except PanlesionError:
        return False
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return True


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom says of a mutated value that it is none; that is the point here
def test_mutated_niftis_give_a_result_or_an_error_of_ours(model, tmp_path):
    hu = np.random.default_rng(0).normal(40, 60, (14, 12, 10)).round().astype(np.int16)
    write_volume(tmp_path / "sound.nii", Volume(hu=hu, grid=standard_grid(hu.shape, 3.0)))
    sound = (tmp_path / "sound.nii").read_bytes()
    results = 0
    for n in range(COUNT):
        work = tmp_path / f"try_{n}"
        work.mkdir()
        (work / "ct.nii").write_bytes(mutated(sound, np.random.default_rng(n), 360))
        results += tried(work / "ct.nii", work / "out", model)
        assert {name.split("/")[0] for name in files_below(work)} <= {"ct.nii", "out"}
    assert 0 < results < COUNT  # some mutations do no harm, some do


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mutated_dicom_series_give_a_result_or_an_error_of_ours(model, tmp_path):
    read_series(tmp_path / "sound")
    files = sorted((tmp_path / "sound").iterdir())
    results = 0
    for n in range(COUNT):
        rng = np.random.default_rng([n, 1])
        work = tmp_path / f"try_{n}"
        (work / "ct").mkdir(parents=True)
        broken = int(rng.integers(len(files)))
        for k, file in enumerate(files):
            data = file.read_bytes()
            (work / "ct" / file.name).write_bytes(mutated(data, rng, 2000) if k == broken else data)
        results += tried(work / "ct", work / "out", model)
        assert {name.split("/")[0] for name in files_below(work)} <= {"ct", "out"}
    assert 0 < results < COUNT


def test_the_sound_files_are_sound(model, tmp_path):
    read_series(tmp_path / "ct")
    assert tried(tmp_path / "ct", tmp_path / "out", model)
