"""Sending to a PACS: signed reports, and unsigned results where a node is to have them.

Files are sent as they lie on disk, so a retry sends the same instances and a PACS keeps each once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pydicom
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from requests import HTTPError
from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions
from panlesion.aid.jobs.queue import enqueue
from panlesion.aid.jobs.runner import Outcome, Progress, RetryError
from panlesion.aid.reads.dicom_out import SEG_FILE, SR_FILE
from panlesion.aid.settings import Settings
from panlesion.aid.store.remote import CarefulSession, RedirectError, RemoteError, refuse_link_local, web_fault
from panlesion.aid.tables import Job, Node, Reading, Study, User
from panlesion.aid.vocabulary import Action, JobKind, NodeKind, Parcel
from panlesion.ct.dicom_header import damaged
from panlesion.errors import PanlesionError

CONNECT_S, ANSWER_S = 10.0, 120.0
DUPLICATE, OUT_OF_RESOURCES = 0x0111, 0xA700
_SLOW_DOWN, _SERVER_ERROR = 429, 500
_STATUSES = {0x0122: "SOP class not supported", 0x0124: "not authorised", 0x0110: "processing failure"}


class DeliveryRefusedError(PanlesionError):
    """The PACS will not have it, however often it is sent; or there is no such PACS any more."""


class UnreachableError(RetryError):
    """The PACS is not there, or has no room at present: worth another try."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why an instance was not taken, and whether it may be taken later."""

    reason: str
    later: bool


Send = Callable[[Dataset], Refusal | None]


def queue_preliminary(session: Session, study: Study) -> list[Job]:
    """Queue the AI's own SEG and SR, unverified as they are, to every node that is to have them; none after by-hand beginnings.

    Called in the transaction in which the analysis becomes the study's reading.
    """
    reading = session.get(Reading, study.id)
    if reading is None or reading.original_path is None:
        return []
    nodes = session.scalars(select(Node).where(Node.active, Node.auto_sends).order_by(Node.name)).all()
    files = [SEG_FILE, SR_FILE]
    return [queue_send(session, study.id, node, reading.original_path, files, what=Parcel.AI) for node in nodes]


def queue_addendum(session: Session, reading: Reading, folder: str, by: UUID) -> list[Job]:
    """Queue the SR with an addendum to every node that the signed report went to, or is on its way to."""
    sends = select(Job.payload).where(Job.study_id == reading.study_id, Job.kind == JobKind.SEND)
    got = {UUID(told["node"]) for told in session.scalars(sends) if told["folder"] == reading.signed_path}
    nodes = session.scalars(select(Node).where(Node.active, Node.id.in_(got)).order_by(Node.name)).all()
    return [queue_send(session, reading.study_id, node, folder, [SR_FILE], by, what=Parcel.ADDENDUM) for node in nodes]


def queue_send(
    session: Session, study_id: UUID, node: Node, folder: str, files: list[str], by: UUID | None = None, *, what: Parcel
) -> Job:
    """Queue the sending of files in a folder, relative to the data folder, to a node; once, however often it is asked."""
    return enqueue(
        session,
        JobKind.SEND,
        study_id=study_id,
        by=by,
        key=f"send:{study_id}:{node.id}:{folder.rpartition('/')[2]}",
        payload={"node": str(node.id), "name": node.name, "folder": folder, "files": files, "what": what.value},
    )


def run_send(sessions: Sessions, settings: Settings, job: Job, progress: Progress) -> Outcome:
    """Send a job's files to its node.

    Raises:
        UnreachableError: The node is not there or cannot take them now; what it took is named.
        DeliveryRefusedError: The node refuses an instance, or is not known any more; what it took is named.
        ReadError: A file is damaged.
    """
    node = _node(sessions, job)
    found = _found(settings, job)
    sent: list[str] = []
    refused: dict[str, Refusal] = {}
    with _open(settings, node, [dataset for _, dataset in found]) as send:
        for number, (name, dataset) in enumerate(found):
            progress(number / len(found), f"sending {name} to {node.name}")
            refusal = send(dataset)
            if refusal is None:
                sent.append(name)
            else:
                refused[name] = refusal
    if refused:
        raise _failure(node, sent, refused)
    uids = {name: str(dataset.SOPInstanceUID) for name, dataset in found}
    return Outcome(answer={"sent": uids}, commit=lambda session: _write_down(session, job, node, sent))


def _node(sessions: Sessions, job: Job) -> Node:
    with sessions() as session:
        node = session.get(Node, UUID(job.payload["node"]))
    if node is None or not node.active:
        raise DeliveryRefusedError(f"node {job.payload['name']!r} is not there any more, or is switched off")
    return node


def _found(settings: Settings, job: Job) -> list[tuple[str, Dataset]]:
    """The files of the job that there are: without findings there is no SEG."""
    folder = (settings.data / job.payload["folder"]).resolve()
    if not folder.is_relative_to(settings.data.resolve()):
        raise DeliveryRefusedError("the folder to send lies outside the data folder")
    found: list[tuple[str, Dataset]] = []
    for name in job.payload["files"]:
        path = folder / Path(name).name
        if path.is_file():
            with damaged(name, "it cannot be sent"):
                found.append((name, pydicom.dcmread(path)))
    if not found:
        raise DeliveryRefusedError("nothing is left to send: the files are gone; restore a backup")
    return found


def _failure(node: Node, sent: list[str], refused: dict[str, Refusal]) -> Exception:
    """One error for all that was refused; worth a retry if any of it is."""
    why = "; ".join(f"{name}: {one.reason}" for name, one in refused.items())
    words = f"{node.name} did not take {why}. Taken: {', '.join(sent) or 'nothing'}"
    return UnreachableError(words) if any(one.later for one in refused.values()) else DeliveryRefusedError(words)


def _write_down(session: Session, job: Job, node: Node, sent: list[str]) -> None:
    by = None if job.by is None else session.get(User, job.by)
    record(session, Action.SENT, by=by, study_id=job.study_id, node=node.name, files=sent)


@contextmanager
def _open(settings: Settings, node: Node, datasets: list[Dataset]) -> Iterator[Send]:
    """How an instance is given to the node, whichever way it is spoken to."""
    if node.kind is NodeKind.DICOMWEB:
        client = _client(node)
        yield lambda dataset: _stow(node, client, dataset)
        return
    association = _associate(settings, node, datasets)
    try:
        yield lambda dataset: _store(node, association, dataset)
    finally:
        association.release()


def _client(node: Node) -> Any:
    """Patients' data go to the address that was given, and nowhere that its answer leads to."""
    fault = web_fault(node.url)
    if fault:
        raise DeliveryRefusedError(f"{node.name}: {fault}")
    client = DICOMwebClient(url=node.url.rstrip("/"), session=CarefulSession(node, read_s=ANSWER_S))
    client.set_http_retry_params(retry=False)  # the queue tries again
    return client


def _stow(node: Node, client: Any, dataset: Dataset) -> Refusal | None:
    try:
        answer = client.store_instances([dataset])
    except RedirectError as error:
        raise DeliveryRefusedError(str(error)) from error
    except RemoteError as error:
        raise UnreachableError(f"{node.name} does not answer: {str(error).removeprefix(f'{node.name}: ')}") from error
    except HTTPError as error:
        return _answered(error.response)
    except ValueError as error:
        return Refusal(reason=f"its answer cannot be read ({type(error).__name__})", later=False)
    return _reasons(answer)


def _answered(response: Any) -> Refusal | None:
    """What an HTTP status other than success means."""
    status = int(response.status_code)
    later = status >= _SERVER_ERROR or status == _SLOW_DOWN
    try:
        told = _reasons(Dataset.from_json(response.json()))
    except (ValueError, KeyError, TypeError, AttributeError):
        told = None
    else:
        if told is None and not later and "FailedSOPSequence" in Dataset.from_json(response.json()):
            return None
    return told or Refusal(reason=f"HTTP {status} {response.reason or ''}".strip(), later=later)


def _reasons(answer: Dataset) -> Refusal | None:
    """Of the instances that a STOW answer lists as failed; one that is there already is none."""
    for item in answer.get("FailedSOPSequence") or ():
        reason = int(item.get("FailureReason") or 0)
        if reason != DUPLICATE:
            return _refusal(reason)
    return None


def _refusal(status: int) -> Refusal:
    later = status & 0xFF00 == OUT_OF_RESOURCES
    words = "out of resources" if later else _STATUSES.get(status, "refused")
    return Refusal(reason=f"{words} (0x{status:04X})", later=later)


def _associate(settings: Settings, node: Node, datasets: list[Dataset]) -> Association:
    try:
        refuse_link_local(node.name, node.host)
    except RemoteError as error:
        raise UnreachableError(str(error)) from error
    entity = AE(ae_title=settings.ae_title)
    entity.connection_timeout, entity.acse_timeout, entity.dimse_timeout, entity.network_timeout = (
        CONNECT_S,
        CONNECT_S,
        ANSWER_S,
        ANSWER_S,
    )
    for sop_class in dict.fromkeys(dataset.SOPClassUID for dataset in datasets):
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    association = entity.associate(node.host, node.port, ae_title=node.ae_title)
    if association.is_established:
        return association
    if association.is_rejected:
        raise DeliveryRefusedError(
            f"{node.name} rejects the association; check its AE title and that it knows {settings.ae_title}"
        )
    raise UnreachableError(f"{node.name} does not answer at {node.host}:{node.port}")


def _store(node: Node, association: Association, dataset: Dataset) -> Refusal | None:
    if not association.is_established:
        return Refusal(reason=f"{node.name} ended the association", later=True)
    try:
        answer = association.send_c_store(dataset)
    except ValueError:
        return Refusal(reason="SOP class not accepted by the node", later=False)
    if "Status" not in answer:
        return Refusal(reason="no answer in time", later=True)
    status = int(answer.Status)
    # 0xBxxx are warnings: it is stored, perhaps not as it was
    return None if status in (0, DUPLICATE) or status & 0xF000 == 0xB000 else _refusal(status)
