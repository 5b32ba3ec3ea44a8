"""Whole scans of held-out phantoms: what a pretrained network finds in them, misses, and sees where nothing is."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from panlesion.bench.held_out_scans import HeldOutScan, ScanJob, Split, make_scan, threshold_baseline
from panlesion.bench.rows import append_line, claim_folder, fingerprint, read_lines
from panlesion.ct.organs import V1_NAMES
from panlesion.ct.volume import Index3, LabelMap
from panlesion.errors import PanlesionError
from panlesion.infer.findings import OVERLAP, Finding, Prediction, find_lesions
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.detection import Reading, compare, compare_labelled, components, match
from panlesion.nets.model import Model
from panlesion.picture.contact import Spot, contact_sheet, spot_tile
from panlesion.picture.window import WINDOWS, window_for
from panlesion.synth.pool import run_jobs

RESULTS, TILES = "results.jsonl", "tiles"
NO_ORGAN = "no labelled organ"


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Which scans. Scan n of a type is the same however many there are, so a larger plan goes on with a smaller one's rows."""

    types: tuple[LesionType, ...] = tuple(LesionType)
    per_type: int = 4
    lesion_free: int = 20
    validation_per_type: int = 2
    validation_lesion_free: int = 6
    seed: int = 0
    overlap: float = OVERLAP

    def jobs(self, spacing_mm: float) -> list[ScanJob]:
        """Validation first, so that thresholds stand before the test is looked at; types take turns."""
        jobs = []
        counts = {
            Split.VALIDATION: (self.validation_per_type, self.validation_lesion_free),
            Split.TEST: (self.per_type, self.lesion_free),
        }
        for split, (with_lesion, without) in counts.items():
            kinds: list[LesionType | None] = [type_ for n in range(with_lesion) for type_ in self.types]
            numbers = [n for n in range(with_lesion) for _ in self.types] + list(range(without))
            for type_, index in zip(kinds + [None] * without, numbers, strict=True):
                jobs.append(ScanJob(split=split, type=type_, index=index, seed=self.seed, spacing_mm=spacing_mm))
        return jobs


@dataclass(frozen=True, kw_only=True)
class ScanRow:
    """What was found in one scan. Readings hold voxels; `voxel_ml` makes millilitres of them.

    `any` takes every predicted lesion, whatever its type; `named` only voxels of the scan's type (none in a lesion-free
    scan); `baseline` is the threshold's. `findings` and `organs` (the true ones, by their voxels) belong to the parts of
    `any`, in that order.
    """

    id: str
    split: Split
    type: LesionType | None
    body_seed: int
    attempts: int
    phase: str
    voxel_ml: float
    any: Reading
    named: Reading
    baseline: Reading
    findings: tuple[Finding, ...] = ()
    organs: tuple[str, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "ScanRow":
        """Back from JSON."""
        readings = {name: Reading.of(row[name]) for name in ("any", "named", "baseline")}
        findings = tuple(Finding(**(one | {"centre_xyz": tuple(one["centre_xyz"])})) for one in row["findings"])
        parsed = {
            "split": Split(row["split"]),
            "type": LesionType(row["type"]) if row["type"] else None,
            "findings": findings,
            "organs": tuple(row["organs"]),
        }
        return cls(**(dict(row) | readings | parsed))


Watch = Callable[[str, int, int], None]


def run_held_out(
    model: Model, plan: HeldOut, out: Path, *, workers: int = 1, watch: Watch | None = None, pictures: bool = True
) -> list[ScanRow]:
    """Make and predict all scans, or those still missing from `out`, and return every row of the plan, in its order.

    With two and more `workers`, that many processes draw scans ahead of the prediction. Rows and pictures do not depend on
    it. `watch` is told what is done, how many scans are finished, and of how many.

    Raises:
        StoreError: `out` holds rows of another model or other settings.
        PlacementError: A type finds no room in any body.
        PanlesionError: A scan could not be made.
    """
    spacing = model.info.spacing_mm
    claim_folder(out, {"model": fingerprint(model), "spacing_mm": spacing, "seed": plan.seed, "overlap": plan.overlap})
    rows = {row.id: row for row in read_rows(out)}
    wanted = plan.jobs(spacing)
    missing = [job for job in wanted if job.id not in rows]
    model.eval()
    for number, scan in enumerate(_made(missing, workers)):
        if watch is not None:
            watch(scan.job.id, number, len(missing))
        row, picture = _judged(model, scan, plan)
        if pictures:
            (out / TILES).mkdir(parents=True, exist_ok=True)
            picture().save(out / TILES / f"{row.id}.png")
        append_line(out / RESULTS, asdict(row))
        rows[row.id] = row
    if watch is not None:
        watch("done", len(missing), len(missing))
    return [rows[job.id] for job in wanted]


def read_rows(out: Path) -> list[ScanRow]:
    """The rows of finished scans, in the order they came."""
    return [ScanRow.of(row) for row in read_lines(out / RESULTS)]


def _made(jobs: Sequence[ScanJob], workers: int) -> Iterator[HeldOutScan]:
    for outcome in run_jobs(jobs, _scan_maker, workers):
        if outcome.failed:
            raise PanlesionError(f"{outcome.job.id} could not be made: {outcome.error}: {outcome.cause}")
        yield outcome.result


def _scan_maker() -> Callable[[ScanJob], HeldOutScan]:
    return make_scan


def _judged(model: Model, scan: HeldOutScan, plan: HeldOut) -> tuple[ScanRow, Callable[[], Image.Image]]:
    started = time.perf_counter()
    prediction, labels, findings = find_lesions(model, scan.ct, overlap=plan.overlap)
    seconds = time.perf_counter() - started
    scores = np.array([finding.certainty for finding in findings])
    whole = compare_labelled(labels, len(findings), *components(scan.lesion), scores)
    row = ScanRow(
        id=scan.job.id,
        split=scan.job.split,
        type=scan.job.type,
        body_seed=scan.body_seed,
        attempts=scan.attempts,
        phase=scan.phase,
        voxel_ml=scan.ct.grid.voxel_ml,
        any=whole,
        named=_named(prediction, scan, np.concatenate([[0.0], scores])[labels]),
        baseline=compare(threshold_baseline(scan), scan.lesion),
        findings=tuple(findings),
        organs=tuple(organs_of(labels, len(findings), scan.organs)),
        seconds=seconds,
    )
    return row, lambda: _tile(scan, labels, row)


def _named(prediction: Prediction, scan: HeldOutScan, certainty: NDArray) -> Reading:
    """The reading of the scan's own type alone; its parts are as certain as the findings they belong to."""
    if scan.job.type is None:
        return Reading()
    mine = prediction.types == prediction.lesion_names.index(scan.job.type)
    return compare(mine, scan.lesion, certainty)


def organs_of(labels: NDArray[np.int32], count: int, organs: LabelMap) -> list[str]:
    """The organ (v1 name) that most voxels of each part lie in."""
    inside = labels > 0
    table = np.bincount(labels[inside].astype(np.int64) * 256 + organs.labels[inside], minlength=(count + 1) * 256)
    most = table.reshape(count + 1, 256)[1:].argmax(axis=1)
    return [V1_NAMES.get(int(label), NO_ORGAN) for label in most]


def _tile(scan: HeldOutScan, labels: NDArray[np.int32], row: ScanRow) -> Image.Image:
    """The slice that shows most of the lesion; without one, of the largest false positive."""
    found = match(row.any)
    at, size_mm = (0, 0, 0), 0.0
    focus = scan.lesion
    if scan.job.type is None and row.findings:
        focus = labels == 1 + int(np.argmax([finding.voxels for finding in row.findings]))
    if focus.any():
        at = _middle(focus)
        size_mm = float(max(np.ptp(axis) for axis in np.nonzero(focus))) * scan.ct.grid.spacing_mm[0]
    window = window_for(scan.job.type) if scan.job.type else WINDOWS["soft"]
    words = [row.id.removeprefix(f"{row.split}_"), row.phase]
    if row.type is not None:
        part = found.hits[0]
        words.append("missed" if part is None else f"found as {row.findings[part].type} ({row.findings[part].certainty:.2f})")
        words.append(f"Dice {row.any.dice:.2f}")
    words.append(f"{len(found.false)} false positives")
    return spot_tile(
        Spot(
            image=scan.ct, truth=scan.lesion, predicted=labels > 0, at_ijk=at, window=window, caption=", ".join(words),
            close_mm=max(80.0, 1.5 * size_mm),
        )
    )  # fmt: skip


def _middle(mask: NDArray[np.bool_]) -> Index3:
    """The middle of a mask in the axial slice that shows most of it."""
    k = int(mask.sum(axis=(0, 1)).argmax())
    i, j = (int(np.median(axis)) for axis in np.nonzero(mask[:, :, k]))
    return (i, j, k)


def write_sheets(out: Path, rows: Sequence[ScanRow], *, columns: int = 4) -> list[Path]:
    """Contact sheets of the test scans with a lesion, by type, and of the lesion-free ones; those that have a picture."""
    written = []
    test = [row for row in rows if row.split is Split.TEST and (out / TILES / f"{row.id}.png").is_file()]
    order = list(LesionType)
    lesions = sorted((row for row in test if row.type is not None), key=lambda row: order.index(row.type or order[0]))
    free = [row for row in test if row.type is None]
    for name, title, some in (
        ("lesions.png", "Held-out phantoms with a lesion", lesions),
        ("lesion_free.png", "Lesion-free phantoms: the largest false positive", free),
    ):
        if some:
            tiles = [_opened(out / TILES / f"{row.id}.png") for row in some]
            contact_sheet(tiles, title=title, columns=columns).save(out / name)
            written.append(out / name)
    return written


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()
