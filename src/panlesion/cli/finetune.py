"""`panlesion finetune`: a user's own annotated scans, or cases with a target each, to a working checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from panlesion.cli._extras import need_model_extra

TASKS = ("segment", "detect", "describe", "stage", "survive")

Data = Annotated[Path, typer.Option(help="Folder of annotated scans (segment), or a cases.csv or its folder (all others).")]
Out = Annotated[Path, typer.Option(help="Folder of the run; the same command goes on where a killed run stopped.")]
Checkpoint = Annotated[
    str, typer.Option(help="A shipped name, a checkpoint (.safetensors), public PASTA weights (.pth), or scratch.")
]
Task = Annotated[str, typer.Option(help="What is learned: segment, detect, describe, stage or survive.")]
Classes = Annotated[
    str,
    typer.Option(
        help="segment: names of the label values, liver,tumour for 1 and 2, or liver=1,tumour=3. Default: dataset.json."
    ),
]
StartClass = Annotated[
    str,
    typer.Option(help="segment: pretrained lesion class the heads start from; auto: that of the same name, else other_mass."),
]
Spacing = Annotated[float, typer.Option(min=0, help="Voxel size in mm to train at; 0: the checkpoint's own.")]
Moves = Annotated[str, typer.Option(help="segment: which weights change: all, decoder or head.")]
Learns = Annotated[str, typer.Option(help="Cases: frozen (only the head learns), full (the encoder too), or published.")]
Region = Annotated[str, typer.Option(help="Cases: what is shown: organ (detect), lesion (all others), or image (its middle).")]
Organ = Annotated[str, typer.Option(help="Cases: label values that count, or names as TotalSegmentator has them; default all.")]
OrganLabels = Annotated[str, typer.Option(help="Cases: numbering of organ maps, where --organ has names: v1 or v2.")]
Stages = Annotated[str, typer.Option(help="stage: names, lowest first: I,II,III,IV; whole numbers need none.")]
Likelihood = Annotated[str, typer.Option(help="survive: hazard (intervals of time) or cox (order alone).")]
Crop = Annotated[int, typer.Option(min=0, help="Cases: side of what is shown in voxels; 0: the checkpoint's own.")]
Folds = Annotated[int, typer.Option(min=0, help="Cases: folds by patient; 0: none, nothing is scored.")]
Fold = Annotated[str, typer.Option(help="Cases: train this fold alone, or all.")]
Steps = Annotated[int, typer.Option(min=0, help="Optimiser steps; 0: the protocol's own number.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of batches, fresh weights, folds and the choice of held-out cases.")]
Validation = Annotated[
    int,
    typer.Option(min=-1, help="segment: patients kept aside for the Dice that is printed; -1: one in five, none below four."),
]
Keep = Annotated[
    str,
    typer.Option(
        help="segment: last step (default), or best on the held-out cases (their Dice is then too good). "
        "Cases: best on patients of the training part (default), or last."
    ),
]
Preset = Annotated[str, typer.Option(help="Network size where the checkpoint does not say it: nano, small, pasta.")]
AllowEmpty = Annotated[bool, typer.Option(help="segment: labels without any lesion are those of healthy scans.")]
Mr = Annotated[bool, typer.Option("--mr", help="The images are MR.")]
CheckOnly = Annotated[bool, typer.Option(help="Check the data, say what would be done, and stop.")]

SEGMENT_ONLY = ("classes", "start_class", "moves", "validation", "allow_empty")
CASES_ONLY = ("learns", "region", "organ", "organ_labels", "stages", "likelihood", "crop", "folds", "fold")


def finetune(
    context: typer.Context,
    data: Data,
    out: Out,
    checkpoint: Checkpoint = "nano",
    task: Task = "segment",
    classes: Classes = "",
    start_class: StartClass = "auto",
    spacing: Spacing = 0.0,
    moves: Moves = "all",
    learns: Learns = "frozen",
    region: Region = "",
    organ: Organ = "",
    organ_labels: OrganLabels = "v2",
    stages: Stages = "",
    likelihood: Likelihood = "hazard",
    crop: Crop = 0,
    folds: Folds = 5,
    fold: Fold = "all",
    steps: Steps = 0,
    seed: Seed = 0,
    validation: Validation = -1,
    keep: Keep = "",
    preset: Preset = "",
    allow_empty: AllowEmpty = False,
    mr: Mr = False,
    check_only: CheckOnly = False,
) -> None:
    """Fine-tune a network on your own scans: to outline what you outlined, or to answer a question about a case.

    To segment, DATA is `images/` and `labels/` with files of the same names; nnU-Net's `imagesTr/`, `labelsTr/` and
    `dataset.json`; a folder for each case with `ct.nii.gz` (or a DICOM folder `ct/`) and `label.nii.gz`; or a cohort of
    `panlesion synth`.

    All other tasks learn from a table `cases.csv` with the columns case, patient, image, label and the targets: present (0 or
    1); shape, density, heterogeneity, surface, invasion; stage; time and event (1: it happened, 0: lost to sight).

    All problems of the data are listed before anything is trained. Examples, one a task:

    `panlesion finetune --data my_cts --out run`

    `panlesion finetune --task detect --data cases.csv --organ pancreas --out run`

    `panlesion finetune --task describe --data cases.csv --out run`

    `panlesion finetune --task stage --data cases.csv --stages I,II,III,IV --out run`

    `panlesion finetune --task survive --data cases.csv --likelihood cox --learns full --out run`
    """
    need_model_extra("finetune")
    if task not in TASKS:
        raise typer.BadParameter(f"{task!r} is no task; they are {', '.join(TASKS)}", param_hint="--task")
    _refuse_unused(context, task)
    if task == "segment":
        from panlesion.cli._finetune_segment import SegmentOptions, segment

        segment(SegmentOptions(
            data=data, out=out, checkpoint=checkpoint, classes=classes, start_class=start_class, spacing=spacing, moves=moves,
            steps=steps, seed=seed, validation=validation, keep=keep, preset=preset, allow_empty=allow_empty, mr=mr,
            check_only=check_only,
        ))  # fmt: skip
        return
    from panlesion.cli._finetune_cases import CaseOptions, learn_cases

    learn_cases(CaseOptions(
        task=task, data=data, out=out, checkpoint=checkpoint, learns=learns, region=region, organ=organ,
        organ_labels=organ_labels, stages=stages, likelihood=likelihood, spacing=spacing, crop=crop, steps=steps, seed=seed,
        folds=folds, fold=fold, keep=keep, preset=preset, mr=mr, check_only=check_only,
    ))  # fmt: skip


def _refuse_unused(context: typer.Context, task: str) -> None:
    """An option that would do nothing is a mistake on the command line."""
    for name in CASES_ONLY if task == "segment" else SEGMENT_ONLY:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise typer.BadParameter(f"--task {task} does not use it; leave it out", param_hint=option)
