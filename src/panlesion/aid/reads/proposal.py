"""The network's answer to a click or a box: what lesion is there. Runs in a worker; the server asks through `asking`."""

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from panlesion.aid.db import Sessions
from panlesion.aid.jobs.runner import Outcome, Progress
from panlesion.aid.reads.asking import asked_by, region_of
from panlesion.aid.reads.outline import Mask, Patch, best_outline, runs_of
from panlesion.aid.reads.save import scan_of
from panlesion.aid.schemas.reading import ProposalOut, ProposeIn
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job, Reading, Study
from panlesion.ct.standardise import resampled_to, restore, share_on, standardise
from panlesion.ct.volume import Box, Grid, Index3, LabelMap, Volume
from panlesion.errors import ReadError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.nets.candidates import candidate_probabilities
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import ANATOMY, LESIONS, OTHER_MASS
from panlesion.nets.engines import choose_engine
from panlesion.nets.model import Model
from panlesion.nets.restore import Restorer
from panlesion.nets.sliding import Engine, stream_logits

WINDOWS = 1.5
"""Side of what is looked at around a click, in windows of the network: eight windows meet at the click (ours)."""
MOST_SIDE_VOXELS = 160
"""Of the network's, for a box; a larger one is cut to as much around its middle."""


def run_proposal(sessions: Sessions, settings: Settings, job: Job, progress: Progress) -> Outcome:
    """Run a job of the kind `propose`; its answer is a `ProposalOut`.

    Raises:
        PanlesionError: The study has no reading, its CT is gone, or the checkpoint cannot be used.
    """
    asked = asked_by(job)
    if asked is None:
        return Outcome(answer={"expired": True})
    with sessions() as session:
        study, reading = session.get(Study, job.study_id), session.get(Reading, job.study_id)
        if study is None or reading is None:
            raise ReadError("the study is no longer there, or nobody reads it; nothing can be proposed")
        ct = scan_of(session, settings, study, reading)
    progress(0.1, "looking")
    looker = looker_of(settings.checkpoint, str(settings.data / "cache" / "engines"))
    return Outcome(answer=proposed(looker, ct, asked).model_dump(mode="json"))


PATCH_MM, BESIDE_MM = 45.0, 6.0
"""How far around a click, and around a box, outlines are made."""
LEAST_MM = 1.25
"""Outlines are made on voxels no finer than this, and put on the CT's own grid afterwards."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Looker:
    """A model and what runs it."""

    model: Model
    engine: Engine


@lru_cache(maxsize=1)
def looker_of(checkpoint: str, cache: str | None = None) -> Looker:
    """The model of a checkpoint, loaded once a process.

    Raises:
        CheckpointError: It cannot be read.
    """
    model = load_model(checkpoint)
    return Looker(model=model, engine=choose_engine(model, cache=cache))


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What the network says of a part of a CT: `logits` (C, I, J, K) on `standard`'s grid, `probability` of any lesion.

    `ct` is that part on the CT's own grid, `box` where it lies there.
    """

    box: Box
    ct: Volume
    standard: Volume
    logits: Tensor
    probability: NDArray[np.float32]


def look_at(looker: Looker, ct: Volume, region: Box) -> Seen:
    """Look at a region of a CT and around it.

    Raises:
        GeometryError: The CT cannot be standardised.
    """
    model = looker.model
    box = _around(region, ct.grid, model)
    part = ct.crop(box)
    standard = standardise(Volume(hu=np.ascontiguousarray(part.hu), grid=part.grid), model.info.spacing_mm)
    planes = [logits.cpu() for _, logits in stream_logits(model, standard, engine=looker.engine)]
    logits = torch.cat(planes, dim=1)
    mine = logits[model.classes.channels(LESIONS)]
    any_lesion = -torch.expm1(mine[0] - mine.logsumexp(0))
    return Seen(box=box, ct=part, standard=standard, logits=logits, probability=any_lesion.numpy())


def _around(region: Box, grid: Grid, model: Model) -> Box:
    """The part of the CT that is looked at: at least so many windows, in the scan where it has as much."""
    spacing = model.info.spacing_mm
    least_mm, most_mm = WINDOWS * model.info.patch_voxels * spacing, MOST_SIDE_VOXELS * spacing
    margin_mm = model.info.patch_voxels * spacing / 4
    start, stop = [], []
    for first, after, mm, size in zip(region.start, region.stop, grid.spacing_mm, grid.shape, strict=True):
        wanted_mm = min(max((after - first) * mm + 2 * margin_mm, least_mm), most_mm)
        side = min(size, int(wanted_mm / mm))
        begin = min(max(0, round((first + after - side) / 2)), size - side)
        start.append(begin)
        stop.append(begin + side)
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))


def proposed(looker: Looker, ct: Volume, told: ProposeIn) -> ProposalOut:
    """The lesion at a point or in a box of a CT, outlined by what the network and the densities there tell.

    Raises:
        NotInScanError: The point or box is not in the scan, or not exactly one of them is told.
    """
    started = time.perf_counter()
    region = region_of(told, ct.grid.shape)
    seen = look_at(looker, ct, region)
    held = region.shifted((-seen.box.start[0], -seen.box.start[1], -seen.box.start[2]))
    near = _worked_on(seen.ct.grid, held, PATCH_MM if told.point_ijk is not None else BESIDE_MM)
    outline = best_outline(_patch(looker.model, seen, near, held, boxed=told.box_ijk is not None))
    mask = restore(LabelMap(labels=outline.mask.astype(np.uint8), grid=near), seen.ct.grid).labels > 0
    if told.box_ijk is not None:
        mask &= _filled(held, mask.shape)
    if not mask.any():
        mask[_middle(held)] = True
    type_, probability = _said(looker.model, seen, mask)
    inner = Box.of(mask)
    return ProposalOut(
        way=outline.way,
        start_ijk=inner.shifted(seen.box.start).start,
        shape=inner.shape,
        runs=runs_of(mask[inner.slices]),
        type=type_,
        probability=probability,
        seconds=round(time.perf_counter() - started, 3),
    )


def _worked_on(grid: Grid, held: Box, margin_mm: float) -> Grid:
    """The part of a grid around what was pointed at, with voxels no finer than `LEAST_MM`."""
    margin = [int(np.ceil(margin_mm / mm)) for mm in grid.spacing_mm]
    part = grid.crop(held.grown((margin[0], margin[1], margin[2])).clipped(grid.shape))
    steps = np.maximum(1.0, LEAST_MM / np.array(part.spacing_mm))
    affine = part.affine.copy()
    affine[:3, :3] = part.affine[:3, :3] * steps
    # the first voxels' outer faces stay where they are
    affine[:3, 3] = part.to_xyz((steps - 1) / 2)
    i, j, k = np.maximum(1, np.ceil(np.array(part.shape) / steps)).astype(int).tolist()
    return Grid(shape=(i, j, k), affine=affine)


def _patch(model: Model, seen: Seen, near: Grid, held: Box, *, boxed: bool) -> Patch:
    """What outlines are made on: HU and the network's probability on a grid; the box, where one was drawn."""
    restorer = Restorer(model.classes, seen.standard.grid, near)
    restorer.add(0, seen.logits)
    assert restorer.probability is not None
    hu = resampled_to(seen.ct, near).hu.astype(np.float32)
    inside = None
    if boxed:
        share = share_on(_filled(held, seen.ct.grid.shape), seen.ct.grid, near)
        inside = share >= min(0.5, float(share.max()))
    at = np.rint(near.to_ijk(seen.ct.grid.to_xyz(_middle(held)))).astype(int).clip(0, np.array(near.shape) - 1).tolist()
    return Patch(
        hu=hu,
        probability=restorer.probability.astype(np.float32),
        spacing_mm=near.spacing_mm,
        at=(at[0], at[1], at[2]),
        inside=inside,
    )


def _middle(box: Box) -> Index3:
    i, j, k = ((a + b - 1) // 2 for a, b in zip(box.start, box.stop, strict=True))
    return (i, j, k)


def _filled(box: Box, shape: tuple[int, ...]) -> Mask:
    inside = np.zeros(shape, dtype=bool)
    inside[box.slices] = True
    return inside


def _said(model: Model, seen: Seen, mask: Mask) -> tuple[str, float]:
    """Which type the network finds most probable in an outline, of those that live where it is, and how probable a lesion."""
    share = share_on(mask, seen.ct.grid, seen.standard.grid)
    part: Mask = share >= min(0.5, float(share.max()))
    mine = seen.logits[model.classes.channels(LESIONS)][:, torch.from_numpy(part)].softmax(0)
    names, mean = model.classes.group(LESIONS).classes, mine.mean(1)
    organ = _organ(model, seen, part)
    living = [n for n, name in enumerate(names) if n and _lives_in(name, organ)]
    type_ = names[max(living, key=lambda n: float(mean[n]))] if living else OTHER_MASS
    sure = candidate_probabilities(model, seen.standard, part.astype(np.int32))
    return type_, float(sure[0]) if sure is not None and sure[0] > 0 else float(1 - mean[0])


def _organ(model: Model, seen: Seen, part: Mask) -> str:
    """The anatomy class that most of an outline and its surroundings are, the background left out; empty without any."""
    if not any(group.name == ANATOMY for group in model.classes.groups):
        return ""
    around = ndimage.binary_dilation(part, iterations=2)
    classes = seen.logits[model.classes.channels(ANATOMY)][:, torch.from_numpy(around)].max(0).indices
    counts = torch.bincount(classes, minlength=len(model.classes.group(ANATOMY).classes))
    counts[0] = 0
    return model.classes.group(ANATOMY).classes[int(counts.argmax())] if int(counts.sum()) else ""


def _lives_in(type_: str, organ: str) -> bool:
    """Whether lesions of a class may be in an organ; a class that is no type of ours may be anywhere."""
    return type_ not in set(LesionType) or not organ or TYPES[LesionType(type_)].system.value.lower() == organ
