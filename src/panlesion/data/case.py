"""One case on disk, exactly as PASTA-Gen-30K lays it out: image, label, organ map, report, and our own record beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from panlesion.ct.nifti import read_labels, read_volume, write_labels, write_volume
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.publish import publishing
from panlesion.errors import StoreError

IMAGE_FILE = "img.nii.gz"
LABEL_FILE = "label.nii.gz"
ORGANS_FILE = "total.nii.gz"
REPORT_FILE = "type.json"
RECORD_FILE = "record.json"

PASTA_FILES: tuple[str, ...] = (IMAGE_FILE, LABEL_FILE, ORGANS_FILE, REPORT_FILE)
"""What every PASTA-Gen case has; `record.json` is ours and foreign cases go without."""

ORGAN, LESION = 1, 2
"""The values of `label.nii.gz`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A synthetic CT with its truth.

    `label` is 1 in the organ system of the lesion and 2 in the lesion, `organs` the v1 organ map, `report` the content
    of `type.json`, `record` everything needed to make the case again (empty for foreign cases).
    """

    image: Volume
    label: LabelMap
    organs: LabelMap
    report: Mapping[str, Any]
    record: Mapping[str, Any] = field(default_factory=dict)


def write_case(folder: Path, case: Case) -> None:
    """Write the five files of a case; the folder appears complete or not at all, the same bytes for the same case."""
    with publishing(folder) as partial:
        write_volume(partial / IMAGE_FILE, case.image)
        write_labels(partial / LABEL_FILE, case.label)
        write_labels(partial / ORGANS_FILE, case.organs)
        write_json(partial / REPORT_FILE, case.report)
        write_json(partial / RECORD_FILE, case.record)


def read_case(folder: Path) -> Case:
    """Read a case stored in full.

    Raises:
        StoreError: a file is missing or unreadable; the message names it.
    """
    for name in PASTA_FILES:
        if not (folder / name).is_file():
            raise StoreError(f"{folder / name} is missing; a case holds {', '.join(PASTA_FILES)}")
    return Case(
        image=read_volume(folder / IMAGE_FILE),
        label=read_labels(folder / LABEL_FILE),
        organs=read_labels(folder / ORGANS_FILE),
        report=read_json(folder / REPORT_FILE),
        record=read_record(folder),
    )


def read_record(folder: Path) -> dict[str, Any]:
    """Our record of a case; empty for a foreign case, which has none."""
    return read_json(folder / RECORD_FILE) if (folder / RECORD_FILE).is_file() else {}


def voxel_checks(*arrays: NDArray) -> tuple[int, int, int]:
    """CRC-32 of image, label and organ values, little-endian in C order, whatever their layout in memory."""
    image, label, organs = (
        isal_zlib.crc32(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).view(np.uint8).reshape(-1))
        for array in arrays
    )
    return (image, label, organs)


def json_text(content: Mapping[str, Any]) -> str:
    """One JSON object as text, keys in the order given, one newline at the end; NaN is refused."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one JSON object into a folder that is being published."""
    path.write_text(json_text(content), encoding="utf-8", newline="\n")


def read_json(path: Path) -> dict[str, Any]:
    """One JSON object.

    Raises:
        StoreError: the file is missing, no JSON, or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StoreError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} holds a {type(content).__name__}; it must hold one JSON object")
    return content
