"""Fetching a study from a PACS: by DICOMweb, C-GET or C-MOVE; every image goes through the same gate as any other."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydicom.dataset import Dataset
from pynetdicom import AllStoragePresentationContexts, build_context, build_role
from pynetdicom.presentation import PresentationContext
from sqlalchemy import select

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions
from panlesion.aid.jobs.runner import Outcome as JobOutcome
from panlesion.aid.settings import Settings
from panlesion.aid.store.check import UID_RULE, RefusedError
from panlesion.aid.store.files import CHUNK
from panlesion.aid.store.intake import Outcome, Taken, Wanted
from panlesion.aid.store.multipart import Parts, boundary_of
from panlesion.aid.store.receiver import COMPRESSED, UNCOMPRESSED, store_and_tell
from panlesion.aid.store.remote import CarefulSession, RemoteError, associated, naming, web_client
from panlesion.aid.store.upload import Upload
from panlesion.aid.tables import Job, Node, Study, User
from panlesion.aid.vocabulary import Action, NodeKind, StudySource
from panlesion.ct.dicom_header import CT_CLASSES, MR_CLASSES

Progress = Callable[[float, str], None]
"""Told how much is done, 0 … 1, and in which words."""

_ROOT_GET, _ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.2"
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_CT = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")
_MOST_CONTEXTS = 126
_FIRST = (
    *CT_CLASSES,
    *MR_CLASSES,
    *(f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("66.4", "7", "128", "20", "104.1", "481.3")),
)
"""What matters beside CT where not all fits into one association: MR, SEG, secondary capture, PET, NM, PDF, contours."""
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_PENDING = frozenset({0xFF00, 0xFF01})


@dataclass(kw_only=True)
class _Paced:
    """Tells of progress at most once a second: each telling is a write to the database."""

    tell: Progress
    last: float = 0.0

    def __call__(self, done: int, total: int) -> None:
        at = time.monotonic()
        if at - self.last >= 1:
            self.last = at
            self.tell(min(done / total, 0.99) if total else 0.0, f"{done} of {total or '?'} images")


def run_pull(sessions: Sessions, settings: Settings, job: Job, progress: Progress) -> JobOutcome:
    """`fetch_study` as a worker runs it.

    Raises:
        RemoteError: As `fetch_study`.
    """
    return JobOutcome(answer=fetch_study(sessions, settings, job.payload, progress, by=job.by))


def fetch_study(
    sessions: Sessions, settings: Settings, payload: dict[str, Any], progress: Progress, *, by: UUID | None = None
) -> dict[str, Any]:
    """Fetch a study; what of it is here already is not kept twice.

    Args:
        sessions: Every image is committed on its own, so that a second run goes on where a first was killed.
        settings: Where the data lie; for C-MOVE also where our receiver is.
        payload: Of the job: `node_id` and `study_uid`.
        progress: Told at most once a second.
        by: Who wished it.

    Returns:
        The job's answer: our `study_id`, and how many images were `taken`, here `again` and `refused`.

    Raises:
        RemoteError: The node does not have the study, or did not send all of it.
        DiskFullError: No room is left; what came is kept.
    """
    study_uid = str(payload["study_uid"])
    with sessions() as session:
        node = session.get(Node, UUID(payload["node_id"]))
        user = None if by is None else session.get(User, by)
    if node is None or not node.active:
        raise RemoteError("the PACS is no longer listed, or switched off")
    ask = _Ask(sessions=sessions, settings=settings, node=node, study_uid=study_uid, by=user, paced=_Paced(tell=progress))
    if node.kind is NodeKind.DICOMWEB:
        counts = ask.by_web()
    elif node.retrieves_by == "move":
        counts = ask.by_move()
    else:
        counts = ask.by_get()
    with sessions.begin() as session:
        study_id = session.scalar(select(Study.id).where(Study.study_uid == study_uid))
        if study_id is None:
            raise RemoteError(f"{node.name}: sent no image of the study that could be kept ({counts['refused']} were refused)")
        record(session, Action.RECEIVED, by=user, study_id=study_id, source=StudySource.PULL.value, node=str(node.id), **counts)
    return {"study_id": str(study_id), **counts}


@dataclass(frozen=True, kw_only=True)
class _Ask:
    sessions: Sessions
    settings: Settings
    node: Node
    study_uid: str
    by: User | None
    paced: _Paced

    def by_web(self) -> dict[str, int]:
        """WADO-RS, a series at a time, each part written to disk as it comes."""
        upload = Upload(
            sessions=self.sessions,
            settings=self.settings,
            by=self.by,
            source=StudySource.PULL,
            wanted=Wanted(study_uid=self.study_uid),
        )
        client = web_client(self.node)
        try:
            with naming(self.node.name):
                listed = [
                    (str(one["0020000E"]["Value"][0]), int((one.get("00201209", {}).get("Value") or [0])[0]))
                    for one in client.search_for_series(self.study_uid, fields=["NumberOfSeriesRelatedInstances"])
                ]
            total = sum(count for _, count in listed)
            for series_uid, _ in listed:
                self._series_by_web(client, series_uid, upload, total)
        except RefusedError as error:
            raise RemoteError(f"{self.node.name}: {error}") from error
        finally:
            upload.drop()
        if not listed:
            raise RemoteError(f"{self.node.name}: has no such study, or does not show it")
        return {outcome.value: upload.count(outcome) for outcome in Outcome}

    def _series_by_web(self, client: Any, series_uid: str, upload: Upload, total: int) -> None:
        if UID_RULE.fullmatch(series_uid) is None:
            raise RemoteError(f"{self.node.name}: lists a series whose UID is none")
        url = f"{client.base_url}/studies/{self.study_uid}/series/{series_uid}"
        with CarefulSession(self.node) as session, naming(self.node.name):
            answer = session.get(url, headers={"Accept": _ACCEPT}, stream=True)
            with answer:
                answer.raise_for_status()
                boundary = boundary_of(answer.headers.get("Content-Type", ""), "multipart/related")
                parts = Parts(boundary, begin=upload.begin, data=upload.data, end=upload.end)
                for piece in answer.iter_content(CHUNK):
                    parts.feed(piece)
                    self.paced(len(upload.results), total)
                parts.finish()

    def by_get(self) -> dict[str, int]:
        """C-GET: the images come back on the association that asks."""
        results: list[Taken] = []
        contexts = [build_context(_ROOT_GET), *_storage_contexts()]
        roles = [build_role(uid, scp_role=True) for uid in dict.fromkeys(str(c.abstract_syntax) for c in contexts[1:])]

        def keep(event: Any) -> Dataset:
            taken, status = store_and_tell(event, self.settings, self.sessions, Wanted(study_uid=self.study_uid))
            if taken is not None:
                results.append(taken)
            return status

        with associated(self.node, self.settings, contexts, roles=roles, on_store=keep) as assoc:
            self._follow(assoc.send_c_get(self._wanted(), _ROOT_GET), "C-GET")
        return {outcome.value: sum(t.outcome is outcome for t in results) for outcome in Outcome}

    def by_move(self) -> dict[str, int]:
        """C-MOVE: the images come to our receiver, which keeps them by itself."""
        if not self.settings.dicom_port:
            raise RemoteError(
                f"{self.node.name}: C-MOVE sends to our receiver, and none runs. Start with --dicom-port, or let it use C-GET"
            )
        before = self._kept()
        with associated(self.node, self.settings, [build_context(_ROOT_MOVE)]) as assoc:
            moved = self._follow(assoc.send_c_move(self._wanted(), self.settings.ae_title, _ROOT_MOVE), "C-MOVE")
        taken = self._kept() - before
        return {Outcome.TAKEN.value: taken, Outcome.AGAIN.value: max(moved - taken, 0), Outcome.REFUSED.value: 0}

    def _wanted(self) -> Dataset:
        wanted = Dataset()
        wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", self.study_uid
        return wanted

    def _kept(self) -> int:
        with self.sessions() as session:
            images = session.scalar(select(Study.images).where(Study.study_uid == self.study_uid))
        return images or 0

    def _follow(self, answers: Iterator[tuple[Dataset, Dataset | None]], verb: str) -> int:
        """Wait for the last answer; how many images it says were sent."""
        name, last = self.node.name, Dataset()
        for last, _ in answers:
            counts = [
                int(last.get(f"NumberOf{word}Suboperations") or 0) for word in ("Completed", "Failed", "Warning", "Remaining")
            ]
            if last.get("Status") in _PENDING:
                self.paced(sum(counts[:3]), sum(counts))
        if "Status" not in last:
            raise RemoteError(f"{name}: broke off in the middle of {verb}; what came is kept. Try again")
        completed, failed, warned = counts[:3]
        if failed or last.Status not in (0x0000, 0xB000):
            hint = _HINTS.get(last.Status, "")
            raise RemoteError(
                f"{name}: {verb} ended with status {last.Status:04X}, {completed} images sent, {failed} failed{hint}"
            )
        if not completed + warned:
            raise RemoteError(f"{name}: has no such study, or does not show it")
        return completed + warned


_HINTS = {0xA801: ": it does not know our AE title; tell it our host and port"}


def _storage_contexts() -> list[PresentationContext]:
    """What a C-GET may bring: CT in whatever syntax it is kept, all else uncompressed."""
    ct = [build_context(uid, [syntax]) for uid in _CT for syntax in COMPRESSED]
    storage = sorted(AllStoragePresentationContexts, key=lambda c: not str(c.abstract_syntax).startswith((*_FIRST, _REPORTS)))
    plain = [build_context(str(c.abstract_syntax), [*UNCOMPRESSED]) for c in storage]
    return [*plain[: _MOST_CONTEXTS - len(ct)], *ct]
