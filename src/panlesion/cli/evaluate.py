"""`panlesion evaluate`: folders of predicted masks against folders of true ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from panlesion.cli._telling import as_bad, bar, console, refuse_data

if TYPE_CHECKING:
    from panlesion.bench.evaluate import Evaluation


def evaluate(
    predicted: Annotated[
        Path, typer.Option(help="Folder of predicted masks: CASE.nii.gz, or CASE/lesions.nii.gz as predict writes them.")
    ],
    truth: Annotated[Path, typer.Option(help="Folder of true masks of the same names, on the same grids.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, a new one.")],
    classes: Annotated[
        str,
        typer.Option(help="Names of label values: liver,tumour or liver=1,tumour=2.", show_default="values the truth holds"),
    ] = "",
    merge: Annotated[bool, typer.Option("--merge", help="Score everything above 0 as one class.")] = False,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Tolerance of the NSD in mm.")] = 2.0,
    iou: Annotated[
        float, typer.Option("--iou", help="A part that overlaps a lesion by this intersection over union finds it.")
    ] = 0.1,
    patients: Annotated[
        Path | None, typer.Option(help="CSV file with the columns case and patient.", show_default="each case a patient")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results that OUT holds.")] = False,
) -> None:
    """Score predicted masks: Dice, NSD, HD95, volume error, and lesions found, missed and false.

    Every class is scored in every case; means have 95 % intervals that resample patients. Spacing comes from the files. All
    masks are checked first, and all problems listed at once. Leaves `scores.csv` (a row for each case and class),
    `summary.json` and `summary.md`, or nothing.

    Example: `panlesion evaluate --predicted results --truth labels --merge --out scores`

    Example: `panlesion evaluate --predicted masks --truth labels --classes kidney=1,tumour=2,cyst=3 --tolerance 1 --out scores`
    """
    from panlesion.bench.evaluate import evaluate as score
    from panlesion.bench.evaluation_report import PAGE_FILE, refuse_out, write_evaluation
    from panlesion.bench.mask_pairs import check_pairs, find_pairs
    from panlesion.data.sources.labelled_folder import parse_classes
    from panlesion.measure.detection import HitRule

    if merge and classes:
        raise typer.BadParameter("one class has no names; say --merge or --classes", param_hint="--merge")
    with as_bad("--classes"):
        names = parse_classes(classes) if classes else {}
    with as_bad("--iou"):
        rule = HitRule(at_least=iou)
    refuse_out(out, overwrite=overwrite)
    pairs, problems = find_pairs(predicted, truth, patients)
    with bar("checking") as step:
        checked = check_pairs(pairs, names, merge=merge, progress=step)
    if problems := [*problems, *checked.problems]:
        refuse_data(problems, "nothing was scored")
    with as_bad("--tolerance"), bar("scoring") as step:
        found = score(checked, predicted=predicted, truth=truth, tolerance_mm=tolerance, rule=rule, progress=step)
    write_evaluation(out, found, overwrite=overwrite)
    _show(found)
    console.print(f"Written: [bold]{escape(str(out / PAGE_FILE))}[/bold]", soft_wrap=True, highlight=False)


def _show(found: "Evaluation") -> None:
    table = Table("", *(escape(one.name) for one in found.classes), box=None, header_style="bold", padding=(0, 3, 0, 0))
    table.add_row("cases with it", *(f"{one.cases_with} of {one.cases}" for one in found.classes))
    for metrics in zip(*(one.metrics for one in found.classes), strict=True):
        table.add_row(metrics[0].title, *(metric.text for metric in metrics))
    console.print(table)
