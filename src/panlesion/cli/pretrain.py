"""`panlesion pretrain`: train the network on synthetic lesions."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from panlesion.cli._bars import bar_from_first_step, preparing_bar
from panlesion.cli._extras import need_model_extra

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from panlesion.recipes.real_data import CaseFolders, HostFolder

console = Console()


def pretrain(
    out: Annotated[Path, typer.Argument(help="Folder of the run; the same command goes on where a killed run stopped.")],
    recipe: Annotated[str, typer.Option(help="nano (two CPU cores), small (one GPU) or pasta (as published).")] = "nano",
    stage: Annotated[
        int, typer.Option(min=1, max=3, help="1: organs, lesions; 2: report attributes; 3: which marked parts are lesions.")
    ] = 1,
    steps: Annotated[int, typer.Option(min=0, help="Optimiser steps; 0 takes the recipe's own number.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights, lesions and batches.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make fresh patches beside the training.")] = 1,
    data: Annotated[
        Path | None, typer.Option(help="Learn from this folder of cases (PASTA-Gen layout, full or deltas).")
    ] = None,
    hosts: Annotated[Path | None, typer.Option(help="Draw lesions into these healthy CTs too: folders as for synth.")] = None,
    hosts_share: Annotated[float, typer.Option(help="Share of patches from --hosts; the others are of phantoms.")] = 0.5,
    organ_labels: Annotated[str, typer.Option(help="Numbering of the hosts' organ maps: v1 or v2.")] = "v2",
    start_from: Annotated[str | None, typer.Option(help="Checkpoint to start from; stages 2 and 3 need one.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="Accelerators, or CPU processes, per machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, gpu, cuda or mps.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="bf16-mixed, 32-true or 16-mixed; default: the recipe's.")] = None,
) -> None:
    """Pretrain the network on lesions synthesised on the fly.

    Stage 1 learns to segment organs and lesions. Stages 2 and 3 freeze the network: 2 trains a head on the report attributes,
    3 a head that says of every part the network marks how probably it is a lesion.

    Leaves `model.safetensors`, the resolved `recipe.json`, `journal.jsonl`, TensorBoard events and the resumable state.

    Several devices or machines: by --devices and --nodes, torchrun or SLURM; all must see OUT.

    Example: `panlesion pretrain --recipe nano --steps 2000 --workers 1 run`, then
    `panlesion pretrain --stage 2 --start-from run/model.safetensors run_2`

    Example: `panlesion pretrain --recipe small --hosts my_cts --hosts-share 0.5 --devices 2 --workers 8 run`
    """
    need_model_extra("pretrain")
    source = _real_data(data, hosts, hosts_share, organ_labels)
    machine = {"accelerator": accelerator, "devices": devices, "num_nodes": nodes}
    if stage > 1:
        if source is not None:
            raise typer.BadParameter(f"stage {stage} draws its own lesions in phantoms; leave --data and --hosts out")
        if start_from is None:
            raise typer.BadParameter(
                f"stage {stage} needs a network: name a checkpoint or a shipped model", param_hint="--start-from"
            )
        if stage == 2:
            _stage_two(out, recipe, steps, seed, workers, start_from, machine)
        elif devices > 1 or nodes > 1 or accelerator not in ("auto", "cpu"):
            raise typer.BadParameter("stage 3 draws and predicts on the CPU; use --workers", param_hint="--accelerator")
        else:
            _stage_three(out, recipe, steps, seed, workers, start_from)
        return
    from panlesion.nets.memory import keep_freed_memory
    from panlesion.recipes.pretrain import STAGE_ONE
    from panlesion.recipes.pretrain import pretrain as run
    from panlesion.train.loop import launched

    if recipe not in STAGE_ONE:
        raise typer.BadParameter(f"{recipe!r} is no recipe; use one of {', '.join(STAGE_ONE)}", param_hint="--recipe")
    chosen = STAGE_ONE[recipe](seed=seed, **({"steps": steps} if steps else {}))
    if precision:
        chosen = replace(chosen, fit=replace(chosen.fit, precision=precision))
    keep_freed_memory()  # this process does nothing but train
    fabric = launched(_fabric(machine, chosen.fit.precision))
    with (
        preparing_bar("preparing the data") as preparing,
        preparing_bar("fitting offsets on drawn bodies") as fitting,
        ExitStack() as later,
    ):
        run(
            chosen, out, workers=workers, fabric=fabric, start_from=start_from, data=source,
            preparing=preparing, fitting=fitting, watch=bar_from_first_step(chosen.fit.steps, later),
        )  # fmt: skip
    if fabric.is_global_zero:
        console.print(f"Trained {chosen.fit.steps} steps: {out / 'model.safetensors'}")
        console.print(f"Curves: [bold]panlesion plot {out}[/bold]")


def _real_data(data: Path | None, hosts: Path | None, share: float, organ_labels: str) -> "HostFolder | CaseFolders | None":
    """What of the user's data to learn from; None: drawn phantoms only."""
    from panlesion.ct.organ_files import OrganNumbering
    from panlesion.recipes.real_data import CaseFolders, HostFolder

    if data and hosts:
        raise typer.BadParameter("--data and --hosts are two ways of training; give one of them", param_hint="--hosts")
    if data:
        return CaseFolders(path=data)
    if hosts is None:
        return None
    with _usage():
        return HostFolder(path=hosts, numbering=OrganNumbering(organ_labels), share=share)


@contextmanager
def _usage() -> "Iterator[None]":
    """An argument that cannot be used is a usage error, with its message."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _fabric(machine: dict[str, Any], precision: str) -> "Fabric":
    """The devices asked for; what this machine does not have is a usage error."""
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    try:
        return Fabric(**machine, precision=precision)  # type: ignore[arg-type]
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise typer.BadParameter(str(error), param_hint="--accelerator, --devices, --nodes, --precision") from error


def _stage_two(out: Path, recipe: str, steps: int, seed: int, workers: int, start_from: str, machine: dict[str, Any]) -> None:
    """Gather vectors where the recipe does, then train the head."""
    from panlesion.recipes.stage_two import STAGE_TWO, pretrain_head

    if recipe not in STAGE_TWO:
        raise typer.BadParameter(f"{recipe!r} is no recipe; use one of {', '.join(STAGE_TWO)}", param_hint="--recipe")
    chosen = STAGE_TWO[recipe](seed=seed, **({"steps": steps} if steps else {}))
    with preparing_bar("drawing and reading lesions") as gathering, ExitStack() as later:
        pretrain_head(
            chosen, out, start_from=start_from, workers=workers, watch=bar_from_first_step(chosen.fit.steps, later),
            gathering=gathering, fabric=_fabric(machine, chosen.fit.precision),
        )  # fmt: skip
    console.print(f"Trained the attribute head {chosen.fit.steps} steps: {out / 'model.safetensors'}")


def _stage_three(out: Path, recipe: str, steps: int, seed: int, workers: int, start_from: str) -> None:
    """Draw and predict whole scans, then train the head that tells lesions from other marks."""
    from panlesion.recipes.stage_three import STAGE_THREE, pretrain_detection

    if recipe not in STAGE_THREE:
        raise typer.BadParameter(f"{recipe!r} is no recipe; use one of {', '.join(STAGE_THREE)}", param_hint="--recipe")
    chosen = STAGE_THREE[recipe](seed=seed, **({"steps": steps} if steps else {}))
    with preparing_bar("drawing and predicting scans") as gathering, ExitStack() as later:
        model = pretrain_detection(
            chosen, out, start_from=start_from, workers=workers, gathering=gathering,
            watch=bar_from_first_step(chosen.fit.steps, later),
        )  # fmt: skip
    console.print(f"Trained the detection head {chosen.fit.steps} steps: {out / 'model.safetensors'}")
    told = model.info.provenance["stage_three"]
    console.print(f"On {told['calibration_scans']} drawn scans it did not learn from:")
    for point in told["operating_points"]:
        console.print(f"  {point['sensitivity']:.0%} of lesions found at {point['false_per_scan']:.2f} false positives a scan")
