"""The C-STORE receiver: what modalities and PACS send, and where a C-MOVE of ours has its images sent."""

import contextlib
import socket
import threading
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.transport import ThreadedAssociationServer
from sqlalchemy.exc import SQLAlchemyError

from panlesion.aid.db import Sessions
from panlesion.aid.settings import Settings
from panlesion.aid.store.check import clean
from panlesion.aid.store.files import landing, pour
from panlesion.aid.store.intake import ANYTHING, Outcome, Taken, Wanted, refuse, take_landed
from panlesion.aid.vocabulary import StudySource
from panlesion.ct.dicom_header import damaged
from panlesion.data.publish import DiskFullError
from panlesion.errors import PanlesionError

VERIFICATION = "1.2.840.10008.1.1"
SUCCESS, OUT_OF_RESOURCES, MISMATCH, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xA900, 0xC000
UNCOMPRESSED = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
COMPRESSED = [
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    JPEG2000,
    JPEGLossless,
    JPEGLSNearLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
]
SYNTAXES = [*UNCOMPRESSED, *COMPRESSED, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]
MOST_PDU_BYTES = 1 << 20
"""What is offered is 64 KiB; a peer that sends more than this in one piece means harm."""
OFFERED_PDU_BYTES = 1 << 16
TIMEOUT_S, STOP_S = 30.0, 10.0

# what is asked and answered by DIMSE names patients, and belongs in no log
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
_config.LOG_HANDLER_LEVEL = "none"


class _Server(ThreadedAssociationServer):
    """Closes connections beyond twice the associations allowed, before they cost a thread each."""

    daemon_threads = True

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        allowed: int = self.ae.maximum_associations
        return len(self.active_associations) < 2 * allowed


@dataclass(kw_only=True)
class Receiver:
    """A receiver that runs; `port` is where it listens."""

    port: int
    _server: Any = field(repr=False)
    _thread: threading.Thread = field(repr=False)

    def stop(self) -> None:
        """Stop listening and cut off what is being sent; an image that is whole is still kept, nothing half is."""
        associations = self._server.active_associations
        self._server.shutdown()
        for assoc in associations:
            # pynetdicom's own abort waits for a peer that stalls, and fails for one that has not asked for anything yet
            with contextlib.suppress(OSError, AttributeError):
                assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            if not assoc.is_established:
                assoc.dul.to_user_queue.put(None)  # what it takes for a request that never came
        for thread in (*associations, self._thread):
            thread.join(STOP_S)


def start_receiver(settings: Settings, sessions: Sessions, *, timeout_s: float = TIMEOUT_S) -> Receiver:
    """Listen for associations in threads of this process; `dicom_port` 0 takes a free port.

    Raises:
        OSError: The port is taken.
    """
    ae = AE(ae_title=settings.ae_title)
    ae.maximum_pdu_size = OFFERED_PDU_BYTES
    ae.maximum_associations = settings.max_associations
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    ae.require_called_aet = True
    ae.require_calling_aet = list(settings.calling_ae_titles)
    ae.add_supported_context(VERIFICATION)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(str(context.abstract_syntax), SYNTAXES)
    guard = _Guard(most=settings.max_file_bytes + MOST_PDU_BYTES, timeout_s=timeout_s)
    server = ae.make_server(
        (settings.dicom_host, settings.dicom_port),
        server_class=_Server,
        evt_handlers=[
            (evt.EVT_CONN_OPEN, guard.opened),
            (evt.EVT_DATA_RECV, guard.came),
            (evt.EVT_CONN_CLOSE, guard.closed),
            (evt.EVT_C_STORE, _handled, [settings, sessions, guard]),
        ],
    )
    ae._servers.append(server)  # as `start_server` does, which takes no server class
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="dicom-receiver", daemon=True)
    thread.start()
    return Receiver(port=server.server_address[1], _server=server, _thread=thread)


class _Guard:
    """Bounds what one peer may make us hold: pynetdicom itself believes any length, and waits for it for ever."""

    def __init__(self, *, most: int, timeout_s: float) -> None:
        self._most, self._timeout_s = most, timeout_s
        self._held: dict[int, int] = defaultdict(int)

    def opened(self, event: Any) -> None:
        """Before the first byte: no piece larger than agreed, no silence within a piece."""
        transport = event.assoc.dul.socket
        transport.socket.settimeout(self._timeout_s)
        receive = transport.recv

        def bounded(count: int) -> Any:
            if count > MOST_PDU_BYTES:
                raise OSError(f"a PDU of {count} bytes; at most {MOST_PDU_BYTES}")
            return receive(count)

        transport.recv = bounded

    def came(self, event: Any) -> None:
        self._held[id(event.assoc)] += len(event.data)
        if self._held[id(event.assoc)] > self._most:
            event.assoc.abort()

    def handled(self, assoc: Any, size: int) -> None:
        """An image has left memory."""
        self._held[id(assoc)] -= size

    def closed(self, event: Any) -> None:
        self._held.pop(id(event.assoc), None)


def _handled(event: Any, settings: Settings, sessions: Sessions, guard: _Guard) -> Dataset:
    size = event.request.DataSet.getbuffer().nbytes
    try:
        return store_and_tell(event, settings, sessions)[1]
    finally:
        guard.handled(event.assoc, size)


def store_and_tell(
    event: Any, settings: Settings, sessions: Sessions, wanted: Wanted = ANYTHING
) -> tuple[Taken | None, Dataset]:
    """Keep the image of a C-STORE event; what became of it, None where disk or database failed, and the status that says so."""
    try:
        taken = _taken(event, settings, sessions, wanted)
    except (DiskFullError, SQLAlchemyError, OSError) as error:
        words = "no room is left" if isinstance(error, DiskFullError) else "cannot be written now; send it again"
        return None, _status(OUT_OF_RESOURCES, words)
    if taken.outcome is not Outcome.REFUSED:
        return taken, _status(SUCCESS, "")
    return taken, _status(MISMATCH if taken.mismatch else CANNOT_UNDERSTAND, taken.reason)


def _taken(event: Any, settings: Settings, sessions: Sessions, wanted: Wanted) -> Taken:
    """Take the very bytes that were sent, without reading more of them than any other file's."""
    request = event.request
    sop_uid, sop_class = str(request.AffectedSOPInstanceUID or ""), str(request.AffectedSOPClassUID or "")
    ours = event.assoc.is_requestor or request.MoveOriginatorMessageID is not None
    source = StudySource.PULL if ours else StudySource.STORE
    name = clean(f"{event.assoc.remote['ae_title']}: {sop_uid}", 256)
    with landing(settings, name=name) as made:
        try:
            made.write(_head(event, name))
            request.DataSet.seek(0)
            pour(request.DataSet, made)
        except DiskFullError:
            raise
        except PanlesionError as error:
            return refuse(sessions, name, str(error), source=source, by=None)
        wanted = replace(wanted, sop_uid=sop_uid, sop_class=sop_class)
        return take_landed(sessions, settings, made, source=source, by=None, wanted=wanted)


def _head(event: Any, name: str) -> bytes:
    """What stands before the data set in a file."""
    written = DicomBytesIO()
    with damaged(name, "the request names no image"):
        write_file_meta_info(written, event.file_meta)
    return bytes(128) + b"DICM" + written.getvalue()


def _status(code: int, words: str) -> Dataset:
    told = Dataset()
    told.Status = code
    if words:
        told.ErrorComment = clean(words, 64).encode("ascii", "replace").decode().replace("\\", "/")
    return told
