"""Answers about the cases of a table, by a checkpoint that answers a question about whole cases."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from panlesion.data.publish import write_text
from panlesion.data.sources.case_table import CaseTable, read_case_table
from panlesion.errors import CheckpointError, PanlesionError, StoreError
from panlesion.nets.case_answer import answer_case, answer_rows, use_of
from panlesion.nets.model import Model

PREDICTIONS_FILE = "predictions.csv"


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Rows of answers, and a line for each case that could not be answered."""

    rows: tuple[dict[str, str], ...]
    failures: tuple[str, ...]


def table_for(path: Path, model: Model) -> CaseTable:
    """The table of cases that the model is to answer for; target columns are not looked at.

    Raises:
        CheckpointError: The model answers no such question, or wants other images than the table names.
        StoreError: There is no table, or something is wrong with a row; all of it is listed.
    """
    use = use_of(model)
    table = read_case_table(
        path, None, mr=set(use.channels) == {"mr"}, need_label=use.framing.region != "image", numbering=use.numbering
    )
    if table.problems:
        raise StoreError("\n".join(table.problems))
    if table.channels != use.channels:
        wanted, given = (", ".join(kind.upper() for kind in some) for some in (use.channels, table.channels))
        raise CheckpointError(
            f"{table.path} gives the images {given} of a case, the checkpoint wants {wanted}; name them in the columns image "
            "(mr for an MR), image2 (mr2) …"
        )
    return table


def predict_table(model: Model, table: CaseTable, *, progress: Callable[[int, int, str], None] | None = None) -> Predicted:
    """Answer for every case, one in memory at a time; one that cannot be read does not stop the others."""
    use = use_of(model)
    rows, failures = [], []
    for number, case in enumerate(table.cases):
        if progress is not None:
            progress(number, len(table.cases), case.id)
        try:
            opened = table.read(case)
            (answer,) = answer_rows(use, answer_case(model, opened.images, opened.label))
        except PanlesionError as error:
            text = str(error)
            failures.append(text if text.startswith(f"{case.id}: ") else f"{case.id}: {text}")
            continue
        rows.append({"case": case.id, "patient": case.patient} | answer)
    return Predicted(rows=tuple(rows), failures=tuple(failures))


def write_predictions(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """A CSV file; columns in the order in which they first come."""
    header = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
