"""A study beside an earlier one of the same patient: which finding is which, and the response by RECIST 1.1."""

import json
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.orm import Session

from panlesion.aid.reads.document import Document
from panlesion.aid.reads.scan import grid_of, results_folder
from panlesion.aid.reads.words import view_of, without_ai
from panlesion.aid.schemas.reading import ComparisonOut, PairOut
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Reading, Study
from panlesion.aid.vocabulary import ReadingState
from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.publish import DiskFullError, write_text
from panlesion.errors import ReadError
from panlesion.infer.follow_up import Registration, compare_registered, register
from panlesion.infer.record import FINDINGS_FILE, ORGANS_FILE, Findings, read_findings

SIGNED_DOCUMENT = "document.json"
COARSE_MM = 3.0
"""Organs are registered on voxels up to this large: a large CT's take six seconds otherwise, and the page waits."""

_TRUE: ColumnElement[bool] = true()
_KEPT = TypeAdapter(tuple[list[list[float]], tuple[str, ...], float] | None)
_SIGNED = TypeAdapter(ComparisonOut | None)


def base_of(settings: Settings, reading: Reading) -> Findings:
    """What the AI said of the scan; of one that it never saw, an empty document.

    Raises:
        ReadError: What it wrote is damaged.
    """
    folder = results_folder(settings, reading)
    return _base(folder, str(reading.study_id))


@lru_cache(maxsize=64)
def _base(folder: Path, case: str) -> Findings:
    path = folder / FINDINGS_FILE
    return read_findings(path) if path.exists() else without_ai(case, grid_of(folder))


def comparison_of(
    session: Session, settings: Settings, study: Study, visible: ColumnElement[bool] = _TRUE
) -> ComparisonOut | None:
    """The study as it is now against the prior that was chosen; as it was signed, once it is.

    Args:
        session: Only read.
        settings: Where the data folder is.
        study: The present one.
        visible: Which studies the asker may see; of a prior beyond that nothing is told.

    Raises:
        ReadError: What one of the two analyses wrote is damaged.
    """
    reading = session.get(Reading, study.id)
    if reading is not None and reading.state is ReadingState.SIGNED and reading.signed_path is not None:
        return _as_signed(settings.data / reading.signed_path / SIGNED_DOCUMENT)
    if reading is None or study.prior_id is None:
        return None
    prior = session.scalar(select(Study).where(Study.id == study.prior_id, visible))
    before = session.get(Reading, study.prior_id)
    if prior is None:
        return None
    if before is None:
        return _unlike(prior, "the prior study has not been analysed or read")
    found = _registration(results_folder(settings, before), results_folder(settings, reading))
    then, now = (view_of(Document.model_validate(one.document), base_of(settings, one)) for one in (before, reading))
    follow_up = compare_registered(then, now, found)
    return ComparisonOut(
        prior_id=prior.id,
        prior_at=prior.study_at,
        pairs=[PairOut.model_validate(one, from_attributes=True) for one in follow_up.pairs],
        response=follow_up.response.value,
        reason=follow_up.reason,
        prior_sum_mm=follow_up.prior_sum_mm,
        now_sum_mm=follow_up.now_sum_mm,
    )


def _as_signed(path: Path) -> ComparisonOut | None:
    try:
        return _SIGNED.validate_python(json.loads(path.read_bytes()).get("comparison"))
    except (OSError, ValueError, ValidationError) as error:
        raise ReadError("the signed document of this study cannot be read; restore the data folder") from error


def _unlike(prior: Study, reason: str) -> ComparisonOut:
    return ComparisonOut(
        prior_id=prior.id, prior_at=prior.study_at, pairs=[], response="not evaluable", reason=reason,
        prior_sum_mm=None, now_sum_mm=None,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _registration(before: Path, now: Path) -> Registration | None:
    """Of the two organ maps, which never change, so it is made once and kept beside the present one.

    None where there is no organ map, or too few organs are whole in both.
    """
    if not all((folder / ORGANS_FILE).exists() for folder in (before, now)):
        return None
    kept = now / f"registration-{before.parent.name}-{before.name}.json"
    try:
        told = _KEPT.validate_json(kept.read_bytes())
    except (OSError, ValidationError):
        found = register(*(_coarse(read_labels(folder / ORGANS_FILE)) for folder in (before, now)))
        told = None if found is None else (found.affine.tolist(), found.organs, found.residual_mm)
        # one that cannot be kept is made again
        with suppress(OSError, DiskFullError):
            write_text(kept, _KEPT.dump_json(told).decode())
    return None if told is None else Registration(affine=np.array(told[0]), organs=told[1], residual_mm=told[2])


def _coarse(organs: LabelMap) -> LabelMap:
    """Every so many voxels of a map: registration is good to a centimetre at best."""
    steps = [max(1, int(COARSE_MM / mm)) for mm in organs.grid.spacing_mm]
    affine = organs.grid.affine.copy()
    affine[:3, :3] = affine[:3, :3] * steps
    labels = np.ascontiguousarray(organs.labels[:: steps[0], :: steps[1], :: steps[2]])
    i, j, k = labels.shape
    return LabelMap(labels=labels, grid=Grid(shape=(i, j, k), affine=affine))


def earlier(study: Study) -> Sequence[ColumnElement[bool]]:
    """The conditions of being an earlier study of the same patient."""
    same = (Study.patient_id == study.patient_id, Study.patient_id != "", Study.id != study.id)
    if study.study_at is None:
        return same
    return (*same, or_(Study.study_at.is_(None), Study.study_at < study.study_at))


def priors_of(session: Session, study: Study, visible: ColumnElement[bool]) -> list[Study]:
    """Earlier studies of the same patient that the asker may see, the latest first."""
    asked = select(Study).where(*earlier(study), visible).order_by(Study.study_at.desc().nulls_last(), Study.id)
    return list(session.scalars(asked))
