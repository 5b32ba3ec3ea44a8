"""A real Orthanc on loopback, in a folder of its own, gone when the test is over."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next((p for p in (shutil.which("Orthanc"), "/usr/sbin/Orthanc") if p and Path(p).is_file()), None)
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
NAME, PASSWORD = "orthanc", "a password of Orthanc"
OURS = "PANLESION"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """`url` is Orthanc's own REST API, `dicomweb` that of its DICOMweb plugin; both want `NAME` and `PASSWORD`."""

    url: str
    host: str
    dicom_port: int
    ae_title: str

    @property
    def dicomweb(self) -> str:
        return f"{self.url}/dicom-web"

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", data=body, method=method)
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode())
        with _OPENER.open(request, timeout=30) as answer:
            return answer.read()

    def told(self, method: str, path: str, body: Any = None) -> Any:
        return json.loads(self.ask(method, path, None if body is None else json.dumps(body).encode()) or b"null")

    def upload(self, file: Path | bytes) -> str:
        """Orthanc's id of the instance."""
        return json.loads(self.ask("POST", "/instances", file if isinstance(file, bytes) else file.read_bytes()))["ID"]

    def upload_folder(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.upload(path)

    def study_uids(self) -> list[str]:
        found = self.told("GET", "/studies?expand")
        return sorted(study["MainDicomTags"]["StudyInstanceUID"] for study in found)

    def instances(self, study_uid: str) -> dict[str, str]:
        """SOP class by SOP instance UID of a study's images and documents."""
        wanted = {"Level": "Instance", "Query": {"StudyInstanceUID": study_uid}}
        return {
            self._tag(id_, "SOPInstanceUID"): self._tag(id_, "SOPClassUID") for id_ in self.told("POST", "/tools/find", wanted)
        }

    def fetch(self, sop_uid: str) -> bytes:
        """The file of an instance, as Orthanc keeps it."""
        (id_,) = self.told("POST", "/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sop_uid}})
        return self.ask("GET", f"/instances/{id_}/file")

    def knows_us_at(self, port: int, ae_title: str = OURS) -> None:
        """Where C-MOVE and `send_study` find our receiver."""
        self.ask("PUT", "/modalities/us", json.dumps([ae_title, "127.0.0.1", port]).encode())

    def send_study(self, study_uid: str) -> None:
        """C-STORE a study to us; raises where Orthanc could not."""
        (id_,) = self.told("POST", "/tools/find", {"Level": "Study", "Query": {"StudyInstanceUID": study_uid}})
        self.told("POST", "/modalities/us/store", {"Resources": [id_], "Synchronous": True})

    def clear(self) -> None:
        """Forget every patient."""
        for patient in self.told("GET", "/patients"):
            self.ask("DELETE", f"/patients/{patient}")

    def _tag(self, instance: str, keyword: str) -> str:
        return self.ask("GET", f"/instances/{instance}/content/{keyword}").decode().strip("\0 ")


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def _configuration(folder: Path, http_port: int, dicom_port: int, title: str) -> dict[str, Any]:
    return {
        "Name": "tests",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(DICOMWEB)],
        "Locale": "C",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {NAME: PASSWORD},
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": title,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"us": [OURS, "127.0.0.1", 1]},
        "DicomScuTimeout": 20,
        "StableAge": 1,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
    }


@contextmanager
def running_orthanc(folder: Path, *, ae_title: str = "ORTHANC") -> Iterator[Orthanc]:
    """An empty Orthanc that answers; skips the test where it is not installed."""
    if PROGRAM is None or not DICOMWEB.is_file():
        pytest.skip("Orthanc with its DICOMweb plugin (Debian packages orthanc, orthanc-dicomweb) is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    http_port, dicom_port = free_port(), free_port()
    told = folder / "orthanc.json"
    told.write_text(json.dumps(_configuration(folder, http_port, dicom_port, ae_title)))
    made = Orthanc(url=f"http://127.0.0.1:{http_port}", host="127.0.0.1", dicom_port=dicom_port, ae_title=ae_title)
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, str(told)], stdout=log, stderr=log, cwd=folder)
        try:
            _wait(made, process, folder / "orthanc.log")
            yield made
        finally:
            process.kill()  # its orderly end takes seconds, and what it holds goes with the folder
            process.wait()


def _wait(made: Orthanc, process: subprocess.Popen, log: Path, *, most_s: float = 40.0) -> None:
    until = time.monotonic() + most_s
    while process.poll() is None and time.monotonic() < until:
        try:
            made.ask("GET", "/system")
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail(f"Orthanc does not answer:\n{log.read_text(errors='replace')[-2000:]}")
