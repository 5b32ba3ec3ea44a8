"""What a network that answers a question about a whole case is asked, and what it must be shown: part of its checkpoint."""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor, nn

from panlesion.ct.modality import Modality
from panlesion.ct.organ_files import OrganNumbering
from panlesion.ct.region import Framing, Region
from panlesion.errors import CheckpointError
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.nets.heads import ATTRIBUTE_HEAD, ATTRIBUTES, Head
from panlesion.nets.look import Look, Pooling
from panlesion.nets.preset import Preset


@dataclass(frozen=True, kw_only=True)
class CaseUse:
    """One question, and how a case is shown to the network that answers it.

    `present_weight` is how much more a case with a lesion counted in training, which its probability has to take back. `edges`
    begin at 0 and bound the intervals of a hazard, in the table's unit of time. With `masks` the network still segments: its
    other weights were left as they were. `numbering` is that of labels that are organ maps, in which `framing.values` are v1's.
    """

    task: CaseTask
    framing: Framing
    channels: tuple[Modality, ...] = (Modality.CT,)
    numbering: OrganNumbering | None = None
    present_weight: float = 1.0
    stages: tuple[str, ...] = ()
    likelihood: Likelihood = Likelihood.HAZARD
    edges: tuple[float, ...] = ()
    masks: bool = False

    def __post_init__(self) -> None:
        if not self.channels or not (isfinite(self.present_weight) and self.present_weight > 0):
            raise ValueError(f"channels are {self.channels}, present_weight {self.present_weight}; one or more, and above 0")
        if self.framing.side < 1 or not self.framing.spacing_mm > 0 or self.framing.margin_mm < 0:
            raise ValueError(f"framing is {self.framing}; side and spacing are above 0, the margin is not below")
        if self.task is CaseTask.STAGE and (len(self.stages) < 2 or len(set(self.stages)) < len(self.stages)):
            raise ValueError(f"stages are {self.stages}; there are two or more, each once")
        hazard = self.task is CaseTask.SURVIVE and self.likelihood is Likelihood.HAZARD
        rising = all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False)) and all(map(isfinite, self.edges))
        if hazard and (len(self.edges) < 2 or self.edges[0] != 0 or not rising):
            raise ValueError(f"edges are {self.edges}; they begin at 0 and rise")

    @property
    def head(self) -> str:
        """The name of its head among a model's heads."""
        return ATTRIBUTE_HEAD if self.task is CaseTask.DESCRIBE else self.task.value

    @property
    def outputs(self) -> int:
        """How many numbers the head gives."""
        match self.task:
            case CaseTask.DETECT:
                return 1
            case CaseTask.DESCRIBE:
                return sum(ATTRIBUTES.values())
            case CaseTask.STAGE:
                return len(self.stages) - 1
            case CaseTask.SURVIVE:
                return len(self.edges) - 1 if self.likelihood is Likelihood.HAZARD else 1

    def new_head(self, preset: Preset, look: Look) -> Head:
        """A head that knows nothing yet.

        Raises:
            ValueError: A network of this preset cannot look so.
        """
        look.check(preset)
        return Head(look.size(preset), self.outputs, look)


def default_look(use_framing: Framing, preset: Preset) -> Look:
    """What a head reads: around a lesion also the lesion itself level by level, else the published mean of a deep level."""
    pooling: tuple[Pooling, ...] = (Pooling.CROP,)
    if use_framing.region is Region.LESION:
        pooling = (Pooling.CROP, Pooling.LESION, Pooling.SPREAD, Pooling.SHELL, Pooling.FORM)
    levels = tuple(range(preset.features_from)) if len(pooling) > 1 else ()
    return Look(spacing_mm=use_framing.spacing_mm, crop_voxels=use_framing.side, pooling=pooling, levels=levels)


def head_of(heads: nn.ModuleDict, use: CaseUse) -> Head:
    """The head that answers.

    Raises:
        CheckpointError: It is missing or of another size.
    """
    head = dict(heads.items()).get(use.head)
    if not isinstance(head, Head) or head.look is None or head[-1].out_features != use.outputs:
        raise CheckpointError(
            f"the model is to {use.task} but has no head {use.head!r} with {use.outputs} outputs and a look "
            f"(it has: {', '.join(heads) or 'none'}); write it anew"
        )
    return head


def cumulative(outputs: Tensor) -> Tensor:
    """Logits (B, K - 1) that the stage is above 0, 1 … from a head's outputs: they fall by construction, whatever it gives.

    The first is free, each further one lies a softplus lower: ordinal regression (McCullagh 1980) on the binary tasks of CORAL
    (Cao et al. 2020), whose shared weights make the same promise only at the optimum.
    """
    gaps = torch.nn.functional.softplus(outputs[:, 1:])
    return torch.cat([outputs[:, :1], outputs[:, :1] - gaps.cumsum(dim=1)], dim=1)
