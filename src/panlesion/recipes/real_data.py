"""Real CTs and folders of finished cases as what pretraining learns from, checked and brought to size before it starts."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organ_files import OrganNumbering
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.case import LESION, Case
from panlesion.data.host_folder import HOSTS_FOLDER, read_host
from panlesion.data.patch_cache import cache_cases
from panlesion.data.patches import Block, OpenBlock, open_block
from panlesion.data.store import iterate_cases
from panlesion.errors import PanlesionError, StoreError, TrainingError, about
from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.classes import anatomy_table, lesion_class
from panlesion.recipes.fresh_blocks import FreshBlocks, Patch
from panlesion.synth.host import Host
from panlesion.synth.hosts import HostFiles, file_sizes, find_hosts, kept_host, prepare_host
from panlesion.synth.mass_host import BODY_HU, FAT_HU, MassHost
from panlesion.train.losses import IGNORE

CACHE_FOLDER = "cache"
AIR_HU = -900
KEPT_FINER = 1.5
"""Hosts are kept this much finer than the finest training spacing, so that resampling once more costs little sharpness."""

Preparing = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RealData:
    """What of the user's data a run has used: enough to see that it is the same, too little to tell whose it is."""

    kind: str
    folder: str
    count: int
    sha256: str
    share: float = 1.0
    patches: int = 0
    on_lesion: float = 0.0

    @property
    def words(self) -> str:
        """For the checkpoint's provenance."""
        rest = "" if self.share == 1 else f" ({self.share:.0%} of the blocks; the others: drawn phantoms)"
        return f"{self.count} {self.kind} of the folder {self.folder!r}, sha256 {self.sha256[:12]}{rest}"


@dataclass(frozen=True, kw_only=True)
class HostFolder:
    """CTs without lesions that lesions are drawn into on the fly, in `share` of the blocks; the others are phantoms."""

    path: Path
    numbering: OrganNumbering = OrganNumbering.V2
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; it must be above 0 and at most 1")

    def find(self) -> tuple[list[HostFiles], RealData]:
        """The hosts, and what a recipe says of them.

        Raises:
            ReadError: The folder holds no host.
            TrainingError: A subfolder lacks a file; the message names all of them.
        """
        found, failures = find_hosts(self.path, self.numbering)
        _stop_if([(failure.id, failure.cause) for failure in failures], "hosts", self.path)
        told = json.dumps([[host.id, host.source] for host in found], sort_keys=True)
        used = RealData(
            kind="real CTs with drawn lesions", folder=self.path.resolve().name, count=len(found), sha256=_digest(told),
            share=self.share,
        )  # fmt: skip
        return found, used

    def prepare(self, out: Path, spacing_mm: float, preparing: Preparing) -> tuple[str, ...]:
        """Read and check every host and keep it in `out/hosts` at `spacing_mm`; returns their ids. Repeatable.

        Raises:
            TrainingError: Some cannot be used; the message names them and says why.
        """
        found, _ = self.find()
        broken: list[tuple[str, str]] = []
        for done, source in enumerate(found, 1):
            try:
                with about(source.id):
                    _keep(source, out, spacing_mm)
            except PanlesionError as error:
                broken.append((source.id, str(error)))
            preparing(done, len(found))
        _stop_if(broken, "hosts", self.path)
        return tuple(source.id for source in found)


def _keep(source: HostFiles, out: Path, spacing_mm: float) -> None:
    card = kept_host(source, out)
    if card is None:
        card = prepare_host(source, out=out, spacing_mm=spacing_mm)
    if json.dumps(card.source, sort_keys=True) != json.dumps(source.source, sort_keys=True) or card.spacing_mm != spacing_mm:
        raise StoreError(f"{out / HOSTS_FOLDER / source.id} was made from other files; remove it, or use another folder")
    ct, organs = read_host(out / HOSTS_FOLDER / source.id)
    if not organs.labels.any() or not (ct.hu > BODY_HU).any():
        raise StoreError(f"no organ is labelled or no voxel is above {BODY_HU} HU; give a CT of a body with its organ map")


@dataclass(frozen=True, kw_only=True)
class CaseFolders:
    """A PASTA-Gen folder, ours or foreign, in full or as deltas; `patches` cubes are cut from each case."""

    path: Path
    patches: int = 4
    on_lesion: float = 0.75

    def find(self) -> RealData:
        """What a recipe says of the cases.

        Raises:
            StoreError: The folder is missing or holds no case.
        """
        rows = [[str(case.path.relative_to(self.path)), file_sizes(case.path)] for case in iterate_cases(self.path)]
        if not rows:
            raise StoreError(f"{self.path} holds no case; give the folder of a cohort or of PASTA-Gen cases")
        return RealData(
            kind="cases", folder=self.path.resolve().name, count=len(rows), sha256=_digest(json.dumps(rows)),
            patches=self.patches, on_lesion=self.on_lesion,
        )  # fmt: skip

    def prepare(self, out: Path, *, size: int, spacing_mm: float, seed: int, preparing: Preparing) -> list[OpenBlock]:
        """Cut and keep the patches of every case in `out/cache`, and open them. Repeatable.

        Raises:
            TrainingError: Some cases cannot be used; the message names them and says why. The others stay cached.
        """
        cached = cache_cases(
            self.path, out / CACHE_FOLDER, size=size, spacing_mm=spacing_mm, targets_of=case_targets,
            targets_name="anatomy and lesion classes, unlabelled tissue unknown", patches=self.patches,
            on_lesion=self.on_lesion, seed=seed, progress=preparing,
        )  # fmt: skip
        _stop_if(cached.failures, "cases", self.path)
        return [open_block(path) for path in cached.blocks]


def case_targets(case: Case, type_: LesionType | None) -> NDArray[np.uint8]:
    """Anatomy and lesion classes of a case, uint8 (2, I, J, K).

    Raises:
        StoreError: The folder does not tell the lesion's type.
    """
    if type_ is None:
        raise StoreError("its lesion type is unknown; a case lies in <Organ>/<Kind>/, such as Liver/Tumor/")
    lesions = (case.label.labels == LESION) * np.uint8(lesion_class(type_))
    return np.stack([known_anatomy(case.image, case.organs).labels, lesions])


def known_anatomy(ct: Volume, organs: LabelMap) -> LabelMap:
    """Anatomy classes of a real organ map; where it names nothing, only air and fat are background, all else is unknown.

    Maps name a few muscles and vessels and miss bowel here and there, while drawn bodies know all of theirs: to call the rest
    background would teach that muscle is none.
    """
    calm = ndimage.gaussian_filter(ct.hu.astype(np.float32), 0.8, truncate=2.5)
    classes = anatomy_table()[organs.labels]
    plain = (calm < AIR_HU) | ((calm >= FAT_HU[0]) & (calm <= FAT_HU[1]))
    classes[(organs.labels == 0) & ~plain] = IGNORE
    return LabelMap(labels=classes, grid=organs.grid)


@dataclass(frozen=True, kw_only=True)
class MixedBlocks:
    """Blocks of which `share` are real hosts with drawn lesions and the rest phantoms; block n is always the same."""

    drawn: FreshBlocks
    folder: Path
    ids: tuple[str, ...]
    share: float

    def make(self, index: int) -> Block:
        """Block number `index`: as many scans as a drawn one has, each another host at another spacing."""
        rng = np.random.default_rng([self.drawn.seed, index, 0x686F7374])
        if rng.random() >= self.share:
            return self.drawn.make(index)
        patches: list[Patch] = []
        for _ in range(self.drawn.scans):
            id_ = self.ids[int(rng.integers(len(self.ids)))]
            spacing = float(rng.uniform(*self.drawn.spacing_mm))
            with about(id_):
                ct, organs = read_host(self.folder / id_)
                host = Host.of(id_, standardise(ct, spacing), standardise_labels(organs, spacing))
                anatomy = known_anatomy(host.ct, host.organs)
                patches += self.drawn.patches_of(host, anatomy, _soft_tissue(host), rng)
        return Block(
            hu=np.stack([hu for hu, _, _ in patches]),
            targets=np.stack([targets for _, targets, _ in patches]),
            rows=[row for _, _, row in patches],
        )


def _soft_tissue(host: Host) -> MassHost | None:
    """What a soft-tissue mass needs; None for a scan with too little muscle, such as a narrow field of view."""
    try:
        return MassHost.of(host.ct, host.organs, phase=host.facts.phase, psf_mm=host.facts.psf_mm)
    except ValueError:
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _stop_if(broken: Iterable[tuple[str, str]], what: str, folder: Path) -> None:
    lines = [cause if cause.startswith(id_) else f"{id_}: {cause}" for id_, cause in broken]
    if lines:
        more = f"\n… and {len(lines) - 10} more" if len(lines) > 10 else ""
        listed = "\n".join(lines[:10])
        raise TrainingError(f"{len(lines)} {what} of {folder} cannot be used; repair or remove them:\n{listed}{more}")
