"""The folder of one predicted case: whole or not there, and known again by what it was made with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panlesion.ct.nifti import write_labels
from panlesion.data.publish import publishing
from panlesion.errors import ReadError, StoreError
from panlesion.infer.predict import Predicted, Settings
from panlesion.infer.record import FINDINGS_FILE, LESIONS_FILE, ORGANS_FILE, Findings, read_findings, write_findings
from panlesion.infer.report_page import write_report

REPORT_FILE = "report.html"
SEG_FILE, SR_FILE = "seg.dcm", "sr.dcm"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A CT to predict and what it is called."""

    id: str
    path: Path


def name_cases(paths: Sequence[Path]) -> list[Case]:
    """Every CT with the name of its file or folder; `ct.nii.gz`, `ct` and the like take that of the folder they lie in.

    Raises:
        ValueError: Two would have the same name; the message says which.
    """
    cases = [Case(id=_name(path), path=path) for path in paths]
    seen: dict[str, Path] = {}
    for case in cases:
        if case.id in seen:
            raise ValueError(f"{seen[case.id]} and {case.path} would both be called {case.id!r}; predict them into two folders")
        seen[case.id] = case.path
    return cases


_GENERIC = frozenset({"ct", "img", "image", "dicom", "dicomdir"})


def _name(path: Path) -> str:
    full = path.resolve()
    name = full.name
    for suffix in (".nii.gz", ".nii", ".zip", ".dcm"):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    if name.lower() in _GENERIC and full.parent.name:
        name = full.parent.name
    # what a folder may be called on every system, and never a path
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name).strip(".")
    return safe or "case"


def finished(out: Path, case: Case, settings: Settings) -> Findings | None:
    """What an earlier run left of the case, if it was made with the same weights and operating point; None if it is not there.

    Raises:
        StoreError: The folder holds something else, or a result of other settings.
    """
    folder = out / case.id
    if not folder.exists():
        return None
    try:
        findings = read_findings(folder / FINDINGS_FILE)
    except ReadError as error:
        raise StoreError(f"{folder} is there and holds no finished case ({error}); remove it or choose another OUT") from error
    mine = (settings.algorithm, settings.point)
    if (findings.algorithm, findings.operating_point) != mine:
        raise StoreError(
            f"{folder} was predicted with other weights, version or operating point; choose another OUT, or --overwrite"
        )
    return findings


def write_case(out: Path, predicted: Predicted) -> Path:
    """Write a case's folder, whole or not at all, and return it.

    DICOM SEG and SR are written for DICOM input alone; a SEG cannot be without a segment, so there is none without findings.

    Raises:
        DiskFullError: No room; nothing is left behind.
    """
    folder = out / predicted.findings.case
    with publishing(folder) as partial:
        write_case_files(partial, predicted)
    return folder


def write_case_files(folder: Path, predicted: Predicted) -> None:
    """Write the files of a case into a folder that is there, as `write_case` does into one of its own.

    Raises:
        DiskFullError: No room.
    """
    write_labels(folder / LESIONS_FILE, predicted.lesions)
    write_labels(folder / ORGANS_FILE, predicted.organs)
    write_report(folder / REPORT_FILE, predicted.findings, predicted.ct, predicted.lesions)
    if predicted.source is not None:
        # of the extra `dicom`, which NIfTI can do without
        from panlesion.infer.dicom_seg import write_seg
        from panlesion.infer.dicom_sr import write_sr

        seg = write_seg(folder / SEG_FILE, predicted.source, predicted.lesions, predicted.findings)
        write_sr(folder / SR_FILE, predicted.source, seg, predicted.findings)
    write_findings(folder / FINDINGS_FILE, predicted.findings)
