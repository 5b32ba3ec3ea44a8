"""How fast images come out: a 512×512×300 CT from our server, alone and with readers at work, and from Orthanc.

    OMP_NUM_THREADS=1 python benchmarks/bench_images.py FOLDER [--slices 300] [--readers 20] [--orthanc]

The series is drawn noise in a body, made once and kept in FOLDER. A real uvicorn serves it on loopback; the client, a process
of its own, asks as a browser does: HTTP/1.1, kept alive, 6 connections side by side. `readers` are further sessions, each
scrolling at 5 images a second and asking for the list of studies every 2 seconds. Orthanc (Debian's, with its DICOMweb plugin)
gets the same files and the same questions. Goals: first image in 1 s and all of them in 5 s, with 20 readers at work; metadata
in 1 s, then in 0.2 s.
"""

import argparse
import base64
import hashlib
import http.client
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

CONNECTIONS, SCROLL_PER_S, POLL_S, NAME, PASSWORD = 6, 5.0, 2.0, "reader-1", "a password for measuring"
OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
Ask = tuple[str, int, dict[str, str]]
"""Host, port and headers of a server."""


def draw(folder: Path, slices: int) -> dict[str, Any]:
    """A series with its server's data folder; what it holds is told by `made.json`."""
    told = folder / "made.json"
    if told.exists():
        return json.loads(told.read_text())
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:512, :512]
    body = np.where(((x - 256) / 200) ** 2 + ((y - 256) / 150) ** 2 < 1, 40, -1000)
    made: dict[str, Any] = {"study": study, "series": series, "sops": [], "ids": [os.urandom(16).hex(), os.urandom(16).hex()]}
    home = folder / "data" / "dicom" / _dashed(made["ids"][0]) / _dashed(made["ids"][1])
    home.mkdir(parents=True)
    for k in range(slices):
        hu = np.clip(body + rng.normal(0, 20, body.shape), -1024, 3000).round().astype(np.int16)
        ds = _image(hu, k)
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = study, series, frame
        ds.save_as(home / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
        made["sops"].append(str(ds.SOPInstanceUID))
    told.write_text(json.dumps(made))
    return made


def _dashed(hexed: str) -> str:
    return "-".join((hexed[:8], hexed[8:12], hexed[12:16], hexed[16:20], hexed[20:]))


def _image(hu: np.ndarray, k: int) -> FileDataset:
    """A slice with about as many attributes as scanners write."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, meta.MediaStorageSOPInstanceUID, "CT"
    ds.PatientName, ds.PatientID, ds.StudyDate, ds.StudyTime = "Speed^Test", "SPEED", "20250304", "101112"
    ds.ImageType, ds.InstanceNumber, ds.SeriesNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], k + 1, 2
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-200.0, -200.0, 1.5 * k], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness, ds.KVP, ds.SliceLocation = [0.8, 0.8], 1.5, 120, 1.5 * k
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
    ds.WindowCenter, ds.WindowWidth, ds.Manufacturer, ds.ConvolutionKernel = [40, -600], [400, 1500], "drawn", "B30f"
    ds.ContentTime, ds.XRayTubeCurrent, ds.ExposureTime = f"1011{k // 60 % 60:02d}.{k % 60:06d}", 200 + k % 50, 500
    block = ds.private_block(0x0029, "PANLESION TEST", create=True)
    for n in range(40):
        block.add_new(n, "LO", f"private value {n} of slice {k if n % 8 == 0 else 0}")
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = *hu.shape, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = (hu.astype(np.int32) + 1024).astype("<u2").tobytes()
    return ds


def fill(folder: Path, made: dict[str, Any]) -> None:
    """The rows of the series and an account, in a new database."""
    from uuid import UUID

    from panlesion.aid.db import migrate, open_engine, open_sessions
    from panlesion.aid.secrets import hash_password
    from panlesion.aid.settings import Settings
    from panlesion.aid.tables import Instance, Series, Study, User
    from panlesion.aid.vocabulary import Role, StudySource, StudyState

    settings = Settings(data=folder / "data", workers=0)
    if (folder / "data" / "aid.sqlite").exists():
        return
    migrate(settings.database)
    ids = [UUID(hexed) for hexed in made["ids"]]
    with open_sessions(open_engine(settings.database)).begin() as session:
        session.add(User(name=NAME, display_name="Dr R", role=Role.READER, password_hash=hash_password(PASSWORD)))
        at = datetime(2025, 3, 4, 10, 11, 12, tzinfo=UTC)
        study = Study(id=ids[0], study_uid=made["study"], state=StudyState.READY, source=StudySource.STORE, study_at=at)
        study.patient_id, study.images, study.primary_series = "SPEED", len(made["sops"]), made["series"]
        session.add(study)
        session.flush()
        session.add(Series(id=ids[1], study_id=ids[0], series_uid=made["series"], modality="CT", images=study.images, number=2))
        session.flush()
        for k, sop in enumerate(made["sops"]):
            path = f"dicom/{ids[0]}/{ids[1]}/{sop}.dcm"
            data = (folder / "data" / path).read_bytes()
            row = Instance(sop_uid=sop, series_id=ids[1], sop_class=str(CTImageStorage), number=k + 1, rows=512, columns=512)
            row.transfer_syntax, row.path, row.bytes = str(ExplicitVRLittleEndian), path, len(data)
            row.sha256 = hashlib.sha256(data).hexdigest()
            session.add(row)


def serve(folder: str, port: int) -> None:
    """The server, in a process of its own."""
    import uvicorn

    from panlesion.aid.app import create_app
    from panlesion.aid.settings import Settings

    uvicorn.run(create_app(Settings(data=Path(folder), workers=0)), host="127.0.0.1", port=port, log_level="warning")


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def log_in(port: int, name: str = NAME) -> Ask:
    """A session of its own; changes are let in by its token, too."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    said = json.dumps({"name": name, "password": PASSWORD})
    connection.request("POST", "/api/login", said, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status == 200, answer.status
    cookie = (answer.headers["Set-Cookie"] or "").split(";")[0]
    connection.close()
    return "127.0.0.1", port, {"Cookie": cookie, "X-CSRF-Token": json.loads(data)["csrf"]}


def ask(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status == 200, (answer.status, path, data[:300])
    return data


def timed(server: Ask, path: str, accept: str = "*/*", encoding: str = "gzip") -> tuple[float, int]:
    """Seconds and bytes of one request on a new connection."""
    host, port, headers = server
    begin = time.perf_counter()
    connection = http.client.HTTPConnection(host, port, timeout=120)
    data = ask(connection, path, {**headers, "Accept": accept, "Accept-Encoding": encoding})
    connection.close()
    return time.perf_counter() - begin, len(data)


def frames(server: Ask, root: str, made: dict[str, Any], encoding: str = "gzip, deflate") -> tuple[float, float, int]:
    """Seconds until the first image and until all of them are there, by 6 connections; and their bytes."""
    host, port, headers = server
    left = iter(made["sops"])
    lock, arrived, sizes = threading.Lock(), [], []
    begin = time.perf_counter()

    def connection_works() -> None:
        connection = http.client.HTTPConnection(host, port, timeout=120)
        while True:
            with lock:
                sop = next(left, None)
            if sop is None:
                connection.close()
                return
            path = f"{root}/studies/{made['study']}/series/{made['series']}/instances/{sop}/frames/1"
            data = ask(connection, path, {**headers, "Accept": OCTETS, "Accept-Encoding": encoding})
            arrived.append(time.perf_counter() - begin)
            sizes.append(len(data))

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(connection_works) for _ in range(CONNECTIONS)]:
            done.result()
    assert len(arrived) == len(made["sops"])
    return min(arrived), max(arrived), sum(sizes)


def read_along(port: int, made: dict[str, Any], number: int, ready: Any, stop: Any, out: Any) -> None:
    """Readers at work, in a process of their own: each scrolls and looks at the list."""
    waits: list[float] = []

    def reader(n: int) -> None:
        host, at, headers = logins[n]
        connection = http.client.HTTPConnection(host, at, timeout=120)
        polled, k = time.monotonic() - POLL_S * n / number, n * 13
        while not stop.is_set():
            begin = time.monotonic()
            sop = made["sops"][k % len(made["sops"])]
            path = f"/dicomweb/studies/{made['study']}/series/{made['series']}/instances/{sop}/frames/1"
            ask(connection, path, {**headers, "Accept": OCTETS})
            waits.append(time.monotonic() - begin)
            if begin - polled > POLL_S:
                polled = begin
                ask(connection, "/dicomweb/studies?limit=100", headers)
            k += 1
            stop.wait(max(0.0, 1 / SCROLL_PER_S - (time.monotonic() - begin)))
        connection.close()

    logins = [log_in(port) for _ in range(number)]
    ready.set()
    threads = [threading.Thread(target=reader, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put((len(waits), float(np.percentile(waits, 95)) if waits else 0.0))


def measure(name: str, server: Ask, root: str, made: dict[str, Any], repeats: int, encoding: str = "gzip, deflate") -> float:
    """Print what a server does; returns the median time of all images."""
    series = f"{root}/studies/{made['study']}/series/{made['series']}"
    metadata = [timed(server, f"{series}/metadata", "application/dicom+json") for _ in range(2)]
    runs = sorted(frames(server, root, made, encoding) for _ in range(repeats))
    whole = sorted(run[1] for run in runs)
    middle = whole[len(whole) // 2]
    print(
        f"{name:28s} metadata {metadata[0][0]:.3f} s, again {metadata[1][0]:.3f} s | first {runs[len(runs) // 2][0]:.3f} s | "
        f"all {middle:.2f} s ({runs[0][2] / middle / 1e6:.0f} MB/s), {whole[0]:.2f} … {whole[-1]:.2f}",
        flush=True,
    )
    return middle


def wait_for(port: int, process: Any) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"the server does not answer: {process}")


def with_orthanc(folder: Path, made: dict[str, Any], repeats: int) -> float:
    """The rival, with the same files and questions."""
    port, home = free_port(), folder / "orthanc"
    home.mkdir(exist_ok=True)
    config = {
        "StorageDirectory": str(home / "storage"),
        "IndexDirectory": str(home / "storage"),
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {NAME: PASSWORD},
        "HttpPort": port,
        "DicomServerEnabled": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (home / "orthanc.json").write_text(json.dumps(config))
    headers = {"Authorization": "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()}
    with (
        (home / "log").open("wb") as log,
        subprocess.Popen(["Orthanc", str(home / "orthanc.json")], stdout=log, stderr=log) as run,
    ):
        try:
            wait_for(port, run)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            for file in sorted((folder / "data" / "dicom").rglob("*.dcm")):
                connection.request("POST", "/instances", file.read_bytes(), headers)
                assert connection.getresponse().read()
            packed = measure("Orthanc, gzip as asked", ("127.0.0.1", port, headers), "/dicom-web", made, 1)
            plain = measure("Orthanc, no gzip", ("127.0.0.1", port, headers), "/dicom-web", made, repeats, "identity")
            return min(packed, plain)
        finally:
            run.terminate()


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--orthanc", action="store_true")
    told = parser.parse_args(argv)
    told.folder.mkdir(parents=True, exist_ok=True)
    made = draw(told.folder, told.slices)
    fill(told.folder, made)
    for old in (told.folder / "data").glob("cache/*/*/*"):
        old.unlink()
    context, port = multiprocessing.get_context("spawn"), free_port()
    server = context.Process(target=serve, args=(str(told.folder / "data"), port), daemon=True)
    server.start()
    try:
        wait_for(port, server)
        ours = log_in(port)
        alone = measure("ours, alone", ours, "/dicomweb", made, told.repeats)
        volume = f"/api/studies/{_dashed(made['ids'][0])}/volume"
        for name in ("decoded first", "again", "again"):
            seconds, size = timed(ours, volume, encoding="identity")
            print(f"{'ours, volume':28s} {name}: {seconds:.2f} s, {size / 1e6:.0f} MB", flush=True)
        at_work(context, port, made, told, ours)
        if told.orthanc:
            print(
                f"Orthanc at its best takes {with_orthanc(told.folder, made, told.repeats) / alone:.1f} times as long as ours"
            )
    finally:
        server.terminate()
        server.join()


def at_work(context: Any, port: int, made: dict[str, Any], told: argparse.Namespace, ours: Ask) -> None:
    ready, stop, out = context.Event(), context.Event(), context.Queue()
    readers = context.Process(target=read_along, args=(port, made, told.readers, ready, stop, out), daemon=True)
    readers.start()
    ready.wait(120)
    begin = time.monotonic()
    time.sleep(2)
    measure(f"ours, {told.readers} readers at work", ours, "/dicomweb", made, told.repeats)
    seconds = time.monotonic() - begin
    stop.set()
    count, late = out.get(timeout=60)
    readers.join()
    print(f"{'readers meanwhile':28s} {count / seconds:.0f} images a second, p95 {late * 1000:.0f} ms", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
