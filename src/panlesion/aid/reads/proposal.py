"""The network's answer to a click or a box: what lesion is there. Runs in a worker; the server asks through `asking`."""

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from panlesion.aid.db import Sessions
from panlesion.aid.jobs.runner import Outcome, Progress
from panlesion.aid.reads.asking import asked_by, region_of
from panlesion.aid.reads.outline import Chosen, Mask, at_point, by_density, in_box, runs_of
from panlesion.aid.reads.save import scan_of
from panlesion.aid.schemas.reading import ProposalOut, ProposeIn
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job, Reading, Study
from panlesion.aid.vocabulary import ProposalWay
from panlesion.ct.standardise import share_on, standardise
from panlesion.ct.volume import Box, Grid, Volume
from panlesion.errors import ReadError
from panlesion.nets.candidates import candidate_probabilities
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import LESIONS, OTHER_MASS
from panlesion.nets.engines import choose_engine
from panlesion.nets.model import Model
from panlesion.nets.restore import Restorer, restore_parts
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
    """The lesion at a point or in a box of a CT; where the network marks none, what looks like one by its density.

    Raises:
        NotInScanError: The point or box is not in the scan, or not exactly one of them is told.
    """
    started = time.perf_counter()
    region = region_of(told, ct.grid.shape)
    seen = look_at(looker, ct, region)
    held = region.shifted((-seen.box.start[0], -seen.box.start[1], -seen.box.start[2]))
    if told.point_ijk is not None:
        centre = np.rint(seen.standard.grid.to_ijk(seen.ct.grid.to_xyz(held.start))).astype(int)
        i, j, k = centre.clip(0, np.array(seen.standard.grid.shape) - 1).tolist()
        chosen = at_point(seen.probability, (i, j, k), seen.standard.grid.spacing_mm)
    else:
        chosen = in_box(seen.probability, _on_standard(held, seen))
    mask = None if chosen is None else _restored(looker.model, seen, chosen, held if told.box_ijk is not None else None)
    if chosen is None or mask is None or not mask.any():
        mask, way = _dense(seen, held, told), ProposalWay.DENSITY
    else:
        way = chosen.way
    type_, probability = _said(looker.model, seen, mask)
    inner = Box.of(mask)
    return ProposalOut(
        way=way,
        start_ijk=inner.shifted(seen.box.start).start,
        shape=inner.shape,
        runs=runs_of(mask[inner.slices]),
        type=type_,
        probability=probability,
        seconds=round(time.perf_counter() - started, 3),
    )


def _on_standard(held: Box, seen: Seen) -> Mask:
    """Which voxels of the network's grid lie in a box of the CT's; at least the one in its middle."""
    inside = np.zeros(seen.ct.grid.shape, dtype=bool)
    inside[held.slices] = True
    share = share_on(inside, seen.ct.grid, seen.standard.grid)
    return share >= min(0.5, float(share.max()))


def _restored(model: Model, seen: Seen, chosen: Chosen, within: Box | None) -> Mask:
    """The chosen part on the CT's own grid, with borders where the interpolated logits have them."""
    restorer = Restorer(model.classes, seen.standard.grid, seen.ct.grid)
    restorer.add(0, seen.logits)
    assert restorer.probability is not None
    marked = restorer.probability >= chosen.least
    mask: Mask = restore_parts(chosen.mask.astype(np.int32), seen.standard.grid, marked, seen.ct.grid) == 1
    if within is not None:
        kept = np.zeros_like(mask)
        kept[within.slices] = mask[within.slices]
        mask = kept
    return mask


def _dense(seen: Seen, held: Box, told: ProposeIn) -> Mask:
    """An outline by density: around a point, or around the middle of a box and within it."""
    i, j, k = ((a + b - 1) // 2 for a, b in zip(held.start, held.stop, strict=True))
    inside, reach_mm = None, 20.0
    if told.box_ijk is not None:
        inside = np.zeros(seen.ct.grid.shape, dtype=bool)
        inside[held.slices] = True
    box, part = by_density(seen.ct, (i, j, k), reach_mm, inside)
    mask = np.zeros(seen.ct.grid.shape, dtype=bool)
    mask[box.slices] = part
    return mask


def _said(model: Model, seen: Seen, mask: Mask) -> tuple[str, float]:
    """Which type the network finds most probable in an outline, and how probable a lesion of any type."""
    share = share_on(mask, seen.ct.grid, seen.standard.grid)
    part = share >= min(0.5, float(share.max()))
    voxels = torch.from_numpy(part)
    mine = seen.logits[model.classes.channels(LESIONS)][:, voxels].softmax(0)
    names = model.classes.group(LESIONS).classes
    type_ = names[1 + int(mine[1:].sum(1).argmax())] if len(names) > 1 else OTHER_MASS
    sure = candidate_probabilities(model, seen.standard, part.astype(np.int32))
    mean = float(1 - mine[0].mean())
    return type_, float(sure[0]) if sure is not None and sure[0] > 0 else mean
