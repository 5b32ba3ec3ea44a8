"""Training a refiner on healthy CTs: the hosts that lesions will be put into, or drawn bodies."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

import panlesion
from panlesion.ct.atomic import replacing
from panlesion.ct.read import read_ct
from panlesion.ct.standardise import standardise
from panlesion.data.publish import write_text
from panlesion.errors import PanlesionError, ReadError, about
from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.refiner import Refiner, RefinerInfo, save_refiner
from panlesion.recipes.pretrain import claim
from panlesion.synth.hosts import CT_NAMES, file_sizes
from panlesion.synth.phantom_hosts import HostPhantom, draw_phantom, draw_phantoms
from panlesion.synth.recipe import PHANTOM
from panlesion.train.healthy import HealthyCT, HealthySource
from panlesion.train.loop import Fit, Watch, fit
from panlesion.train.optim import Method, Optim, Schedule
from panlesion.train.tasks.denoise import Denoise

MODEL_FILE, CT_FOLDER, UNUSABLE_FILE = "refiner.safetensors", "ct", "unusable.txt"
PHANTOM_MM = 240.0
"""Edge of the cube of a drawn body that is used (ours)."""

Preparing = Callable[[int, int], None]
"""Called with how many CTs are prepared and how many there are."""


@dataclass(frozen=True, kw_only=True)
class RefinerRun:
    """What a refiner is trained on, and how. `hosts` is "phantom" or a folder; `sources` tells the CTs found in it."""

    hosts: str
    spacing_mm: float = 1.0
    phantoms: int = 6
    sources: tuple[str, ...] = ()
    channels: tuple[int, ...] = (16, 32, 64)
    patch_voxels: int = 32
    fit: Fit = field(
        default_factory=lambda: Fit(
            steps=4000,
            batch=4,
            optim=Optim(
                method=Method.ADAMW, rate=1e-3, weight_decay=0.0, schedule=Schedule.COSINE, warmup_steps=100, clip_norm=1.0,
                ema_decay=0.999,
            ),
        )
    )  # fmt: skip


def refiner_run(hosts: str, *, spacing_mm: float = 1.0, steps: int = 4000, seed: int = 0, phantoms: int = 6) -> RefinerRun:
    """The run of the command line: 0.64 M parameters, sized for one CPU core (ours)."""
    run = RefinerRun(hosts=hosts, spacing_mm=spacing_mm, phantoms=phantoms if hosts == PHANTOM else 0)
    return replace(run, fit=replace(run.fit, steps=steps, seed=seed))


def train_refiner(
    run: RefinerRun, out: Path, *, fabric: Fabric | None = None, preparing: Preparing | None = None, watch: Watch | None = None
) -> tuple[Refiner, list[str]]:
    """Train a refiner into `out`, or go on with what is there; leaves `refiner.safetensors`.

    Returns the refiner, and a line for each host that could not be used.

    Raises:
        ReadError: No host can be read.
        TrainingError: `out` holds another run, or data or loss failed.
    """
    found = _phantoms(run) if run.hosts == PHANTOM else _patients(Path(run.hosts))
    run = replace(run, hosts=run.hosts if run.hosts == PHANTOM else Path(run.hosts).resolve().name, sources=_told(found))
    claim(out, run)
    cts, unusable = _prepared(found, run.spacing_mm, out, preparing or (lambda _done, _all: None))
    torch.manual_seed(run.fit.seed)
    refiner = Refiner(RefinerInfo(spacing_mm=run.spacing_mm, channels=run.channels, patch_voxels=run.patch_voxels))
    source = HealthySource(cts=cts, info=refiner.info, seed=run.fit.seed, batch=run.fit.batch)
    refiner = fit(refiner, Denoise(), source, run.fit, out, fabric=fabric, watch=watch)
    drawn = run.hosts == PHANTOM
    refiner.info = replace(
        refiner.info,
        licence="Apache-2.0" if drawn else RefinerInfo(spacing_mm=1.0).licence,
        recipe=asdict(run),
        provenance={
            "made_by": f"panlesion {panlesion.__version__}",
            "steps": run.fit.steps,
            "data": "drawn phantoms only" if drawn else f"{len(cts)} CTs of {run.hosts}",
        },
    )
    save_refiner(out / MODEL_FILE, refiner)
    return refiner.eval(), unusable


_Found = Sequence[tuple[str, "Path | HostPhantom"]]


def _phantoms(run: RefinerRun) -> _Found:
    """Drawn bodies by turns of chest, abdomen and pelvis."""
    types = (LesionType.LUNG_TUMOR, LesionType.LIVER_TUMOR, LesionType.BLADDER_CANCER)
    each = max(1, round(run.phantoms / 3))
    size = round(PHANTOM_MM / run.spacing_mm)
    return [(one.id, one) for one in draw_phantoms(each, run.fit.seed, types, size)]


def _patients(folder: Path) -> _Found:
    """The CTs of a folder of hosts, or of the one host that it is; organ maps are not needed here."""
    if not folder.is_dir():
        raise ReadError(f"{folder} is no folder; give a folder of hosts or the word {PHANTOM}")
    hosts = [folder] if _ct_in(folder) else sorted(path for path in folder.iterdir() if path.is_dir())
    found = [(host.resolve().name, ct) for host in hosts if (ct := _ct_in(host)) is not None]
    if not found:
        raise ReadError(f"{folder} holds no host: neither it nor a subfolder has {', '.join(CT_NAMES)}")
    return found


def _ct_in(folder: Path) -> Path | None:
    return next((folder / name for name in CT_NAMES if (folder / name).exists()), None)


def _told(found: _Found) -> tuple[str, ...]:
    """What tells these CTs from others of the same name."""
    return tuple(
        f"{name}: {json.dumps(one.source if isinstance(one, HostPhantom) else file_sizes(one))}" for name, one in found
    )


def _prepared(found: _Found, spacing_mm: float, out: Path, preparing: Preparing) -> tuple[list[HealthyCT], list[str]]:
    """Every CT at the refiner's spacing, kept in `out`; and what could not be read, listed in `unusable.txt`."""
    (out / CT_FOLDER).mkdir(parents=True, exist_ok=True)
    cts, unusable = [], []
    for done, (name, one) in enumerate(found):
        preparing(done, len(found))
        ct = HealthyCT(id=name, path=out / CT_FOLDER / f"{name}.npy")
        try:
            with about(name):
                if not ct.path.exists():
                    volume = draw_phantom(one, spacing_mm).ct if isinstance(one, HostPhantom) else read_ct(one)
                    hu = standardise(volume, spacing_mm).hu
                    with replacing(ct.path) as stream:
                        np.save(stream, np.ascontiguousarray(hu), allow_pickle=False)
                _ = ct.centres
        except PanlesionError as error:
            unusable.append(str(error))
            continue
        cts.append(ct)
    preparing(len(found), len(found))
    write_text(out / UNUSABLE_FILE, "".join(f"{line}\n" for line in unusable))
    if not cts:
        raise ReadError(f"none of the {len(found)} CTs can be used: {'; '.join(unusable[:3])}")
    return cts, unusable
