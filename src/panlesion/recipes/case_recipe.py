"""What determines a run that learns a question about whole cases: protocol, cube, cases, folds."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from panlesion.ct.modality import Modality
from panlesion.ct.organ_files import OrganNumbering
from panlesion.ct.region import Framing, Region
from panlesion.data.sources.case_check import CheckedTable
from panlesion.data.sources.case_table import CaseTable, Targets
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.nets.case_use import default_look
from panlesion.nets.heads import ATTRIBUTE_HEAD, ATTRIBUTES, Head
from panlesion.nets.look import Look
from panlesion.nets.model import Model
from panlesion.recipes.starting_weights import SCRATCH, StartingWeights
from panlesion.train.augment import Augment
from panlesion.train.loop import Fit
from panlesion.train.optim import Method, Optim, Schedule
from panlesion.train.readings import reading_augment

MARGIN_MM = 32.0
"""Around an organ's box: the published 32 voxels at the published 1 mm."""
DETECT_SIDE = 128
"""Of the published cube around an organ; smaller presets use their own patch."""
SPARE_SHARE = 8
"""A prepared cube has its side / 8 voxels more on every side, for turned views to draw from. Ours."""
PRESENT_WEIGHT = 10.0


class Learns(StrEnum):
    """Which weights change: only the head, on vectors gathered once, or the encoder too."""

    FROZEN = "frozen"
    FULL = "full"


class Keep(StrEnum):
    """Which weights a run leaves: those of its last step, or those with the least loss on patients of the training part."""

    LAST = "last"
    BEST = "best"


@dataclass(frozen=True, kw_only=True)
class CaseProtocol:
    """How a network is adapted to a question. Of `views` a case, one is plain and the others are drawn; 1 where it moves."""

    learns: Learns
    fit: Fit
    views: int = 1
    encoder_scale: float = 1.0
    keep: Keep = Keep.BEST
    augment: Augment = field(default_factory=reading_augment)


def frozen() -> CaseProtocol:
    """The head alone, on vectors: seconds. Ours."""
    optim = Optim(method=Method.ADAMW, rate=1e-3, weight_decay=1e-2, schedule=Schedule.COSINE, warmup_steps=20)
    fit = Fit(steps=300, batch=32, optim=optim, precision="32-true", save_every=100)
    return CaseProtocol(learns=Learns.FROZEN, fit=fit, views=4)


def full() -> CaseProtocol:
    """Encoder and head, sized for a CPU. Ours."""
    optim = Optim(method=Method.ADAMW, rate=1e-3, weight_decay=1e-2, schedule=Schedule.COSINE, warmup_steps=20)
    return CaseProtocol(learns=Learns.FULL, fit=Fit(steps=300, batch=8, optim=optim, save_every=50), encoder_scale=0.1)


def published(task: CaseTask) -> CaseProtocol:
    """PASTA's: Adam 1e-4, decay 1e-5, encoder and head at one rate; 5,000 steps to detect, 20,000 to describe.

    Batch and schedule were published for neither; nothing was for stages and survival, which do as detection does.
    """
    steps = 20_000 if task is CaseTask.DESCRIBE else 5_000
    optim = Optim(method=Method.ADAM, rate=1e-4, weight_decay=1e-5, schedule=Schedule.COSINE)
    return CaseProtocol(learns=Learns.FULL, fit=Fit(steps=steps, batch=8, optim=optim))


@dataclass(frozen=True, kw_only=True)
class CaseEntry:
    """One case as the recipe names it; the checksum notices an image or label that was edited between two runs."""

    id: str
    patient: str
    crc: int
    volume_ml: float | None
    fold: int
    targets: Targets


@dataclass(frozen=True, kw_only=True)
class CaseRecipe(CaseProtocol):
    """All that determines a run."""

    task: CaseTask
    checkpoint: str
    base_sha256: str
    framing: Framing
    look: Look
    old_head: bool
    channels: tuple[Modality, ...]
    numbering: OrganNumbering | None
    stages: tuple[str, ...]
    likelihood: Likelihood
    intervals: int
    present_weight: float
    folds: tuple[str, ...]
    cases: tuple[CaseEntry, ...]

    @property
    def spare(self) -> int:
        """Voxels around a prepared cube."""
        return max(1, self.framing.side // SPARE_SHARE)


def default_region(task: CaseTask) -> Region:
    """An organ to find a lesion in, else the lesion that is asked about."""
    return Region.ORGAN if task is CaseTask.DETECT else Region.LESION


def framing_of(
    task: CaseTask,
    model: Model,
    *,
    region: Region | None = None,
    values: tuple[int, ...] = (),
    spacing_mm: float | None = None,
    side: int | None = None,
) -> Framing:
    """The cube of a task: what is not said is the checkpoint's own, or for a described lesion its attribute head's.

    Raises:
        ValueError: The side is not divisible by the network's stride.
    """
    region = region or default_region(task)
    own = described_by(model) if task is CaseTask.DESCRIBE and region is Region.LESION else None
    patch = model.info.patch_voxels
    large = DETECT_SIDE if region is Region.ORGAN and model.preset.name == "pasta" else patch
    side = side or (own.crop_voxels if own else large)
    if side % model.preset.stride:
        raise ValueError(f"side is {side}; it must be divisible by {model.preset.stride}, the network's stride")
    return Framing(
        region=region,
        side=side,
        spacing_mm=spacing_mm or (own.spacing_mm if own else model.info.spacing_mm),
        margin_mm=MARGIN_MM if region is Region.ORGAN else 0.0,
        values=values,
    )


def described_by(model: Model) -> Look | None:
    """The look of the model's attribute head, where it has one to go on from."""
    head = dict(model.heads.items()).get(ATTRIBUTE_HEAD)
    return head.look if isinstance(head, Head) and head[-1].out_features == sum(ATTRIBUTES.values()) else None


def resolve(
    task: CaseTask,
    start: StartingWeights,
    table: CaseTable,
    checked: CheckedTable,
    framing: Framing,
    *,
    protocol: CaseProtocol,
    steps: int | None = None,
    seed: int = 0,
    keep: Keep | None = None,
    likelihood: Likelihood = Likelihood.HAZARD,
    intervals: int = 8,
) -> CaseRecipe:
    """The recipe of a run; what is not said here is the protocol's own."""
    fit = protocol.fit
    total = steps or fit.steps
    small = min(fit.batch, len(checked.rows))
    own = described_by(start.model) if task is CaseTask.DESCRIBE and start.name != SCRATCH else None
    same = own is not None and (own.crop_voxels, own.spacing_mm) == (framing.side, framing.spacing_mm)
    entries = tuple(
        CaseEntry(
            id=row.case.id, patient=row.case.patient, crc=row.crc, fold=row.fold, targets=row.case.targets,
            volume_ml=None if row.volume_ml != row.volume_ml else row.volume_ml,
        )
        for row in checked.rows
    )  # fmt: skip
    return CaseRecipe(
        learns=protocol.learns, views=protocol.views, encoder_scale=protocol.encoder_scale, augment=protocol.augment,
        keep=keep or protocol.keep, fit=replace(fit, steps=total, seed=seed, batch=small, check_every=max(1, -(-total // 10))),
        task=task, checkpoint=start.name, base_sha256=start.sha256, framing=framing,
        old_head=same and framing.region is Region.LESION,
        look=own if own and same else default_look(framing, start.model.preset), channels=table.channels,
        numbering=table.numbering, stages=table.stages,
        likelihood=likelihood, intervals=intervals, present_weight=PRESENT_WEIGHT if task is CaseTask.DETECT else 1.0,
        folds=checked.folds, cases=entries,
    )  # fmt: skip
