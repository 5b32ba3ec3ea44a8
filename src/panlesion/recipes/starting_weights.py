"""What fine-tuning starts from: a model by name, file, public weights or none, and the class that each head begins as."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from panlesion.errors import CheckpointError
from panlesion.nets.checkpoint import OFFICIAL_SUFFIXES, SUFFIX, WEIGHTS_FOLDER, load_model, read_official, shipped_models
from panlesion.nets.classes import LESIONS, OTHER_MASS
from panlesion.nets.model import Model, new_model
from panlesion.train.finetune import adapted, reset

SCRATCH = "scratch"
AUTO, FRESH = "auto", "fresh"

_SCRATCH_AT = {"nano": (2.5, 48)}
"""Spacing in mm and patch of presets trained without a checkpoint; those of the published network for the others."""
_PUBLISHED_AT = (1.0, 96)


@dataclass(frozen=True, kw_only=True, eq=False)
class StartingWeights:
    """A model to adapt, what it was called, and the SHA-256 of its file (empty: from scratch)."""

    model: Model
    name: str
    sha256: str


def starting_weights(checkpoint: str, *, preset: str | None = None) -> StartingWeights:
    """Load what `--checkpoint` names.

    Args:
        checkpoint: A shipped name, a file of ours, a file of the public code's weights (by its suffix), or "scratch".
        preset: The size of the network, where the checkpoint does not say it: "scratch" (nano) and public weights (pasta).

    Raises:
        CheckpointError: Not there, not readable, no segmentation network for one CT channel.
        ValueError: Unknown preset, or one given for a checkpoint that has its own.
    """
    if checkpoint == SCRATCH:
        size = preset or "nano"
        spacing_mm, patch = _SCRATCH_AT.get(size, _PUBLISHED_AT)
        return StartingWeights(model=new_model(size, spacing_mm=spacing_mm, patch_voxels=patch), name=SCRATCH, sha256="")
    shipped = checkpoint in shipped_models()
    path = WEIGHTS_FOLDER / f"{checkpoint}{SUFFIX}" if shipped else Path(checkpoint)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give a checkpoint in it, such as {path / 'model.safetensors'}")
    if path.suffix in OFFICIAL_SUFFIXES:
        model = _official(path, preset or "pasta")
    elif preset is not None:
        raise ValueError(f"preset is {preset!r}, but {checkpoint} has its own; leave it out")
    else:
        model = load_model(checkpoint)
    if model.info.in_channels != 1:
        raise CheckpointError(f"{checkpoint} takes {model.info.in_channels} channels; fine-tuning works on one CT a case")
    return StartingWeights(model=model, name=checkpoint if shipped else path.name, sha256=_sha256(path))


def _official(path: Path, preset: str) -> Model:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the public PASTA weights, a checkpoint of panlesion, or scratch")
    # Their classes have no published names, so heads start anew whatever the file has.
    try:
        return read_official(path, preset=preset, lose=("seg_outputs", "head"))
    except CheckpointError as error:
        raise CheckpointError(
            f"{error} [read as the public PASTA weights, for its name ends in {path.suffix}; "
            f"checkpoints of panlesion end in {SUFFIX}]"
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def start_classes(start: StartingWeights, names: Sequence[str], wanted: str = AUTO) -> dict[str, str | None]:
    """The pretrained lesion class that each class begins as; None where its head starts anew.

    By itself a class begins as the pretrained one of its name, else as `other_mass`, a mass of no particular organ.

    Raises:
        ValueError: `wanted` is no lesion class of the model.
    """
    known = lesion_classes(start)
    if wanted not in (AUTO, FRESH, *known):
        there = ", ".join(known) or "none"
        raise ValueError(
            f"start class is {wanted!r}; use {AUTO}, {FRESH} or a lesion class of {start.name} (there are: {there})"
        )
    if wanted == FRESH or not known:
        return dict.fromkeys(names, None)
    other = OTHER_MASS if OTHER_MASS in known else None
    return {name: wanted if wanted != AUTO else name if name in known else other for name in names}


def lesion_classes(start: StartingWeights) -> tuple[str, ...]:
    """The lesion classes that a head can begin as: none from scratch, and none with weights whose heads were lost."""
    if start.name == SCRATCH or "seg_outputs" in start.model.info.provenance.get("lost", ()):
        return ()
    groups = {group.name: group for group in start.model.classes.groups}
    return groups[LESIONS].classes[1:] if LESIONS in groups else ()


def adapted_from(start: StartingWeights, starts: Mapping[str, str | None], *, spacing_mm: float, seed: int) -> Model:
    """A model for the classes `starts`, each head from its own pretrained class; fresh weights come from the seed."""
    torch.manual_seed(seed)
    model = adapted(start.model, starts)
    model.info = replace(model.info, spacing_mm=spacing_mm)
    if start.name == SCRATCH:
        reset(model, seed)
    return model
