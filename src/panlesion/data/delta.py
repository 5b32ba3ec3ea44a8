"""Cases stored as their difference from the host: a few per cent of the space, restored bit for bit."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Box, LabelMap, Volume
from panlesion.data.case import (
    LESION,
    ORGAN,
    RECORD_FILE,
    REPORT_FILE,
    Case,
    read_json,
    read_record,
    voxel_checks,
    write_json,
)
from panlesion.data.publish import publishing
from panlesion.errors import StoreError

DELTA_FILE = "delta.npz"


@dataclass(frozen=True, kw_only=True, eq=False)
class Delta:
    """What makes a case out of its host.

    The case's grid is the host's cropped to `crop`, which may reach outside the host. `changed` is a box on that grid;
    inside it `image` (int16) and `organs` (uint8) are differences modulo their range, `label` (uint8) the values. Outside
    it the case is the host, and its label is 1 where the organ map holds one of `organ_labels`. `checks` are the CRC-32
    of the restored image, label and organ map.
    """

    host: str
    crop: Box
    changed: Box
    image: NDArray[np.int16]
    organs: NDArray[np.uint8]
    label: NDArray[np.uint8]
    organ_labels: frozenset[int]
    checks: tuple[int, int, int]

    @classmethod
    def between(
        cls, host: str, ct: Volume, organs: LabelMap, *, case: Case, crop: Box, changed: Box, organ_labels: frozenset[int]
    ) -> Self:
        """The difference of a case from `ct` and `organs`, its host already cropped to the case's grid.

        Raises:
            ValueError: the case differs from its host outside `changed`.
        """
        inside = changed.clipped(ct.grid.shape).slices
        delta = cls(
            host=host,
            crop=crop,
            changed=changed.clipped(ct.grid.shape),
            image=case.image.hu[inside] - ct.hu[inside],
            organs=case.organs.labels[inside] - organs.labels[inside],
            label=case.label.labels[inside],
            organ_labels=organ_labels,
            checks=voxel_checks(case.image.hu, case.label.labels, case.organs.labels),
        )
        if voxel_checks(*delta._restored(ct, organs)) != delta.checks:
            raise ValueError(f"the case differs from host {host} outside {changed}; the box must hold every changed voxel")
        return delta

    def restore(self, ct: Volume, organs: LabelMap) -> tuple[Volume, LabelMap, LabelMap]:
        """Image, label and organ map of the case, from its host cropped to `crop`.

        Raises:
            StoreError: the host is not the one the case was made from.
        """
        image, label, changed = self._restored(ct, organs)
        if voxel_checks(image, label, changed) != self.checks:
            raise StoreError(f"host {self.host} is not the one this case was made from (CRC-32 differs); put the original back")
        grid = ct.grid
        return Volume(hu=image, grid=grid), LabelMap(labels=label, grid=grid), LabelMap(labels=changed, grid=grid)

    def _restored(self, ct: Volume, organs: LabelMap) -> tuple[NDArray[np.int16], NDArray[np.uint8], NDArray[np.uint8]]:
        inside = self.changed.slices
        image = ct.hu.copy(order="K")
        image[inside] += self.image
        label = np.where(organs.mask(self.organ_labels), np.uint8(ORGAN), np.uint8(0))
        label[inside] = self.label
        changed = organs.labels.copy(order="K")
        changed[inside] += self.organs
        return image, label, changed

    @property
    def lesion(self) -> NDArray[np.bool_]:
        """Bool (I, J, K) of the changed box: where the lesion is."""
        return self.label == LESION


def write_delta_case(folder: Path, delta: Delta, case: Case) -> None:
    """Write `delta.npz`, `type.json` and `record.json`; the folder appears complete or not at all."""
    with publishing(folder) as partial:
        np.savez_compressed(
            partial / DELTA_FILE,
            host=np.array(delta.host),
            crop=np.array([delta.crop.start, delta.crop.stop], dtype=np.int32),
            changed=np.array([delta.changed.start, delta.changed.stop], dtype=np.int32),
            image=delta.image,
            organs=delta.organs,
            label=delta.label,
            organ_labels=np.array(sorted(delta.organ_labels), dtype=np.uint8),
            checks=np.array(delta.checks, dtype=np.uint32),
        )
        write_json(partial / REPORT_FILE, case.report)
        write_json(partial / RECORD_FILE, case.record)


def _box(corners: NDArray) -> Box:
    (a, b, c), (d, e, f) = corners.tolist()
    return Box(start=(a, b, c), stop=(d, e, f))


def read_delta(folder: Path) -> Delta:
    """The difference stored in a case folder.

    Raises:
        StoreError: `delta.npz` is missing, damaged or not ours.
    """
    path = folder / DELTA_FILE
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            a, b, c = stored["checks"].tolist()
            return Delta(
                host=str(stored["host"]),
                crop=_box(stored["crop"]),
                changed=_box(stored["changed"]),
                image=stored["image"],
                organs=stored["organs"],
                label=stored["label"],
                organ_labels=frozenset(stored["organ_labels"].tolist()),
                checks=(a, b, c),
            )
    except (OSError, EOFError, KeyError, ValueError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise StoreError(f"{path} cannot be read as a delta case: {error}") from error


def restore_case(folder: Path, ct: Volume, organs: LabelMap) -> Case:
    """The whole case of a delta folder, given its standardised host (not cropped).

    Raises:
        StoreError: a file is missing or damaged, or the host is another one.
    """
    delta = read_delta(folder)
    image, label, changed = delta.restore(ct.crop(delta.crop), organs.crop(delta.crop))
    return Case(image=image, label=label, organs=changed, report=read_json(folder / REPORT_FILE), record=read_record(folder))
