"""A standardised healthy host in a cohort: `hosts/<id>/ct.nii.gz`, `organs.nii.gz` and what was measured, `host.json`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panlesion.ct.nifti import read_labels, read_volume, write_labels, write_volume
from panlesion.ct.phase import Phase
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.case import read_json, write_json
from panlesion.data.publish import publishing
from panlesion.errors import StoreError

HOSTS_FOLDER = "hosts"
CT_FILE = "ct.nii.gz"
ORGANS_FILE = "organs.nii.gz"
CARD_FILE = "host.json"


@dataclass(frozen=True, kw_only=True)
class HostCard:
    """What is known of a host without opening its voxels.

    `source` tells its files (name → bytes) or the phantom's seed; `volumes_ml` the volume of each v1 label it holds.
    """

    id: str
    phase: Phase
    spacing_mm: float
    shape: tuple[int, int, int]
    volumes_ml: Mapping[int, float]
    source: Mapping[str, Any]

    def volume_ml(self, labels: frozenset[int]) -> float:
        """Volume of several labels together."""
        return sum(self.volumes_ml.get(label, 0.0) for label in labels)


def write_host(folder: Path, card: HostCard, ct: Volume, organs: LabelMap) -> None:
    """Write a host; the folder appears complete or not at all."""
    with publishing(folder) as partial:
        write_volume(partial / CT_FILE, ct)
        write_labels(partial / ORGANS_FILE, organs)
        volumes = {str(label): volume for label, volume in card.volumes_ml.items()}
        content = {
            "id": card.id,
            "phase": card.phase.value,
            "spacing_mm": card.spacing_mm,
            "shape": list(card.shape),
            "volumes_ml": volumes,
            "source": dict(card.source),
        }
        write_json(partial / CARD_FILE, content)


def read_host_card(folder: Path) -> HostCard:
    """What `host.json` tells.

    Raises:
        StoreError: it is missing or lacks a field.
    """
    content = read_json(folder / CARD_FILE)
    try:
        i, j, k = content["shape"]
        return HostCard(
            id=content["id"],
            phase=Phase(content["phase"]),
            spacing_mm=float(content["spacing_mm"]),
            shape=(int(i), int(j), int(k)),
            volumes_ml={int(label): float(volume) for label, volume in content["volumes_ml"].items()},
            source=content["source"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{folder / CARD_FILE} is no host card of ours ({error!r}); remove {folder} and run again") from error


def read_host(folder: Path) -> tuple[Volume, LabelMap]:
    """CT and organ map of a host.

    Raises:
        StoreError: one of the files is missing.
    """
    for name in (CT_FILE, ORGANS_FILE):
        if not (folder / name).is_file():
            raise StoreError(f"{folder / name} is missing; a delta case cannot be restored without its host")
    return read_volume(folder / CT_FILE), read_labels(folder / ORGANS_FILE)
