"""Talking to a PACS: one careful HTTP session for DICOMweb, one way to open an association, and both ways to ask."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import PresentationContext
from requests.auth import HTTPBasicAuth

from panlesion.aid.settings import Settings
from panlesion.aid.store.check import UID_RULE, clean
from panlesion.aid.store.receiver import VERIFICATION
from panlesion.aid.tables import Node
from panlesion.aid.vocabulary import NodeKind
from panlesion.ct.dicom_header import damaged
from panlesion.errors import PanlesionError

CONNECT_S, READ_S = 10.0, 60.0
MOST_JSON_BYTES = 64 << 20
"""An answer to a query; a series of 5,000 images listed with every tag has some 10 MB."""
MOST_FOUND = 200
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_SHOWN = ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyDescription", "ModalitiesInStudy")


class RemoteError(PanlesionError):
    """A PACS does not answer, or not as it should; the message never has a password or an address with one."""


class RedirectError(RemoteError):
    """It sends us elsewhere; another try would be sent there as well."""


class CarefulSession(requests.Session):
    """Follows no redirect, takes nothing from the environment, and bounds time and size of what is not streamed."""

    def __init__(self, node: Node, *, read_s: float = READ_S) -> None:
        super().__init__()
        self.trust_env = False  # neither proxies nor the passwords of a .netrc
        self._node, self._read_s = node.name, read_s
        if node.user:
            self.auth = HTTPBasicAuth(node.user.encode(), node.password.encode())

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        """Send a request.

        Raises:
            RemoteError: No answer, a redirect, or more than a query's answer may have.
        """
        # Orthanc does not take an escaped star for one, and a star needs no escape
        request.url = None if request.url is None else request.url.replace("%2A", "*")
        streamed = how.pop("stream", False)
        how.update(allow_redirects=False, stream=True, timeout=(CONNECT_S, self._read_s))
        until = time.monotonic() + self._read_s
        refuse_link_local(self._node, urlsplit(request.url or "").hostname or "")
        with naming(self._node):
            answer = super().send(request, **how)
            if answer.is_redirect or answer.is_permanent_redirect:
                answer.close()
                raise RedirectError(
                    f"{self._node}: answers with a redirect, which is not followed. Give the address it leads to"
                )
            if not streamed:
                _read_all(answer, until, self._node)
        return answer


def _read_all(answer: requests.Response, until: float, name: str) -> None:
    pieces, size = [], 0
    for piece in answer.iter_content(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_JSON_BYTES or time.monotonic() > until:
            answer.close()
            raise RemoteError(f"{name}: an answer that does not end ({size} bytes so far; at most {MOST_JSON_BYTES})")
    answer._content, answer._content_consumed = b"".join(pieces), True  # as its own `content` does


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Turn what HTTP and JSON raise into a `RemoteError` that names the PACS and says nothing of how it is reached."""
    try:
        yield
    except requests.HTTPError as error:
        status = "?" if error.response is None else error.response.status_code
        hint = ". Check user and password" if status in (401, 403) else ""
        raise RemoteError(f"{name}: answers HTTP {status}{hint}") from None
    except requests.Timeout:
        raise RemoteError(f"{name}: does not answer in time. Check the address, and that it runs") from None
    except requests.exceptions.JSONDecodeError:
        raise RemoteError(f"{name}: answers what is no DICOMweb (no JSON). Check the address") from None
    except (requests.RequestException, OSError) as error:
        raise RemoteError(f"{name}: cannot be reached ({type(error).__name__}). Check the address, and that it runs") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RemoteError(f"{name}: answers what is no DICOMweb ({type(error).__name__}). Check the address") from None


def refuse_link_local(name: str, host: str) -> None:
    """Refuse a host, by whatever name, at which no PACS is and a cloud's machines tell their secrets (169.254.169.254).

    Raises:
        RemoteError: It is such a one.
    """
    with naming(name):
        found = {ip_address(str(told[4][0]).partition("%")[0]) for told in socket.getaddrinfo(host, None)}
    if any((getattr(one, "ipv4_mapped", None) or one).is_link_local for one in found):
        raise RemoteError(f"{name}: its address is one of this machine's own network port (link-local); no PACS is there")


def web_fault(url: str) -> str:
    """What is wrong with an address of a DICOMweb server; "" for one that may be used."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(c.isspace() for c in url):
        return "an address must begin with http:// or https:// and name a host"
    if "@" in parts.netloc:
        return "user and password have fields of their own; an address must not hold them"
    if parts.query or parts.fragment:
        return "an address must end before ? and #"
    return ""


def web_client(node: Node) -> DICOMwebClient:
    """A DICOMweb client of a node.

    Raises:
        RemoteError: Its address cannot be used.
    """
    fault = web_fault(node.url)
    if fault:
        raise RemoteError(f"{node.name}: {fault}")
    client = DICOMwebClient(node.url.rstrip("/"), session=CarefulSession(node), permissive_uid=True)
    client.set_http_retry_params(retry=False)  # a person waits, and jobs are tried again as a whole
    return client


@contextmanager
def associated(
    node: Node, settings: Settings, contexts: list[PresentationContext], *, roles: list[Any] | None = None, on_store: Any = None
) -> Iterator[Any]:
    """An association with a DIMSE node, released at the end.

    Raises:
        RemoteError: It cannot be reached, or refuses.
    """
    refuse_link_local(node.name, node.host)
    ae = AE(ae_title=settings.ae_title)
    ae.connection_timeout = CONNECT_S
    ae.acse_timeout = CONNECT_S
    ae.dimse_timeout = ae.network_timeout = READ_S
    ae.requested_contexts = contexts
    handlers: list[Any] = [] if on_store is None else [(evt.EVT_C_STORE, on_store)]
    assoc = ae.associate(node.host, node.port, ae_title=node.ae_title, ext_neg=roles or [], evt_handlers=handlers)
    if not assoc.is_established:
        why = "refuses the association; check both AE titles" if assoc.is_rejected else "cannot be reached; check host and port"
        raise RemoteError(f"{node.name}: {why}")
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()
        ae.shutdown()


def echo(node: Node, settings: Settings) -> str:
    """Ask whether a node is there; its answer in words.

    Raises:
        RemoteError: It is not, or does not understand.
    """
    if node.kind is NodeKind.DICOMWEB:
        with naming(node.name):
            found = web_client(node).search_for_studies(limit=1)
        return f"answers QIDO-RS ({'it has studies' if found else 'no study was shown'})"
    with associated(node, settings, [_context(VERIFICATION)]) as assoc:
        status = assoc.send_c_echo()
    if status.get("Status") != 0:
        raise RemoteError(f"{node.name}: does not answer C-ECHO (status {status.get('Status', 'none')})")
    return "answers C-ECHO"


def search(node: Node, settings: Settings, q: str) -> list[dict[str, str]]:
    """Studies of a node by name, ID, accession number or study UID; all, up to `MOST_FOUND`, for an empty text.

    Raises:
        RemoteError: The node cannot be asked.
    """
    found: dict[str, dict[str, str]] = {}
    for filters in _filters(clean(q, 64)):
        ask = _search_web if node.kind is NodeKind.DICOMWEB else _search_dimse
        for ds in ask(node, settings, filters):
            with damaged(node.name, "its answer cannot be read"):
                study = {keyword: _word(ds, keyword) for keyword in _SHOWN}
            if study["StudyInstanceUID"]:
                found.setdefault(study["StudyInstanceUID"], study)
    return list(found.values())[:MOST_FOUND]


def _filters(q: str) -> list[dict[str, str]]:
    q = q.replace("\\", "").replace("*", "").replace("?", "").strip()
    if not q:
        return [{}]
    if q.count(".") > 1 and UID_RULE.fullmatch(q):
        return [{"StudyInstanceUID": q}]
    return [{"PatientName": f"*{q}*"}, {"PatientID": q}, {"AccessionNumber": q[:16]}]


def _search_web(node: Node, _settings: Settings, filters: dict[str, str]) -> list[Dataset]:
    with naming(node.name):
        client = web_client(node)
        found = client.search_for_studies(
            limit=MOST_FOUND, search_filters=filters, fields=["ModalitiesInStudy", "StudyDescription"]
        )
        return [Dataset.from_json(each) for each in found]


def _search_dimse(node: Node, settings: Settings, filters: dict[str, str]) -> list[Dataset]:
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    for keyword in _SHOWN:
        setattr(wanted, keyword, "")
    wanted.AccessionNumber = ""
    if any(not value.isascii() for value in filters.values()):
        wanted.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in filters.items():
        setattr(wanted, keyword, value)
    found: list[Dataset] = []
    with associated(node, settings, [_context(_FIND)]) as assoc, damaged(node.name, "its answer cannot be read"):
        for status, ds in assoc.send_c_find(wanted, _FIND):
            code = status.get("Status")
            if code in (0xFF00, 0xFF01):
                if ds is not None:
                    found.append(ds)
            elif code != 0:
                raise RemoteError(f"{node.name}: refuses the query (C-FIND status {'none' if code is None else f'{code:04X}'})")
            if len(found) >= MOST_FOUND:
                assoc.abort()
                break
    return found


def _context(sop_class: str) -> PresentationContext:
    made = PresentationContext()
    made.abstract_syntax = sop_class
    made.transfer_syntax = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
    return made


def _word(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    if value is None:
        return ""
    many = not isinstance(value, str) and hasattr(value, "__iter__") and keyword == "ModalitiesInStudy"
    return clean("/".join(map(str, value)) if many else str(value), 324)
