"""The healthy bodies a cohort is made in: found in a folder or drawn, checked, standardised once, kept beside the cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from panlesion.ct.organ_files import OrganNumbering, read_organs
from panlesion.ct.phase import Phase
from panlesion.ct.read import read_ct
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.host_folder import HOSTS_FOLDER, HostCard, read_host_card, write_host
from panlesion.data.manifest import Failure
from panlesion.errors import ReadError, about
from panlesion.measure.host import measure_host
from panlesion.synth.phantom_hosts import HostPhantom, draw_phantom

CT_NAMES = ("ct.nii.gz", "ct.nii", "ct")
ORGAN_NAMES = ("organs.nii.gz", "organs.nii", "organs")


@dataclass(frozen=True, kw_only=True)
class HostFiles:
    """A patient's CT (file or DICOM folder) and organ map (file or folder of masks)."""

    id: str
    ct: Path
    organs: Path
    numbering: OrganNumbering

    @property
    def source(self) -> dict[str, Any]:
        """What tells this host from another of the same name: its files' names and bytes."""
        return {"ct": file_sizes(self.ct), "organs": file_sizes(self.organs), "numbering": self.numbering.value}

    @property
    def group(self) -> str:
        return self.id


HostSource = HostFiles | HostPhantom


def file_sizes(path: Path) -> dict[str, int]:
    """Bytes of a file, or of all files of a folder together, by name."""
    if path.is_file():
        return {path.name: path.stat().st_size}
    files = [file for file in path.rglob("*") if file.is_file()]
    return {f"{path.name}/ ({len(files)} files)": sum(file.stat().st_size for file in files)}


def find_hosts(folder: Path, numbering: OrganNumbering) -> tuple[list[HostFiles], list[Failure]]:
    """The hosts of a folder, sorted by name, and the subfolders that should be hosts but lack a file.

    The folder is one host itself (`ct.nii.gz` or `ct/`, and `organs.nii.gz` or `organs/`), or every subfolder is one.

    Raises:
        ReadError: the folder does not exist or holds no host.
    """
    if not folder.is_dir():
        raise ReadError(f"{folder} is no folder; give a folder of hosts or the word phantom")
    if _first(folder, CT_NAMES):
        candidates = [folder]
    else:
        candidates = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found: list[HostFiles] = []
    failures: list[Failure] = []
    for path in candidates:
        name = path.resolve().name
        ct, organs = _first(path, CT_NAMES), _first(path, ORGAN_NAMES)
        if ct and organs:
            found.append(HostFiles(id=name, ct=ct, organs=organs, numbering=numbering))
            continue
        wanted = ", ".join(CT_NAMES if not ct else ORGAN_NAMES)
        failures.append(Failure(what="host", id=name, error="ReadError", cause=f"{path} holds none of {wanted}"))
    if not found:
        causes = "; ".join(failure.cause for failure in failures[:3]) or "it has no subfolders"
        raise ReadError(f"{folder} holds no host: {causes}. A host is a folder with ct.nii.gz (or ct/) and organs.nii.gz")
    return found, failures


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).exists()), None)


def kept_host(source: HostSource, out: Path) -> HostCard | None:
    """The card of a host that an earlier run prepared in `out`."""
    folder = out / HOSTS_FOLDER / source.id
    return read_host_card(folder) if folder.is_dir() else None


def prepare_host(source: HostSource, *, out: Path, spacing_mm: float, given_phase: Phase | None = None) -> HostCard:
    """Bring a host to the cohort's spacing and keep it in `out/hosts/<id>/`; its phase is measured unless given.

    Raises:
        PanlesionError: the host cannot be read, or CT and organ map do not fit; the message names the host.
    """
    with about(source.id):
        ct, organs, phase = _standard_host(source, spacing_mm)
        card = HostCard(
            id=source.id,
            phase=phase or given_phase or measure_host(ct, organs).phase,
            spacing_mm=spacing_mm,
            shape=ct.grid.shape,
            volumes_ml=organ_volumes_ml(organs),
            source=source.source,
        )
        write_host(out / HOSTS_FOLDER / source.id, card, ct, organs)
    return card


def _standard_host(source: HostSource, spacing_mm: float) -> tuple[Volume, LabelMap, Phase | None]:
    if isinstance(source, HostPhantom):
        phantom = draw_phantom(source, spacing_mm)
        return phantom.ct, phantom.organs, source.phase
    ct = read_ct(source.ct)
    organs = read_organs(source.organs, numbering=source.numbering, like=ct.grid)
    return standardise(ct, spacing_mm), standardise_labels(organs, spacing_mm), None


def organ_volumes_ml(organs: LabelMap) -> Mapping[int, float]:
    """Volume of every label the map holds, rounded to 0.001 ml."""
    counts = np.bincount(organs.labels.ravel(), minlength=256)
    return {label: round(float(counts[label]) * organs.grid.voxel_ml, 3) for label in np.flatnonzero(counts).tolist() if label}
