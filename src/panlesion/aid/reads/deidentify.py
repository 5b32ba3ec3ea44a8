"""De-identification after the basic profile of PS3.15: images by `deidentify_table`, reports by leaving out a person's words.

New UIDs follow from the old ones and a key that stays in the data folder: the same UID is the same everywhere and at any time,
and nobody without the key finds the old one.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from panlesion.aid.reads.deidentify_table import Change, change_of
from panlesion.aid.reads.report import Facts, Report, Signature
from panlesion.aid.schemas.reading import FindingOut
from panlesion.ct.dicom_header import CT_CLASSES, MR_CLASSES

KEY_FILE, KEY_BYTES = "deidentify.key", 32
METHOD = "PS3.15 basic application confidentiality profile, by panlesion"
NOBODY, REMOVED = "Anonymous", "REMOVED"
_STANDARD = "1.2.840.10008."
_LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC)
_TEXT = frozenset({"CS", "SH", "LO", "ST", "LT", "UT", "UC"})
_DATE = re.compile(r"\b(?:(?:19|20)\d\d[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:19|20)\d\d|(?:19|20)\d{6})\b")
_LEAST_LETTERS = 2


def open_key(data: Path) -> bytes:
    """The key of a data folder, made at the first use; only the server's own account may read it."""
    path = data / KEY_FILE
    if not path.is_file():
        made = path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            # fails where another process was faster: the first key counts
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_bytes()


@dataclass(frozen=True, kw_only=True)
class Pseudonyms:
    """New names that follow from the old ones and a key."""

    key: bytes

    def uid(self, old: str) -> str:
        """A UID of DICOM's own stays, any other becomes a UUID's."""
        if not old or old.startswith(_STANDARD):
            return old
        return f"2.25.{int.from_bytes(self._hashed('uid', old)[:16])}"

    def patient(self, patient_id: str, study_uid: str) -> str:
        """What a patient is called; without an ID every study is another patient."""
        hashed = self._hashed("patient", patient_id) if patient_id else self._hashed("patient of study", study_uid)
        return f"ANON-{hashed[:6].hex().upper()}"

    def uuid(self, old: UUID) -> UUID:
        """Another id than ours."""
        return UUID(bytes=self._hashed("id", str(old))[:16], version=4)

    def _hashed(self, kind: str, old: str) -> bytes:
        return hmac.digest(self.key, f"{kind}\0{old}".encode(), hashlib.sha256)


@dataclass(frozen=True, kw_only=True)
class Scrubber:
    """Takes out of a text whatever names the patient, and dates."""

    pattern: re.Pattern[str]

    @classmethod
    def of(cls, words: Iterable[str]) -> "Scrubber":
        """Of names and numbers, found as whole words in any case; letters without word boundaries anywhere."""
        parts = {part.strip() for word in words for part in (word, *re.split(r"[\s^=,;]+", word))}
        asked = sorted((one for one in parts if len(one) >= (_LEAST_LETTERS if _bounded(one) else 1)), key=len, reverse=True)
        bound = [rf"(?<!\w){re.escape(one)}(?!\w)" if _bounded(one) else re.escape(one) for one in asked]
        return cls(pattern=re.compile("|".join(bound) or r"(?!)", re.IGNORECASE))

    def __call__(self, text: str) -> str:
        return _DATE.sub(f"[{REMOVED.lower()}]", self.pattern.sub(f"[{REMOVED.lower()}]", text))

    def finds(self, text: str) -> bool:
        """Whether the text names the patient."""
        return bool(self.pattern.search(text))


def _bounded(word: str) -> bool:
    """Whether the word's script puts blanks between words; Chinese, Japanese, Thai and the like do not."""
    return all(ord(letter) < 0x0E00 for letter in word)


def names_of(report: Report) -> list[str]:
    """What may name patient or reader in a text."""
    facts = report.facts
    told = [facts.patient_name, facts.patient_id, facts.accession, report.organisation]
    return [*told, *([report.signature.name] if report.signature else ())]


def left_out_for(dataset: Dataset) -> str:
    """Why an image cannot be de-identified, for pixels may show a name; empty where it can."""
    if dataset.get("SOPClassUID") not in CT_CLASSES | MR_CLASSES:
        return "no CT or MR image"
    if str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        return "says that something is written into its pixels"
    kind = dataset.get("ImageType")
    if any("SCREEN" in str(word).upper() for word in (kind if isinstance(kind, MultiValue) else [kind or ""])):
        return "is a picture of a screen"
    if str(dataset.get("PhotometricInterpretation") or "") not in {"MONOCHROME1", "MONOCHROME2"}:
        return "is in colour, as pictures of a screen are"
    return ""


def deidentify(dataset: FileDataset, pseudonyms: Pseudonyms, scrub: Scrubber) -> FileDataset:
    """An image of nobody, with new UIDs; the given one is changed.

    Args:
        dataset: One for which `left_out_for` has nothing to say.
        pseudonyms: Of the data folder.
        scrub: Takes the patient's name out of words that are kept.
    """
    who = pseudonyms.patient(str(dataset.get("PatientID") or ""), str(dataset.get("StudyInstanceUID") or ""))
    syntax = dataset.file_meta.TransferSyntaxUID
    _change(dataset, pseudonyms, scrub)
    dataset.PatientName = dataset.PatientID = who
    dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", METHOD
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.BurnedInAnnotation = "NO"
    profile = Dataset()
    profile.CodeValue, profile.CodingSchemeDesignator = "113100", "DCM"
    profile.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.DeidentificationMethodCodeSequence = Sequence([profile])
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    dataset.file_meta, dataset.preamble = meta, bytes(128)
    return dataset


def _change(dataset: Dataset, pseudonyms: Pseudonyms, scrub: Scrubber) -> None:
    """Every attribute, also those in sequences, as the table says."""
    for tag in list(dataset.keys()):
        element = dataset[tag]
        change = change_of(element.keyword, element.VR, element.tag.group)
        if change is Change.REMOVE:
            del dataset[tag]
        elif change is Change.EMPTY:
            element.value = None if element.VR != "SQ" else []
        elif change is Change.DUMMY:
            element.value = _dummy(element)
        elif change is Change.UID:
            element.value = _new_uids(element, pseudonyms)
        elif element.VR == "SQ":
            for item in element.value:
                _change(item, pseudonyms, scrub)
        elif element.VR in _TEXT:
            element.value = _scrubbed(element, scrub)


def _dummy(element: DataElement) -> str:
    return "19000101000000" if element.VR == "DT" else REMOVED


def _new_uids(element: DataElement, pseudonyms: Pseudonyms) -> str | list[str]:
    if isinstance(element.value, MultiValue):
        return [pseudonyms.uid(str(one)) for one in element.value]
    return pseudonyms.uid(str(element.value or ""))


def _scrubbed(element: DataElement, scrub: Scrubber) -> object:
    """A word that names the patient is replaced; coded words of a scanner that happen to be its name, too."""
    if isinstance(element.value, MultiValue):
        return [REMOVED if scrub.finds(str(one)) else one for one in element.value]
    return REMOVED if scrub.finds(str(element.value or "")) else element.value


def report_of_nobody(report: Report, pseudonyms: Pseudonyms) -> Report:
    """A report without patient, people, dates and anything that a person typed; what the program wrote is scrubbed."""
    facts, told, scrub = report.facts, report.document, Scrubber.of(names_of(report))
    who = pseudonyms.patient(facts.patient_id, facts.study_uid)
    document = told.model_copy(
        update={
            "findings": [_finding(one, pseudonyms, scrub) for one in told.findings],
            "measurements": [one.model_copy(update={"label": "", "id": str(n)}) for n, one in enumerate(told.measurements, 1)],
            "impression": [scrub(line) for line in told.impression],
            "impression_text": None,
            "comment": "",
            "doubts": [one.model_copy(update={"words": scrub(one.words)}) for one in told.doubts],
        }
    )
    comparison = report.comparison
    if comparison is not None:
        gone = {"prior_id": pseudonyms.uuid(comparison.prior_id), "prior_at": None, "reason": scrub(comparison.reason)}
        comparison = comparison.model_copy(update=gone)
    return replace(
        report,
        study_id=pseudonyms.uuid(report.study_id),
        facts=Facts(
            study_uid=pseudonyms.uid(facts.study_uid),
            primary_series=pseudonyms.uid(facts.primary_series),
            patient_name=who,
            patient_id=who,
            birth_date=None,
            sex="",
            accession="",
            description="",
            study_at=None,
        ),
        document=document,
        comparison=comparison,
        addenda=(),
        signature=None if report.signature is None else Signature(name=NOBODY, at=_LONG_AGO, sha256=""),
        signed_folder=None,
        amended_folder=None,
        organisation="",
    )


def _finding(one: FindingOut, pseudonyms: Pseudonyms, scrub: Scrubber) -> FindingOut:
    return one.model_copy(
        update={
            "tracking_uid": pseudonyms.uid(one.tracking_uid),
            "organ": scrub(one.organ),
            "location": scrub(one.location),
            "sentence": scrub(one.sentence),
            "note": "",
            "ai": None,
        }
    )
