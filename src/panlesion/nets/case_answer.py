"""From a head's numbers to an answer about a case: probabilities, a stage, a risk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from panlesion.ct.region import Framed, frame
from panlesion.ct.volume import LabelMap, Volume
from panlesion.errors import CheckpointError
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.lesion.vocabulary import READINGS
from panlesion.nets.case_use import CaseUse, cumulative, head_of
from panlesion.nets.heads import split_attributes
from panlesion.nets.model import Intensity, Model
from panlesion.nets.sliding import network_input


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What was answered of N cases; what the task does not ask for is empty.

    `classes` are probabilities (N, K): of absent and present, of the stages, or of the words of each attribute. `risk` (N,) is
    higher where the event is expected earlier, `alive` (N, J) the probability of reaching each edge but the first.
    """

    classes: Mapping[str, NDArray[np.float64]]
    risk: NDArray[np.float64] | None = None
    alive: NDArray[np.float64] | None = None


def answers_of(use: CaseUse, outputs: Tensor) -> Answers:
    """The answers of a head's outputs (N, `use.outputs`)."""
    out = outputs.detach().double().cpu()
    match use.task:
        case CaseTask.DETECT:
            present = (out[:, 0] - log(use.present_weight)).sigmoid()
            return Answers(classes={"present": torch.stack([1 - present, present], dim=1).numpy()})
        case CaseTask.DESCRIBE:
            return Answers(classes={name: part.softmax(dim=1).numpy() for name, part in split_attributes(out).items()})
        case CaseTask.STAGE:
            above = cumulative(out).sigmoid()
            ends = torch.cat([torch.ones(len(out), 1), above, torch.zeros(len(out), 1)], dim=1)
            return Answers(classes={"stage": (ends[:, :-1] - ends[:, 1:]).numpy()})
        case CaseTask.SURVIVE if use.likelihood is Likelihood.HAZARD:
            alive = (1 - out.sigmoid()).cumprod(dim=1).numpy()
            widths = np.diff(np.array(use.edges))
            reached = np.concatenate([np.ones((len(alive), 1)), alive[:, :-1]], axis=1)
            # Minus the time lived up to the last edge (restricted mean, trapezoids).
            return Answers(classes={}, risk=-((reached + alive) / 2 * widths).sum(axis=1), alive=alive)
        case _:
            return Answers(classes={}, risk=out[:, 0].numpy())


def words_of(use: CaseUse) -> dict[str, tuple[str, ...]]:
    """The words of the classes that `Answers.classes` has probabilities of."""
    match use.task:
        case CaseTask.DETECT:
            return {"present": ("0", "1")}
        case CaseTask.DESCRIBE:
            return {name: tuple(word.value for word in words) for name, words in READINGS.items()}
        case CaseTask.STAGE:
            return {"stage": use.stages}
        case CaseTask.SURVIVE:
            return {}


def answer_rows(use: CaseUse, answers: Answers) -> list[dict[str, str]]:
    """Each case's answers as cells of a table: the most probable word, and the probability of every word."""
    rows: list[dict[str, str]] = []
    first = next(iter(answers.classes.values()), answers.risk)
    assert first is not None
    for n in range(len(first)):
        row: dict[str, str] = {}
        for name, words in words_of(use).items():
            probabilities = answers.classes[name][n]
            row[f"predicted_{name}"] = words[int(probabilities.argmax())]
            row |= {f"p_{name}_{word}": f"{p:.6f}" for word, p in zip(words, probabilities, strict=True)}
        if answers.risk is not None:
            row["risk"] = f"{answers.risk[n]:.6g}"
        if answers.alive is not None:
            row |= {f"p_free_at_{edge:g}": f"{p:.6f}" for edge, p in zip(use.edges[1:], answers.alive[n], strict=True)}
        rows.append(row)
    return rows


def case_input(framed: Framed, intensity: Intensity) -> NDArray[np.float32]:
    """What the network is given of a cube: its images after the intensity map, and the mask, float32 (C + 1, S, S, S)."""
    images = [network_input(one, intensity) for one in framed.hu]
    return np.stack([*images, framed.mask.astype(np.float32)])


def use_of(model: Model) -> CaseUse:
    """What the model can be asked of a whole case.

    Raises:
        CheckpointError: Nothing.
    """
    if model.info.case is None:
        raise CheckpointError(
            "the checkpoint answers no question about whole cases; train one with `panlesion finetune --task "
            "detect|describe|stage|survive`, or give CTs to segment instead of a table"
        )
    return model.info.case


def answer_case(model: Model, images: Sequence[Volume], label: LabelMap | None) -> Answers:
    """The answer about one case.

    Args:
        model: In evaluation mode, with a use.
        images: As many as the use has channels, each of its kind.
        label: On the first image's grid; None where the use's region is the image.

    Raises:
        CheckpointError: The model answers no such question, or the number of images is not that of its channels.
        GeometryError: An image is turned against the first one.
        OrganMapError: No label where one is needed, or an empty one.
    """
    use = use_of(model)
    if len(images) != len(use.channels):
        kinds = ", ".join(kind.upper() for kind in use.channels)
        raise CheckpointError(f"{len(images)} images for a network of {len(use.channels)} ({kinds}); give one of each")
    x = torch.from_numpy(case_input(frame(images, label, use.framing), model.intensity))[None]
    with torch.inference_mode():
        return answers_of(use, case_outputs(model, x.to(next(model.parameters()).device)))


def case_outputs(model: Model, x: Tensor) -> Tensor:
    """A head's outputs (B, `use.outputs`) of inputs (B, C + 1, S, S, S)."""
    head = head_of(model.heads, use_of(model))
    assert head.look is not None
    out: Tensor = head(head.look.vector(model.unet, x)).float()
    return out


def check_segments(model: Model, name: str) -> None:
    """Refuse a checkpoint that gives no masks where masks are wanted.

    Raises:
        CheckpointError: Naming what it can do instead.
    """
    case = model.info.case
    if case is not None and (not case.masks or model.info.in_channels > 1):
        images = " and ".join(kind.upper() for kind in case.channels)
        raise CheckpointError(
            f"{name} answers a question about whole cases ({case.task}) and gives no masks. Apply it to a table of cases: "
            f"`panlesion predict cases.csv OUT --checkpoint {name}` (images of a case: {images})"
        )
