"""`export.zip`: images, masks and reports of a study, streamed file by file; as they are, or of nobody."""

import io
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import pydicom
from pydicom.uid import UID
from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.reads.deidentify import Pseudonyms, Scrubber, deidentify, left_out_for, names_of, open_key, report_of_nobody
from panlesion.aid.reads.dicom_out import SEG_FILE, SR_FILE, view_of
from panlesion.aid.reads.report import DOCUMENT_FILE, MASK_FILE, Images, Report, load_images
from panlesion.aid.reads.sign import building, write_files, write_words
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Instance, Series
from panlesion.aid.vocabulary import RESEARCH_USE
from panlesion.ct.dicom_header import damaged
from panlesion.errors import PanlesionError
from panlesion.infer.dicom_seg import write_seg
from panlesion.infer.dicom_sr import write_sr

_PIECE = 1 << 20
_LEFTOVER_S = 86_400.0
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Archives tell no times."""
OUTGOING = "outgoing"
_README = """{research}

What is here
  images/NN/NNNN.dcm   the study's images, a folder for each series
  report.html .pdf     the report{standing}
  seg.dcm  sr.dcm      its findings as DICOM Segmentation and Structured Report; without findings there is no seg.dcm
  fhir.json            the same as a FHIR R4 DiagnosticReport
  document.json        what was read, and mask.gz its lesion mask: gzip of uint8, index i + I*j + I*J*k, on the CT's grid
  left_out.txt         what of the study is not here, and why, if anything
{more}"""
_OF_NOBODY = """
De-identified after the basic application confidentiality profile of DICOM PS3.15. Names, numbers, dates, descriptions,
private attributes, overlays and everything that a person typed are gone; UIDs are new, and the same old one always gives the
same new one. Pixels are as they were: a face can be seen in a head CT's surface, and what is written into pixels in secret
stays. Look at the images before you give them to anybody.
"""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The files of one series, in order, and what it is."""

    uid: str
    modality: str
    paths: tuple[Path, ...]


@dataclass(kw_only=True)
class Export:
    """An archive in the making; `stream` gives it piece by piece and then removes what lay in `folder`."""

    report: Report
    series: tuple[Kept, ...]
    folder: Path
    scrub: Scrubber | None = None
    pseudonyms: Pseudonyms | None = None
    left_out: list[str] = field(default_factory=list)

    def stream(self) -> Iterator[bytes]:
        """The archive, of which never more than a piece is in memory."""
        pipe = _Pipe()
        try:
            with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]
                yield from _put(archive, pipe, "README.txt", io.BytesIO(self._readme().encode()))
                for path in sorted(self.folder.glob("files/*")):
                    with path.open("rb") as stream:
                        yield from _put(archive, pipe, path.name, stream)
                for number, one in enumerate(self.series, 1):
                    yield from self._images(archive, pipe, number, one)
                if self.left_out:
                    told = "\n".join(self.left_out) + "\n"
                    yield from _put(archive, pipe, "left_out.txt", io.BytesIO(told.encode()))
            yield pipe.take()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _images(self, archive: zipfile.ZipFile, pipe: "_Pipe", number: int, kept: Kept) -> Iterator[bytes]:
        for position, path in enumerate(kept.paths, 1):
            name = f"images/{number:02}/{position:04}.dcm"
            try:
                stream = path.open("rb") if self.pseudonyms is None else self._of_nobody(path, kept)
            except (OSError, PanlesionError) as error:
                reason = error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
                self.left_out.append(f"{name}, {kept.modality or 'no modality'}: {reason}")
                continue
            with stream:
                yield from _put(archive, pipe, name, stream)

    def _of_nobody(self, path: Path, kept: Kept) -> BinaryIO:
        """The image as it was de-identified for the reports already, or now."""
        done = self.folder / "ct" / path.name
        if kept.uid == self.report.facts.primary_series and done.is_file():
            return done.open("rb")
        assert self.pseudonyms is not None and self.scrub is not None
        return io.BytesIO(image_of_nobody(path, self.pseudonyms, self.scrub))

    def _readme(self) -> str:
        standing = "" if self.report.signature else " as it is now; it is not signed"
        more = "" if self.pseudonyms is None else _OF_NOBODY
        return _README.format(research=RESEARCH_USE, standing=standing, more=more)


class LeftOutError(PanlesionError):
    """An image that cannot be de-identified."""


def image_of_nobody(path: Path, pseudonyms: Pseudonyms, scrub: Scrubber) -> bytes:
    """A de-identified image file.

    Raises:
        LeftOutError: Its pixels may name somebody.
        ReadError: It is damaged.
    """
    with damaged("the image", "it cannot be read"):
        dataset = pydicom.dcmread(path)
        reason = left_out_for(dataset)
        if not reason:
            stream = io.BytesIO()
            deidentify(dataset, pseudonyms, scrub).save_as(stream, enforce_file_format=True)
            return stream.getvalue()
    raise LeftOutError(reason)


def series_of(session: Session, settings: Settings, study_id: UUID) -> tuple[Kept, ...]:
    """Every image of a study, by series."""
    query = select(Series).where(Series.study_id == study_id).order_by(Series.number, Series.id)
    return tuple(
        Kept(
            uid=one.series_uid,
            modality=one.modality,
            paths=tuple(
                settings.data / path
                for path in session.scalars(
                    select(Instance.path).where(Instance.series_id == one.id).order_by(Instance.number, Instance.sop_uid)
                )
            ),
        )
        for one in session.scalars(query).all()
    )


def prepare(settings: Settings, report: Report, series: tuple[Kept, ...], *, of_nobody: bool) -> Export:
    """Make what an archive holds beside the images; the images themselves follow while it is streamed.

    Raises:
        ReadError: The CT or the mask is gone or damaged.
        DiskFullError: No room in the data folder.
    """
    root = settings.data / OUTGOING
    root.mkdir(exist_ok=True, mode=0o700)
    _sweep(root)
    folder = Path(tempfile.mkdtemp(prefix="export-", dir=root))
    files = folder / "files"
    files.mkdir()
    try:
        with building():
            if of_nobody:
                pseudonyms = Pseudonyms(key=open_key(settings.data))
                scrub = Scrubber.of(names_of(report))
                _write_of_nobody(settings, folder, report, pseudonyms, scrub)
                return Export(report=report, series=series, folder=folder, pseudonyms=pseudonyms, scrub=scrub)
            _write_as_it_is(settings, files, report)
            return Export(report=report, series=series, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _sweep(root: Path) -> None:
    """Remove what a killed server left; no archive takes a day."""
    for path in root.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                shutil.rmtree(path, ignore_errors=True)


def _write_as_it_is(settings: Settings, files: Path, report: Report) -> None:
    """Of a signed reading what was signed, and the report anew where it has addenda."""
    if report.signed_folder is not None:
        shutil.copytree(report.signed_folder, files, dirs_exist_ok=True)
        if not report.addenda:
            return
        if report.amended_folder is not None:
            shutil.copyfile(report.amended_folder / SR_FILE, files / SR_FILE)
    images = load_images(settings, report)
    if report.signed_folder is None:
        shutil.copyfile(report.mask, files / MASK_FILE)
        (files / DOCUMENT_FILE).write_text(report.document.model_dump_json(indent=1), encoding="utf-8")
        write_files(files, report, images)
    else:
        write_words(files, report, images)


def _write_of_nobody(settings: Settings, folder: Path, report: Report, pseudonyms: Pseudonyms, scrub: Scrubber) -> None:
    """The CT is de-identified first, and everything else is made from that: nothing of the patient is ever in it."""
    files, ct = folder / "files", folder / "ct"
    ct.mkdir()
    for path in sorted(report.series.iterdir()):
        try:
            (ct / path.name).write_bytes(image_of_nobody(path, pseudonyms, scrub))
        except LeftOutError:
            continue  # told when the images' turn comes
    read = None if report.images is None else frozenset(map(pseudonyms.uid, report.images))
    nobody = replace(report_of_nobody(report, pseudonyms), series=ct, images=read)
    images = load_images(settings, nobody)
    write_words(files, nobody, images)
    (files / DOCUMENT_FILE).write_text(nobody.document.model_dump_json(indent=1), encoding="utf-8")
    shutil.copyfile(report.mask, files / MASK_FILE)
    _write_dicom_of_nobody(files, report, nobody, images, pseudonyms)


def _write_dicom_of_nobody(files: Path, report: Report, nobody: Report, images: Images, pseudonyms: Pseudonyms) -> None:
    """SEG and SR with UIDs that follow from those of the true ones."""
    view = view_of(nobody, images)
    seg = write_seg(files / SEG_FILE, images.ct, view.lesions, view.findings, view.review)
    if seg is not None:
        _rename(seg, *_new_names(report, SEG_FILE, pseudonyms))
    sr = write_sr(files / SR_FILE, images.ct, seg, view.findings, view.review)
    _rename(sr, *_new_names(report, SR_FILE, pseudonyms))


def _new_names(report: Report, name: str, pseudonyms: Pseudonyms) -> tuple[str, str]:
    """New UIDs of series and instance; of a draft, which has none yet, they follow from study and version."""
    signed = None if report.signed_folder is None else report.signed_folder / name
    if signed is not None and signed.is_file():
        header = pydicom.dcmread(signed, stop_before_pixels=True)
        return pseudonyms.uid(str(header.SeriesInstanceUID)), pseudonyms.uid(str(header.SOPInstanceUID))
    draft = f"{report.facts.study_uid} {report.version} {name}"
    return pseudonyms.uid(f"{draft} series"), pseudonyms.uid(f"{draft} instance")


def _rename(path: Path, series: str, instance: str) -> None:
    dataset = pydicom.dcmread(path)
    dataset.SeriesInstanceUID = series
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance)
    dataset.save_as(path, enforce_file_format=True)


class _Pipe:
    """What an archive is written to; it cannot be wound back, and gives away what it was given."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _put(archive: zipfile.ZipFile, pipe: _Pipe, name: str, stream: BinaryIO) -> Iterator[bytes]:
    """One file of the archive, in pieces."""
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(entry, "w", force_zip64=True) as into:
        while piece := stream.read(_PIECE):
            into.write(piece)
            yield pipe.take()
    yield pipe.take()
