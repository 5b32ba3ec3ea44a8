"""Real CTs that no training has touched and to which nothing was adapted: what a pretrained network says of them.

One chest CT with one nodule, and two of the trunk in which no tumour is known. Single scans show how a network fails on real
images; they are no estimate of how often, and no interval is given.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.held_out import organs_of
from panlesion.bench.held_out_report import ARGMAX, OperatingPoint
from panlesion.bench.rows import append_line, claim_folder, fingerprint, read_lines
from panlesion.ct.nifti import read_labels
from panlesion.ct.organ_files import OrganNumbering, check_same_grid, read_organs
from panlesion.ct.read import read_ct
from panlesion.ct.standardise import restore, standardise, standardise_labels
from panlesion.ct.volume import LabelMap, Volume
from panlesion.errors import StoreError, about
from panlesion.infer.findings import OVERLAP, Finding, Prediction, find_lesions
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.detection import HitRule, Reading, compare_labelled, components, match
from panlesion.measure.overlap import dice
from panlesion.nets.model import Model
from panlesion.picture.contact import Spot, contact_sheet, spot_tile
from panlesion.picture.window import WINDOWS, Window, window_for

RESULTS, SHEET = "results.jsonl", "findings.png"
MOST_TILES = 24
"""Findings of a scan on the sheet, largest first."""


@dataclass(frozen=True, kw_only=True)
class RealScan:
    """A CT below the folder of datasets; `truth` are its lesions, `organs` its organ map, where there are any."""

    id: str
    title: str
    ct: str
    source: str
    truth: str | None = None
    organs: str | None = None
    numbering: OrganNumbering = OrganNumbering.V2
    window: str = "soft"

    @property
    def files(self) -> tuple[str, ...]:
        """What must be there."""
        return tuple(file for file in (self.ct, self.truth, self.organs) if file)


SCANS: Mapping[str, RealScan] = MappingProxyType(
    {
        scan.id: scan
        for scan in (
            RealScan(
                id="lidc_0314",
                title="chest, one lung nodule of 2.7 ml",
                ct="lidc_0314/ct.nii.gz",
                truth="lidc_0314/nodule.nii.gz",
                source="LIDC-IDRI, patient 0314 (TCIA, CC BY 3.0): the CT and the consensus of two of four readers, at 1 mm",
                window="lung",
            ),
            RealScan(
                id="totalseg",
                title="plain CT of abdomen and pelvis, no tumour seen",
                ct="totalseg/ct.nii.gz",
                organs="totalseg/organs_v2.nii.gz",
                source="the example CT of TotalSegmentator (GitHub, Apache-2.0) at 3 mm, and its organ map in v2 numbering",
            ),
            RealScan(
                id="acrin_001",
                title="plain CT of abdomen and pelvis, no abdominal mass seen, table in view",
                ct="acrin_001/ct.nii.gz",
                source="an ACRIN breast-cancer PET/CT study (TCIA), the plain CT as NIfTI",
            ),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class RealRow:
    """What was found in one real CT.

    `places` are the organs of the findings: by the organ map where there is one, else as predicted. `own_dice` is the Dice of
    the part that hits the lesion with the lesion, on the CT's own grid, 0 where it is missed; `inside` the mean probability
    of a lesion in it. Both are None without truth.
    """

    id: str
    title: str
    voxel_ml: float
    reading: Reading
    findings: tuple[Finding, ...]
    places: tuple[str, ...]
    own_dice: float | None = None
    inside: float | None = None
    seconds: float = field(default=0.0, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "RealRow":
        """Back from JSON."""
        findings = tuple(Finding(**(one | {"centre_xyz": tuple(one["centre_xyz"])})) for one in row["findings"])
        return cls(
            **(dict(row) | {"reading": Reading.of(row["reading"]), "findings": findings, "places": tuple(row["places"])})
        )

    def counted(self, point: OperatingPoint = ARGMAX) -> list[int]:
        """Numbers of the findings that count at an operating point, most probable first."""
        least = point.least_ml - 1e-6 * self.voxel_ml
        kept = [n for n, one in enumerate(self.findings) if one.volume_ml >= least and one.certainty >= point.least_score]
        return sorted(kept, key=lambda n: -self.findings[n].certainty)


Watch = Callable[[str, int, int], None]


def run_untouched(
    root: Path,
    model: Model,
    out: Path,
    *,
    scans: Sequence[str] = tuple(SCANS),
    overlap: float = OVERLAP,
    watch: Watch | None = None,
    pictures: bool = True,
) -> list[RealRow]:
    """Predict the real CTs below `root`, or those still missing from `out`; every row, and a sheet of findings for each scan.

    Raises:
        StoreError: A scan's files are missing, or `out` holds rows of another model or other settings.
        ReadError: A file is damaged.
        ValueError: There is no such scan.
    """
    if unknown := sorted(set(scans) - set(SCANS)):
        raise ValueError(f"scans has {', '.join(unknown)}; there are {', '.join(SCANS)}")
    check_files(root, scans)
    claim_folder(out, {"model": fingerprint(model), "spacing_mm": model.info.spacing_mm, "overlap": overlap})
    rows = {row.id: row for row in read_rows(out)}
    missing = [name for name in scans if name not in rows]
    model.eval()
    for number, name in enumerate(missing):
        if watch is not None:
            watch(name, number, len(missing))
        with about(name):
            row = _examined(root, SCANS[name], model, overlap, out if pictures else None)
        append_line(out / RESULTS, asdict(row))
        rows[name] = row
    if watch is not None:
        watch("done", len(missing), len(missing))
    return [rows[name] for name in scans]


def check_files(root: Path, scans: Sequence[str] = tuple(SCANS)) -> None:
    """Refuse a folder that lacks files, naming all of them and where the data come from.

    Raises:
        StoreError: Files are missing.
    """
    problems = []
    for name in scans:
        scan = SCANS[name]
        if missing := [file for file in scan.files if not (root / file).is_file()]:
            problems.append(f"{', '.join(missing)} ({scan.source})")
    if problems:
        raise StoreError(f"{root} lacks {'; '.join(problems)}. Get these and put them there, or name other scans")


def scans_in(folder: Path) -> tuple[str, ...]:
    """The scan whose folder this is.

    Raises:
        StoreError: Files of it are missing.
    """
    mine = tuple(name for name in SCANS if name == folder.name)
    check_files(folder.parent, mine)
    return mine


def read_rows(out: Path) -> list[RealRow]:
    """The rows of finished scans."""
    return [RealRow.of(row) for row in read_lines(out / RESULTS)]


def _examined(root: Path, scan: RealScan, model: Model, overlap: float, out: Path | None) -> RealRow:
    own = read_ct(root / scan.ct)
    ct = standardise(own, model.info.spacing_mm)
    own_truth = read_labels(root / scan.truth) if scan.truth else None
    if own_truth is not None:
        check_same_grid(own_truth.grid, own.grid, str(scan.truth))
    truth = np.zeros(ct.hu.shape, dtype=bool)
    if own_truth is not None:
        truth = standardise_labels(_binary(own_truth), model.info.spacing_mm).labels > 0
    started = time.perf_counter()
    prediction, labels, findings = find_lesions(model, ct, overlap=overlap)
    seconds = time.perf_counter() - started
    reading = compare_labelled(labels, len(findings), *components(truth), np.array([one.certainty for one in findings]))
    row = RealRow(
        id=scan.id,
        title=scan.title,
        voxel_ml=ct.grid.voxel_ml,
        reading=reading,
        findings=tuple(findings),
        places=tuple(_places(root, scan, own, model, labels, findings)),
        own_dice=None if own_truth is None else _own_dice(labels, reading, prediction, own_truth),
        inside=float(prediction.probability[truth].mean()) if truth.any() else None,
        seconds=seconds,
    )
    if out is not None:
        _write_sheet(out / f"{scan.id}_{SHEET}", scan, ct, truth, labels, row)
    return row


def _binary(labels: LabelMap) -> LabelMap:
    return LabelMap(labels=(labels.labels > 0).view(np.uint8), grid=labels.grid)


def _places(
    root: Path, scan: RealScan, own: Volume, model: Model, labels: NDArray[np.int32], findings: Sequence[Finding]
) -> list[str]:
    if scan.organs is None:
        return [f"{finding.anatomy} (predicted)" for finding in findings]
    organs = standardise_labels(read_organs(root / scan.organs, numbering=scan.numbering, like=own.grid), model.info.spacing_mm)
    return organs_of(labels, len(findings), organs)


def _own_dice(labels: NDArray[np.int32], reading: Reading, prediction: Prediction, own_truth: LabelMap) -> float:
    hits = [part for part in match(reading).hits if part is not None]
    found = LabelMap(labels=np.isin(labels, [hit + 1 for hit in hits]).view(np.uint8), grid=prediction.grid)
    return dice(restore(found, own_truth.grid).labels > 0, own_truth.labels > 0)


def _write_sheet(
    path: Path, scan: RealScan, ct: Volume, truth: NDArray[np.bool_], labels: NDArray[np.int32], row: RealRow
) -> None:
    """The lesions, found or not, then the largest findings."""
    lesion = f"the lesion: mean probability {row.inside or 0:.3f}, Dice {row.own_dice or 0:.2f}"
    spots = [(truth, lesion, WINDOWS[scan.window])] if truth.any() else []
    by_size = sorted(range(len(row.findings)), key=lambda n: -row.findings[n].voxels)[:MOST_TILES]
    for n in by_size:
        one = row.findings[n]
        spots.append(
            (labels == n + 1, f"{one.type}, {one.volume_ml:.1f} ml, {one.certainty:.2f}: {row.places[n]}", _window(one))
        )
    tiles = []
    for mask, caption, window in spots:
        k = int(mask.sum(axis=(0, 1)).argmax())
        i, j = (int(np.median(axis)) for axis in np.nonzero(mask[:, :, k]))
        extent_mm = max(float(np.ptp(axis)) for axis in np.nonzero(mask)) * ct.grid.spacing_mm[0]
        tiles.append(
            spot_tile(
                Spot(
                    image=ct, truth=truth, predicted=labels > 0, at_ijk=(i, j, k), window=window, caption=caption,
                    close_mm=max(80.0, 1.5 * extent_mm),
                )
            )
        )  # fmt: skip
    if tiles:
        title = f"{scan.id}: {scan.title}; {len(row.findings)} findings, the largest {len(by_size)}"
        contact_sheet(tiles, title=title).save(path)


def _window(finding: Finding) -> Window:
    """As the finding's type is looked for; soft tissue for a mass of none of them."""
    known = [type_ for type_ in LesionType if type_ == finding.type]
    return window_for(known[0] if known else None)


def table(
    rows: Sequence[RealRow], point: OperatingPoint = ARGMAX, rule: HitRule | None = None
) -> tuple[list[str], list[list[str]]]:
    """Head and cells of one line a scan: found or not, at which rank by certainty, and what else is predicted."""
    head = ["scan", "lesion", "Dice", "rank by certainty", "false positives", "their ml", "types of the false positives"]
    cells = []
    for row in rows:
        kept = row.counted(point)
        found = match(point.of(row.reading, row.voxel_ml), rule)
        false = [n for n in kept if not _enough(row, n, rule)]
        hit = _hit(row, point, rule)
        lesion = (
            "none known" if not row.reading.lesions else f"found {sum(h is not None for h in found.hits)} of {len(found.hits)}"
        )
        types: dict[str, int] = {}
        for n in false:
            types[row.findings[n].type] = types.get(row.findings[n].type, 0) + 1
        cells.append(
            [
                row.id,
                lesion,
                "" if row.own_dice is None else f"{row.own_dice if hit is not None else 0.0:.2f}",
                "" if hit is None else f"{kept.index(hit) + 1} of {len(kept)}",
                str(len(false)),
                f"{sum(row.findings[n].volume_ml for n in false):.1f}",
                ", ".join(f"{name} {count}" for name, count in sorted(types.items(), key=lambda pair: -pair[1])),
            ]
        )
    return head, cells


def findings_table(row: RealRow, point: OperatingPoint = ARGMAX, most: int = 20) -> tuple[list[str], list[list[str]]]:
    """Head and cells of one line a finding, most probable first."""
    head = ["finding", "type", "ml", "certainty", "mean probability", "peak", "place", "centre (RAS+ mm)"]
    cells = []
    for rank, n in enumerate(row.counted(point)[:most], 1):
        one = row.findings[n]
        centre = ", ".join(f"{x:.0f}" for x in one.centre_xyz)
        numbers = [f"{one.volume_ml:.2f}", f"{one.certainty:.2f}", f"{one.score:.2f}", f"{one.peak:.2f}"]
        cells.append([str(rank), one.type, *numbers, row.places[n], centre])
    return head, cells


def _enough(row: RealRow, n: int, rule: HitRule | None) -> bool:
    """Whether a finding overlaps some lesion enough to be no false positive."""
    return n not in match(row.reading, rule).false


def _hit(row: RealRow, point: OperatingPoint, rule: HitRule | None) -> int | None:
    """The finding, by its number in the row, that hits a lesion at an operating point."""
    numbers = sorted(row.counted(point))
    hits = [part for part in match(point.of(row.reading, row.voxel_ml), rule).hits if part is not None]
    return numbers[hits[0]] if hits else None
