"""`panlesion predict`: CTs to lesion and organ masks, findings, a report, and for DICOM the SEG and SR objects."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydicom.uid import generate_uid
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from panlesion.cli._cache import engine_cache
from panlesion.cli._extras import need_dicom_extra, need_model_extra

if TYPE_CHECKING:
    from panlesion.ct.organ_files import OrganNumbering
    from panlesion.infer.case_folder import Case
    from panlesion.infer.predict import Settings
    from panlesion.infer.record import Findings, OperatingPoint
    from panlesion.nets.engines import ChosenEngine
    from panlesion.nets.model import Model

console = Console()

EXIT_NONE, EXIT_SOME = 1, 3


def predict(
    cts: Annotated[
        list[Path], typer.Argument(metavar="CT…", help="CTs: NIfTI files, DICOM folders, files or zips; or a table cases.csv.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the results, a subfolder for each CT.")],
    checkpoint: Annotated[str, typer.Option(help="A shipped model's name or a .safetensors file.")] = "nano",
    sensitivity: Annotated[
        float | None, typer.Option(help="Let findings count so that this share of lesions was found in calibration.")
    ] = None,
    false_positives: Annotated[
        float | None, typer.Option(help="Let so many false findings a scan count, as in calibration (default 1).")
    ] = None,
    probability: Annotated[float | None, typer.Option(help="Let findings count from this probability on.")] = None,
    organs: Annotated[
        Path | None, typer.Option(help="Organ map of the CT (one CT only); default: what the network recognises.")
    ] = None,
    organ_labels: Annotated[str, typer.Option(help="Numbering of --organs: v1 or v2.")] = "v2",
    prior: Annotated[
        Path | None, typer.Option(help="findings.json of an earlier study of the same patient (one CT only): RECIST response.")
    ] = None,
    series: Annotated[str | None, typer.Option(help="UID or number of the DICOM series, where there are several.")] = None,
    engine: Annotated[
        str, typer.Option(help="What runs the network: auto, torch, torch-bf16, openvino or openvino-bf16.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the network; default: all cores.")] = None,
    mr: Annotated[bool, typer.Option("--mr", help="The images are MR; for checkpoints that were fine-tuned on MR.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Predict again what is there.")] = False,
) -> None:
    """Find, measure and report lesions in CTs. Research use only; not a medical device.

    Every CT gets a folder in OUT with `lesions.nii.gz` and `organs.nii.gz` in the CT's own geometry, `findings.json`,
    `report.html`, and for DICOM input `seg.dcm` and `sr.dcm`. A folder is whole or not there: after a kill the same command
    does the rest. What is there already is not predicted again.

    With a checkpoint that answers a question about whole cases (`panlesion finetune --task detect|describe|stage|survive`) give
    a table of cases instead; OUT gets `predictions.csv`.

    Exit codes: 0 all done, 3 some failed (they are listed), 1 none.

    Example: `panlesion predict chest.nii.gz dicom_folder/ results --checkpoint nano --false-positives 2`

    Example: `panlesion predict cases.csv results --checkpoint run/model.safetensors`
    """
    need_model_extra("predict")
    tables = all(path.name.lower().endswith(".csv") for path in cts)
    if tables:
        from panlesion.cli._predict_cases import answer_tables

        answer_tables(cts, out, checkpoint)
        return
    if not all(path.name.lower().endswith((".nii", ".nii.gz")) for path in cts):
        need_dicom_extra("predict")
    from panlesion.ct.modality import Modality
    from panlesion.infer.case_folder import name_cases
    from panlesion.infer.predict import Settings, algorithm_of, check_modality
    from panlesion.nets.case_answer import check_segments
    from panlesion.nets.checkpoint import load_model

    _refuse_several(cts, organs, prior)
    numbering = _numbering(organ_labels)
    try:
        cases = name_cases(cts)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="CT") from error
    model, modality = load_model(checkpoint), Modality.MR if mr else Modality.CT
    check_segments(model, checkpoint)
    check_modality(model, modality)
    settings = Settings(
        point=_point(model, sensitivity, false_positives, probability),
        algorithm=algorithm_of(Path(checkpoint).name, model),
        organs=organs,
        numbering=numbering,
        series=series,
        prior=prior,
        modality=modality,
    )
    chosen = _engine(model, engine, threads)
    _tell_failures(_predict_all(cases, out, model, settings, chosen, overwrite=overwrite), len(cases))


def _numbering(organ_labels: str) -> "OrganNumbering":
    from panlesion.ct.organ_files import OrganNumbering

    if organ_labels not in set(OrganNumbering):
        raise typer.BadParameter(f"{organ_labels!r}; use v1 or v2", param_hint="--organ-labels")
    return OrganNumbering(organ_labels)


def _refuse_several(cts: Sequence[Path], organs: Path | None, prior: Path | None) -> None:
    for given, what, hint in ((organs, "an organ map", "--organs"), (prior, "a prior study", "--prior")):
        if given is not None and len(cts) > 1:
            raise typer.BadParameter(f"{what} belongs to one CT; predict them one by one", param_hint=hint)


def _tell_failures(failures: Sequence[str], cases: int) -> None:
    for failure in failures:
        console.print(Text(failure, style="red"), soft_wrap=True)
    if failures:
        console.print(Text(f"{len(failures)} of {cases} CTs failed", style="red"))
        raise typer.Exit(EXIT_NONE if len(failures) == cases else EXIT_SOME)


def _point(
    model: "Model", sensitivity: float | None, false_positives: float | None, probability: float | None
) -> "OperatingPoint":
    from panlesion.infer.operating import operating_point

    try:
        return operating_point(model, sensitivity=sensitivity, false_per_scan=false_positives, probability=probability)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--sensitivity, --false-positives, --probability") from error


def _engine(model: "Model", name: str, threads: int | None) -> "ChosenEngine":
    from panlesion.nets.engines import choose_engine
    from panlesion.nets.memory import return_freed_memory

    return_freed_memory()  # this process does nothing but predict
    try:
        return choose_engine(model, name, threads=threads, cache=engine_cache())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--engine") from error


def _predict_all(
    cases: "Sequence[Case]", out: Path, model: "Model", settings: "Settings", engine: "ChosenEngine", *, overwrite: bool
) -> list[str]:
    """Predict one after another; a line for each that failed."""
    import shutil

    from panlesion.errors import PanlesionError, about
    from panlesion.infer.case_folder import finished, write_case
    from panlesion.infer.predict import predict_ct

    failures: list[str] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("windows ·"),
        TimeElapsedColumn(),
    )
    for number, case in enumerate(cases, 1):
        try:
            with about(case.id), Progress(*columns, console=console, transient=True) as bar:
                before = None if overwrite else finished(out, case, settings)
                if before is None:
                    task = bar.add_task(f"{case.id} ({number} of {len(cases)})", total=None)
                    windows = partial(_windows, bar, task)
                    done = predict_ct(case.path, case.id, model, settings, uid=generate_uid, engine=engine, progress=windows)
                    bar.update(task, description=f"{case.id}: writing")
                    if overwrite:
                        shutil.rmtree(out / case.id, ignore_errors=True)
                    write_case(out, done)
        except PanlesionError as error:
            failures.append(str(error))
            continue
        if before is None:
            _tell(case, out, done.findings)
        else:
            console.print(f"{case.id}: there already, {len(before.lesions)} findings", soft_wrap=True, highlight=False)
    return failures


def _windows(bar: Progress, task: TaskID, done: int, of: int) -> None:
    bar.update(task, completed=done, total=of)


def _tell(case: "Case", out: Path, findings: "Findings") -> None:
    """What was found, in two or three lines."""
    console.print(
        f"[bold]{case.id}[/bold]: {len(findings.lesions)} findings from probability "
        f"{findings.operating_point.least_probability:.2f} on, {findings.seconds:.0f} s: {out / case.id / 'report.html'}",
        soft_wrap=True,
        highlight=False,
    )
    for line in findings.impression[:3]:
        console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)
    for doubt in findings.doubts:
        console.print(Text(f"  doubt: {doubt.words}", style="yellow"), soft_wrap=True)
    if findings.kind == "nifti":
        console.print("  NIfTI in, so no DICOM SEG and SR", highlight=False)
