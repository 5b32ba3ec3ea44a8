"""What one upload brings: files, zips, whatever else lies in a folder; each is taken, or refused with its reason."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from panlesion.aid.db import Sessions
from panlesion.aid.settings import Settings
from panlesion.aid.store.archive import ZIP_MARKS, Budget, Member, TooMuchError, members
from panlesion.aid.store.check import RefusedError, clean
from panlesion.aid.store.files import Landing, landing, open_landing
from panlesion.aid.store.intake import ANYTHING, Outcome, Taken, Wanted, refuse, take_landed
from panlesion.aid.store.multipart import Part
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import StudySource

_PACKED = ((b"\x1f\x8b", "gzip"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "rar"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"))


@dataclass(kw_only=True)
class Upload:
    """Takes parts as they come; `results` tell of every file in their order, those of zips among them."""

    sessions: Sessions
    settings: Settings
    by: User | None
    source: StudySource = StudySource.UPLOAD
    wanted: Wanted = ANYTHING
    results: list[Taken] = field(default_factory=list)
    _budget: Budget = field(init=False)
    _open: Landing | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._budget = Budget(files=self.settings.max_files, bytes=self.settings.max_upload_bytes)

    @property
    def study_ids(self) -> list[UUID]:
        """The studies that got, or already had, a file of it; each once, in the order they came."""
        return list(dict.fromkeys(t.study_id for t in self.results if t.study_id is not None))

    def count(self, outcome: Outcome) -> int:
        return sum(t.outcome is outcome for t in self.results)

    def begin(self, part: Part) -> None:
        """A new file; what is no file of the form is passed over.

        Raises:
            TooMuchError: More files than one upload may bring.
            DiskFullError: No room.
        """
        self.drop()
        if part.filename or "content-disposition" not in part.headers:
            self._budget.one_file()
            name = clean(part.filename, 256) or f"part {len(self.results) + 1}"
            self._open = open_landing(self.settings, name=name, most=self.settings.max_upload_bytes)

    def data(self, piece: bytes) -> None:
        """Bytes of the file that was begun.

        Raises:
            TooMuchError: More bytes than one upload may bring.
            DiskFullError: No room.
        """
        self._budget.some_bytes(len(piece))
        if self._open is not None:
            self._open.write(piece)

    def end(self) -> None:
        """The file is whole: take it.

        Raises:
            DiskFullError: No room.
        """
        if self._open is not None:
            self._open.finish()
            self._take(self._open, zips=2)
        self.drop()

    def drop(self) -> None:
        """Forget a file that is not whole."""
        if self._open is not None:
            self._open.drop()
            self._open = None

    def _take(self, made: Landing, *, zips: int) -> None:
        with made.path.open("rb") as stream:
            head = stream.read(352)
        reason = _foreign(made.name, head)
        if reason:
            self._refuse(made.name, reason)
        elif not head.startswith(ZIP_MARKS):
            taken = take_landed(self.sessions, self.settings, made, source=self.source, by=self.by, wanted=self.wanted)
            self.results.append(taken)
        elif not zips:
            self._refuse(made.name, "a zip in a zip in a zip. Unpack it first")
        else:
            self._take_zip(made.path, made.name, zips)

    def _take_zip(self, path: Path, name: str, zips: int) -> None:
        try:
            for member in members(path, name=name, budget=self._budget, most_ratio=self.settings.max_zip_ratio):
                self._budget.one_file()
                self._take_member(member, zips)
        except TooMuchError:
            raise
        except RefusedError as error:
            self._refuse(name, str(error))

    def _take_member(self, member: Member, zips: int) -> None:
        name = clean(member.name, 1000)[-256:]
        if member.refusal:
            self._refuse(name, member.refusal)
            return
        with landing(self.settings, name=name) as made:
            try:
                member.pour(made, self._budget)
            except TooMuchError:
                raise
            except RefusedError as error:
                self._refuse(name, str(error))
                return
            made.finish()
            self._take(made, zips=zips - 1)

    def _refuse(self, name: str, reason: str) -> None:
        self.results.append(refuse(self.sessions, name, reason, source=self.source, by=self.by))


def _foreign(name: str, head: bytes) -> str:
    """What a file is that people give instead of DICOM, and what to do; "" for what may be DICOM or a zip."""
    lower = name.lower()
    if lower.endswith((".nii", ".nii.gz")) or head[344:348] in (b"n+1\0", b"ni1\0"):
        return "a NIfTI file. Give DICOM; `panlesion predict` reads NIfTI"
    if not head:
        return "an empty file"
    for mark, kind in _PACKED:
        if head.startswith(mark):
            return f"a {kind} archive. Unpack it, or give a zip"
    return ""
