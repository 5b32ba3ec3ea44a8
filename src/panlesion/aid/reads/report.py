"""`Report`: all that a report is written from, as it is at one moment; of a signed reading, what was signed."""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.reads.document import Document
from panlesion.aid.reads.masks import read_mask
from panlesion.aid.reads.scan import GRID_FILE, images_folder, images_of
from panlesion.aid.schemas.reading import AddendumOut, ComparisonOut, FindingOut
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Addendum, Reading, Series, Study, User
from panlesion.aid.vocabulary import Decision, Origin
from panlesion.ct.dicom import DicomCT, read_dicom
from panlesion.ct.volume import LabelMap
from panlesion.errors import ReadError
from panlesion.infer.record import FINDINGS_FILE, Algorithm, OperatingPoint, read_findings

DOCUMENT_FILE, MASK_FILE = "document.json", "mask.gz"


class Facts(BaseModel):
    """The study as the report's head tells of it; `patient_name` is a DICOM person name."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    study_uid: str
    primary_series: str
    patient_name: str
    patient_id: str
    birth_date: date | None
    sex: str
    accession: str
    description: str
    study_at: datetime | None


class Signed(BaseModel):
    """`document.json` of a signed reading: what the signature is over, beside the mask. Its bytes are canonical."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: Facts
    version: int
    signed_by: str
    signed_at: datetime
    document: Document
    comparison: ComparisonOut | None

    def canonical(self) -> bytes:
        """The same content gives the same bytes, whoever writes them."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who signed, as they are called, when, and the SHA-256 over `document.json` and `mask.gz`, one after the other."""

    name: str
    at: datetime
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """`series` is the folder of the CT's files, `images` which of them are read (None: all), `mask` the lesion mask.

    `amended_folder` is where the SR with all addenda lies.
    """

    study_id: UUID
    facts: Facts
    version: int
    document: Document
    comparison: ComparisonOut | None
    addenda: tuple[AddendumOut, ...]
    signature: Signature | None
    signed_folder: Path | None
    amended_folder: Path | None
    series: Path
    images: frozenset[str] | None
    mask: Path
    algorithm: Algorithm | None
    point: OperatingPoint | None
    organisation: str

    @property
    def told(self) -> list[FindingOut]:
        """The findings that are reported: accepted ones, and before signing also those not decided."""
        kept = (Decision.ACCEPTED,) if self.signature else (Decision.ACCEPTED, Decision.OPEN)
        return [one for one in self.document.findings if one.decision in kept]

    @property
    def rejected(self) -> int:
        """How many findings of the network the reader rejected."""
        return sum(one.decision is Decision.REJECTED and one.origin is Origin.AI for one in self.document.findings)

    @property
    def impression(self) -> list[str]:
        """The reader's own words, or the generated lines."""
        if self.document.impression_text is None:
            return self.document.impression
        return [line for line in self.document.impression_text.splitlines() if line.strip()]


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """The CT of a report, and the lesions on its grid by their numbers in the document."""

    ct: DicomCT
    lesions: LabelMap

    @cached_property
    def voxels(self) -> NDArray[np.int64]:
        """How many voxels each label has, (256,)."""
        planes = np.moveaxis(self.lesions.labels, 2, 0)
        return sum((np.bincount(plane.ravel(order="K"), minlength=256) for plane in planes), np.zeros(256, dtype=np.int64))


def report_of(session: Session, settings: Settings, study: Study) -> Report | None:
    """The report as it is now, or as it was signed, with every addendum; None where there is no reading.

    The comparison with a prior study is only there once it was signed: of a draft it takes too long for a transaction.

    Args:
        session: Only read.
        settings: Where the data folder is.
        study: Has a reading.

    Raises:
        ReadError: What was signed is gone or was changed.
    """
    reading = session.get(Reading, study.id)
    if reading is None or study.primary_series is None:
        return None
    series = session.scalar(select(Series).where(Series.study_id == study.id, Series.series_uid == study.primary_series))
    assert series is not None
    results = None if reading.original_path is None else settings.data / reading.original_path
    algorithm, point = _made_with(results)
    signature, signed, folder = None, None, None
    if reading.signed_path is not None:
        folder = settings.data / reading.signed_path
        signed = _signed(folder, reading)
        signature = Signature(name=signed.signed_by, at=signed.signed_at, sha256=reading.signed_sha256 or "")
    return Report(
        study_id=study.id,
        facts=signed.study if signed else Facts.model_validate(study),
        version=reading.version,
        document=signed.document if signed else Document.model_validate(reading.document),
        comparison=signed.comparison if signed else None,
        addenda=addenda_of(session, study.id),
        signature=signature,
        signed_folder=folder,
        amended_folder=amended_folder(session, settings, study.id),
        series=images_folder(settings, study.id, series.id),
        images=None if results is None or not (results / GRID_FILE).is_file() else images_of(results),
        mask=folder / MASK_FILE if folder else settings.data / reading.mask_path,
        algorithm=algorithm,
        point=point,
        organisation=settings.organisation,
    )


def addenda_of(session: Session, study_id: UUID) -> tuple[AddendumOut, ...]:
    """The addenda of a study, oldest first."""
    query = select(Addendum, User.display_name).join(User, User.id == Addendum.by).where(Addendum.study_id == study_id)
    return tuple(AddendumOut(at=one.at, by=name, text=one.text) for one, name in session.execute(query.order_by(Addendum.id)))


def amended_folder(session: Session, settings: Settings, study_id: UUID) -> Path | None:
    """Where the SR with the latest addendum lies; None without one."""
    latest = select(Addendum.path).where(Addendum.study_id == study_id, Addendum.path.is_not(None))
    path = session.scalar(latest.order_by(Addendum.id.desc()).limit(1))
    return None if path is None else settings.data / path


def fingerprint(document: bytes, mask: bytes) -> str:
    """What a signature is over: `cat document.json mask.gz | sha256sum`."""
    return hashlib.sha256(document + mask).hexdigest()


def _signed(folder: Path, reading: Reading) -> Signed:
    try:
        document, mask = (folder / DOCUMENT_FILE).read_bytes(), (folder / MASK_FILE).read_bytes()
        told = Signed.model_validate_json(document)
    except (OSError, ValidationError) as error:
        raise ReadError(f"the signed reading's {DOCUMENT_FILE} or {MASK_FILE} is gone or damaged; restore a backup") from error
    if fingerprint(document, mask) != reading.signed_sha256:
        raise ReadError("the files of the signed reading are not those that were signed; restore a backup")
    return told


def _made_with(results: Path | None) -> tuple[Algorithm | None, OperatingPoint | None]:
    """What the analysis was run with; nothing where a study is read by hand."""
    if results is None or not (results / FINDINGS_FILE).is_file():
        return None, None
    findings = read_findings(results / FINDINGS_FILE)
    return findings.algorithm, findings.operating_point


def load_images(settings: Settings, report: Report) -> Images:
    """Read CT and mask.

    Raises:
        ReadError: The CT or the mask is gone or damaged, or they do not fit each other.
    """
    ct = read_dicom(report.series, series=report.facts.primary_series, among=report.images)
    grid = ct.volume.grid
    # an absolute path stays what it is
    return Images(ct=ct, lesions=LabelMap(labels=read_mask(settings, str(report.mask), grid.shape), grid=grid))
