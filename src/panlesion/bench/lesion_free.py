"""Scans without a lesion: what a pretrained network marks in them, one scan in memory at a time."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from panlesion.bench.case_readers import NOT_ANNOTATED
from panlesion.bench.protocol import Asked, Table, Watch
from panlesion.bench.rows import append_line, claim_folder, fingerprint, read_lines
from panlesion.bench.scores import scored
from panlesion.ct.modality import Modality
from panlesion.ct.standardise import standardise
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError, about
from panlesion.infer.findings import OVERLAP, find_lesions
from panlesion.infer.operating import operating_point
from panlesion.measure.resampling import Interval, bootstrap_mean
from panlesion.measure.share import wilson
from panlesion.nets.checkpoint import load_model
from panlesion.nets.model import Model

RESULTS = "results.jsonl"
FALSE_PER_SCAN, CLEAN = "false positives per scan", "scans with none"
OTHER_MODALITY, HAS_LESION = "no CT", "a lesion is annotated in it"


@dataclass(frozen=True, kw_only=True)
class Marked:
    """One part that a network takes for a lesion where there is none."""

    type: str
    ml: float
    certainty: float


@dataclass(frozen=True, kw_only=True)
class FreeScan:
    """What was marked in one scan; one that is `left_out` was not predicted."""

    id: str
    patient: str
    marked: tuple[Marked, ...] = ()
    left_out: str = ""
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "FreeScan":
        """Back from JSON."""
        return cls(**(dict(row) | {"marked": tuple(Marked(**one) for one in row["marked"])}))


def run_lesion_free(row: str, folder: str, source: Source, asked: Asked, watch: Watch) -> list[Table]:
    """Predict every scan of a source, or those still missing from the results; `cases` limits how many.

    Raises:
        StoreError, ReadError: The data are missing, or a scan is damaged; the message has the scan.
        PanlesionError: The checkpoint cannot be read.
    """
    model = load_model(asked.checkpoint).eval()
    scans = predict_scans(source, asked.root / folder, model, asked.out, most=asked.choices.cases, watch=watch)
    return [free_table(row, source.title, scans, least_of(model))]


def least_of(model: Model) -> float:
    """The least certainty at which a finding counts by the checkpoint's own table of operating points."""
    return operating_point(model).least_probability


def predict_scans(
    source: Source, root: Path, model: Model, out: Path, *, most: int | None = None, watch: Watch
) -> list[FreeScan]:
    """Every scan's row, in the order of the source; those in `out` are not predicted again."""
    claim_folder(out, {"source": source.id, "model": fingerprint(model), "overlap": OVERLAP})
    rows = {line["id"]: FreeScan.of(line) for line in read_lines(out / RESULTS)}
    wanted = list(source.find(root))[:most]
    if not wanted:
        raise StoreError(f"{root} holds no scan of {source.id}; lay it out as {source.layout}")
    for number, found in enumerate(wanted):
        watch(found.id, number, len(wanted))
        if found.id not in rows:
            rows[found.id] = _predicted(source, found, model)
            append_line(out / RESULTS, asdict(rows[found.id]))
    watch("done", len(wanted), len(wanted))
    return [rows[found.id] for found in wanted]


def _predicted(source: Source, found: FoundCase, model: Model) -> FreeScan:
    if found.modality is not Modality.CT:
        return FreeScan(id=found.id, patient=found.patient, left_out=OTHER_MODALITY)
    if source.lesions and found.label is None:  # nobody says that it is free of them
        return FreeScan(id=found.id, patient=found.patient, left_out=NOT_ANNOTATED)
    with about(found.id):
        case = source.read(found)
        values = tuple(source.classes.index(name) + 1 for name in source.lesions)
        if np.isin(case.label.labels, values).any():
            return FreeScan(id=found.id, patient=found.patient, left_out=HAS_LESION)
        started = time.perf_counter()
        _, _, findings = find_lesions(model, standardise(case.ct, model.info.spacing_mm))
    return FreeScan(
        id=found.id, patient=found.patient, seconds=time.perf_counter() - started,
        marked=tuple(Marked(type=one.type, ml=one.volume_ml, certainty=one.certainty) for one in findings),
    )  # fmt: skip


def free_table(row: str, title: str, scans: Sequence[FreeScan], least: float) -> Table:
    """False positives per scan and the share of scans with none, for every part and from a certainty on.

    Raises:
        StoreError: No scan of them could be used.
    """
    used = [scan for scan in scans if not scan.left_out]
    reasons = {scan.left_out: sum(one.left_out == scan.left_out for one in scans) for scan in scans if scan.left_out}
    left_out = "; ".join(f"{count} left out: {why}" for why, count in reasons.items())
    if not used:
        raise StoreError(f"{row}: no scan can be used ({left_out})")
    lines, scores = [], []
    for arm, point in (("every marked part", 0.0), (f"certainty from {least:g}", least)):
        counts = [sum(one.certainty >= point for one in scan.marked) for scan in used]
        false = bootstrap_mean([float(count) for count in counts], [scan.patient for scan in used])
        clean = _share_clean(used, counts)
        ml = float(np.mean([sum(one.ml for one in scan.marked if one.certainty >= point) for scan in used]))
        lines.append((arm, str(false), str(clean), f"{ml:.1f}"))
        for metric, interval in ((FALSE_PER_SCAN, false), (CLEAN, clean)):
            scores.append(scored(row, arm, metric, interval))
    return Table(
        title=f"{title}: what is marked where no lesion is",
        header=("findings counted", f"{FALSE_PER_SCAN} (95 %)", f"{CLEAN} (95 %)", "their ml a scan"),
        rows=tuple(lines),
        notes=(
            f"{len(used)} scans of {len({scan.patient for scan in used})} patients." + (f" {left_out}." if left_out else ""),
        ),
        scores=tuple(scores),
    )


def _share_clean(scans: Sequence[FreeScan], counts: Sequence[int]) -> Interval:
    patients = [scan.patient for scan in scans]
    if len(set(patients)) == len(patients):
        return wilson(sum(not count for count in counts), len(counts))
    return bootstrap_mean([float(not count) for count in counts], patients)
