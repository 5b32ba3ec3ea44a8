"""`panlesion features`: a network's vector of every CT, or of every lesion of its mask, as a table."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from panlesion.ct.volume import LabelMap, Vector3
    from panlesion.nets.model import Model

console = Console()

SUFFIXES = (".csv", ".npz")
AUTO = "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One line of the table; lesion 0 is the whole CT, which has no centre and no volume here."""

    ct: str
    lesion: int
    centre_xyz: "Vector3"
    volume_ml: float
    vector: "NDArray[np.float32]"


_NOWHERE = (float("nan"),) * 3


def features(
    cts: Annotated[list[Path], typer.Argument(metavar="CT…", help="CTs: NIfTI files, DICOM folders or zips.")],
    checkpoint: Annotated[
        str, typer.Option(help="A shipped model's name, a checkpoint (.safetensors), or the public PASTA weights (.pth).")
    ],
    out: Annotated[list[Path], typer.Option("-o", "--out", help="Table to write, .csv or .npz; give it twice for both.")],
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Lesion mask on its CT's grid: one vector per lesion. One for each CT, in their order."),
    ] = None,
    label: Annotated[
        int, typer.Option(min=0, max=255, help="Label of the lesions in the masks; 0: everything above 0. PASTA-Gen's is 2.")
    ] = 0,
    crop: Annotated[
        int, typer.Option(min=0, help="Side of a lesion's crop in voxels of the model's spacing; 0: the model's own.")
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ..., or auto.")] = AUTO,
) -> None:
    """Write feature vectors (1024 numbers with the published network): one per CT, or one per lesion of its mask.

    CTs are brought to the model's axes and spacing. Without masks the vector is the mean over tiles that cover the body;
    with them it is that of a crop around each lesion, touching voxels being one lesion, largest first. CTs that cannot be
    read are listed, the others written, and the exit code is 1.

    Example: `panlesion features chest.nii.gz abdomen/ --checkpoint nano -o vectors.csv`

    Example: `panlesion features ct.nii.gz --mask lesions.nii.gz --checkpoint model.safetensors -o lesions.csv -o lesions.npz`
    """
    masks = mask or []
    if masks and len(masks) != len(cts):
        raise typer.BadParameter(f"{len(masks)} masks for {len(cts)} CTs; give one for each", param_hint="--mask")
    if (label or crop) and not masks:
        raise typer.BadParameter("--label and --crop belong to --mask")
    if wrong := [path for path in out if path.suffix not in SUFFIXES]:
        raise typer.BadParameter(f"{wrong[0]}; a table ends in {' or '.join(SUFFIXES)}", param_hint="--out")
    for path in out:
        path.parent.mkdir(parents=True, exist_ok=True)
    model = _model(checkpoint, device)
    if crop % model.preset.stride:
        raise typer.BadParameter(f"{crop}; the network wants a multiple of {model.preset.stride}", param_hint="--crop")
    rows, failures = _rows(model, cts, masks, label, crop)
    if rows:
        for path in out:
            (_write_csv if path.suffix == ".csv" else _write_npz)(path, rows, checkpoint)
        where = ", ".join(map(str, out))
        console.print(f"{len(rows)} vectors of {len(rows[0].vector)} numbers: {where}", soft_wrap=True, highlight=False)
    if failures:
        for failure in failures:
            console.print(Text(failure, style="red"), soft_wrap=True)
        written = "the others are in the table" if rows else "nothing was written"
        console.print(Text(f"{len(failures)} of {len(cts)} CTs failed; {written}", style="red"), soft_wrap=True)
        raise typer.Exit(1)


def _model(checkpoint: str, device: str) -> "Model":
    from panlesion.errors import CheckpointError

    # This import is the one that says so where the model extra is not installed.
    from panlesion.nets.checkpoint import load_model

    import torch  # isort: skip

    chosen = device
    if device == AUTO:
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        where = torch.device(chosen)
    except RuntimeError as error:
        raise typer.BadParameter(f"{device!r} is no device; use cpu, cuda, cuda:1 or {AUTO}", param_hint="--device") from error
    if where.type == "cuda" and (where.index or 0) >= torch.cuda.device_count():
        raise typer.BadParameter(f"{device!r} is not there; {torch.cuda.device_count()} GPUs are", param_hint="--device")
    model = load_model(checkpoint)
    if model.info.in_channels > 1:
        raise CheckpointError(
            f"{checkpoint} takes {model.info.in_channels} images of a case, features are those of one; give another checkpoint"
        )
    return model.to(where)


def _rows(model: "Model", cts: Sequence[Path], masks: Sequence[Path], label: int, crop: int) -> tuple[list[Row], list[str]]:
    """The rows of all CTs that could be read, and a line for each that could not."""
    from panlesion.errors import PanlesionError, about

    rows: list[Row] = []
    failures: list[str] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        whole, part = bars.add_task("CTs", total=len(cts)), bars.add_task("this one", total=None)

        def report(done: int, of: int) -> None:
            bars.update(part, completed=done, total=of)

        for index, ct in enumerate(cts):
            bars.reset(part, total=None, description=ct.name)
            try:
                with about(str(ct)):
                    rows += _of_one(model, ct, masks[index] if masks else None, label, crop, report)
            except (PanlesionError, OSError) as error:
                failures.append(" ".join(str(error).split()))
            bars.advance(whole)
        bars.remove_task(part)
    return rows, failures


def _of_one(
    model: "Model", path: Path, mask: Path | None, label: int, crop: int, report: Callable[[int, int], None]
) -> list[Row]:
    from panlesion.ct.read import read_ct
    from panlesion.ct.standardise import standardise
    from panlesion.nets.vectors import lesion_vectors, volume_vector

    ct = read_ct(path)
    if mask is None:
        vector = volume_vector(model, standardise(ct, model.info.spacing_mm), progress=report)
        return [Row(ct=str(path), lesion=0, centre_xyz=_NOWHERE, volume_ml=float("nan"), vector=vector)]
    found = lesion_vectors(model, ct, _lesions(mask, label), crop_voxels=crop or None, progress=report)
    return [
        Row(ct=str(path), lesion=one.number, centre_xyz=one.centre_xyz, volume_ml=one.volume_ml, vector=one.vector)
        for one in found
    ]


def _lesions(path: Path, label: int) -> "LabelMap":
    import numpy as np

    from panlesion.ct.nifti import read_labels
    from panlesion.ct.volume import LabelMap
    from panlesion.errors import OrganMapError

    labels = read_labels(path)
    chosen = labels.labels == label if label else labels.labels > 0
    if not chosen.any():
        there = ", ".join(map(str, np.unique(labels.labels)))
        raise OrganMapError(f"{path} has no voxel {f'of label {label}' if label else 'above 0'}; it has labels {there}")
    return LabelMap(labels=chosen.astype(np.uint8), grid=labels.grid)


def _write_csv(path: Path, rows: Sequence[Row], checkpoint: str) -> None:
    from panlesion.ct.atomic import replacing

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    numbers = [f"f{n}" for n in range(len(rows[0].vector))]
    writer.writerow(["ct", "checkpoint", "lesion", "x_mm", "y_mm", "z_mm", "volume_ml", *numbers])
    for row in rows:
        # an empty cell, not nan: the whole CT has no centre
        place = [f"{x:.2f}" for x in row.centre_xyz] + [f"{row.volume_ml:.4f}"] if row.lesion else [""] * 4
        # nine digits give every float32 back exactly
        writer.writerow([row.ct, checkpoint, row.lesion or "", *place, *(f"{x:.9g}" for x in row.vector.tolist())])
    with replacing(path) as stream:
        stream.write(text.getvalue().encode())


def _write_npz(path: Path, rows: Sequence[Row], checkpoint: str) -> None:
    import numpy as np

    from panlesion.ct.atomic import replacing

    with replacing(path) as stream:
        np.savez(
            stream,
            vectors=np.stack([row.vector for row in rows]),
            ct=np.array([row.ct for row in rows]),
            lesion=np.array([row.lesion for row in rows], dtype=np.int32),
            centre_xyz=np.array([row.centre_xyz for row in rows], dtype=np.float64),
            volume_ml=np.array([row.volume_ml for row in rows], dtype=np.float64),
            checkpoint=np.array(checkpoint),
        )
