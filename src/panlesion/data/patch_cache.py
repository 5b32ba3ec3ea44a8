"""A PASTA-Gen folder → blocks of training patches, one block per case, made once and read thousands of times."""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.ct.volume import Box, Index3, LabelMap
from panlesion.data.case import LESION, Case, json_text, read_json
from panlesion.data.patches import BLOCK_SUFFIX, Block, write_block
from panlesion.data.publish import DiskFullError, remove_partials, write_text
from panlesion.data.store import CaseFolder, CaseReader, iterate_cases, order_by_host
from panlesion.errors import PanlesionError, StoreError, about
from panlesion.lesion.taxonomy import LesionType

CACHE_FILE = "cache.json"

TargetsOf = Callable[[Case, LesionType | None], NDArray[np.uint8]]
"""Targets uint8 (G, I, J, K) on the grid of a case already at the cache's spacing; None where no folder tells its type."""


@dataclass(frozen=True, kw_only=True)
class Cached:
    """What a run over a folder left: every case's block, and (case id, cause) of the cases without one."""

    blocks: list[Path] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)


def cache_cases(
    root: Path,
    out: Path,
    *,
    size: int,
    spacing_mm: float,
    targets_of: TargetsOf,
    targets_name: str,
    patches: int = 4,
    on_lesion: float = 0.75,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Cached:
    """Write `<out>/<Organ>/<Kind>/<id>.block` for every case below `root`, stored in full or as deltas.

    The first `on_lesion` of a case's patches have a lesion at their centre, give or take a sixth of their side; the rest lie
    anywhere in the scan. Finished blocks stay, so an interrupted run is repeated with the same arguments; which patches
    are cut depends on `seed` and the case's folder alone.

    Args:
        root: PASTA-Gen cases, ours or foreign.
        out: The cache; made if absent.
        size: Side of the stored cubes in voxels; take a third more than training crops, for rotation and zoom.
        spacing_mm: Every case is resampled to it, isotropic, axes L, P, S.
        targets_of: Makes the targets of one resampled case.
        targets_name: Says what `targets_of` makes; stored, so that a cache of other targets is not mistaken for this one.
        patches: Per case.
        on_lesion: Share of patches with a lesion in them.
        seed: Of the patches' places.
        progress: Called with (cases done, all cases).

    Raises:
        DiskFullError: the disk is full; finished blocks stay.
        StoreError: `root` holds no case, or `out` was made with other arguments.
        ValueError: an argument is out of range, or `targets_of` returns another shape or type than it must.
    """
    if size < 8 or patches < 1 or not 0 <= on_lesion <= 1 or spacing_mm <= 0:
        raise ValueError(
            f"size {size}, patches {patches}, on_lesion {on_lesion}, spacing_mm {spacing_mm}; "
            "they must be at least 8, at least 1, within 0 … 1, and positive"
        )
    cut = _Cut(size=size, spacing_mm=spacing_mm, patches=patches, on_lesion=on_lesion, seed=seed)
    cases = order_by_host(list(iterate_cases(root)))
    if not cases:
        raise StoreError(f"{root} holds no case; give the folder of a cohort or of PASTA-Gen cases")
    out.mkdir(parents=True, exist_ok=True)
    remove_partials(out)
    _claim(out, {"targets": targets_name, **cut.__dict__})
    reader, cached = CaseReader(root), Cached()
    for done, folder in enumerate(cases, 1):
        target = out / folder.path.relative_to(root).parent / f"{folder.id}{BLOCK_SUFFIX}"
        try:
            if not target.exists():
                with about(folder.id):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    write_block(target, cut.block(folder, reader.read(folder), targets_of))
            cached.blocks.append(target)
        except DiskFullError:
            raise
        except PanlesionError as error:
            cached.failures.append((folder.id, str(error)))
        progress(done, len(cases))
    return cached


def _claim(out: Path, recipe: dict[str, object]) -> None:
    """Refuse to mix blocks of two recipes in one folder."""
    file = out / CACHE_FILE
    if not file.exists():
        write_text(file, json_text(recipe))
        return
    found = read_json(file)
    if found != recipe:
        raise StoreError(
            f"{file} says {json.dumps(found)}, this run asks for {json.dumps(recipe)}; "
            "use the same arguments, or another folder for other patches"
        )


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """Where a case's patches are cut."""

    size: int
    spacing_mm: float
    patches: int
    on_lesion: float
    seed: int

    def block(self, folder: CaseFolder, case: Case, targets_of: TargetsOf) -> Block:
        case = replace(
            case,
            image=standardise(case.image, self.spacing_mm),
            label=standardise_labels(case.label, self.spacing_mm),
            organs=standardise_labels(case.organs, self.spacing_mm),
        )
        grid = case.image.grid
        targets = targets_of(case, folder.type)
        if targets.dtype != np.uint8 or targets.ndim != 4 or targets.shape[1:] != grid.shape:
            raise ValueError(f"targets_of made {targets.dtype} {targets.shape}; it must make uint8 (G, {grid.shape})")
        rng = np.random.default_rng([self.seed, zlib.crc32(f"{folder.type}/{folder.id}".encode())])
        hu, cubes, rows = [], [], []
        for centre, on_lesion in self._centres(case.label.labels == LESION, rng):
            i, j, k = (c - self.size // 2 for c in centre)
            box = Box(start=(i, j, k), stop=(i + self.size, j + self.size, k + self.size))
            hu.append(case.image.crop(box).hu)
            cubes.append(np.stack([LabelMap(labels=group, grid=grid).crop(box).labels for group in targets]))
            type_ = None if folder.type is None else folder.type.value
            row = {"case": folder.id, "type": type_, "on_lesion": on_lesion, "start_ijk": list(box.start)}
            rows.append(row | {"report": dict(case.report)})
        return Block(hu=np.stack(hu), targets=np.stack(cubes), rows=rows)

    def _centres(self, lesion: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[tuple[Index3, bool]]:
        """Every lesion of a case is as likely as any other, however small; a case without one gives random patches."""
        components, n = ndimage.label(lesion, structure=np.ones((3, 3, 3)))
        wanted = int(np.ceil(self.patches * self.on_lesion)) if n else 0
        for patch in range(self.patches):
            if patch < wanted:
                voxels = np.argwhere(components == rng.integers(1, n + 1))
                shift = rng.integers(-(self.size // 6), self.size // 6 + 1, 3)
                i, j, k = (voxels[rng.integers(len(voxels))] + shift).tolist()
            else:
                half = self.size // 2
                i, j, k = (int(rng.integers(min(half, m // 2), max(m - half, m // 2) + 1)) for m in lesion.shape)
            yield (i, j, k), patch < wanted
