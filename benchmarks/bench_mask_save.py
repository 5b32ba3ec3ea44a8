"""How long a reader waits after a stroke: planes of a 512×512×300 mask sent, stored, and the findings in them measured anew.

    OMP_NUM_THREADS=1 python benchmarks/bench_mask_save.py [--shape 512,512,300] [--repeat 7]

A server in this process, SQLite on disk, five drawn lesions of 15 to 60 mm. A stroke paints a disc into one lesion on one
plane, a ball over nine planes, or a disc into every lesion at once. Times are of the whole request, as the page sees it, and
of its parts. Goal: below one second.
"""

import argparse
import gzip
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np
from fastapi.testclient import TestClient

from panlesion.aid.app import create_app
from panlesion.aid.deps import CSRF_HEADER
from panlesion.aid.reads.begin import begin_reading
from panlesion.aid.reads.masks import pack, same_label, unpack, with_planes
from panlesion.aid.reads.scan import CT_FILE, GRID_FILE
from panlesion.aid.reads.sizes import size_of
from panlesion.aid.schemas.studies import GridOut
from panlesion.aid.secrets import hash_password
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Series, Study, User
from panlesion.aid.vocabulary import Role, StudySource, StudyState
from panlesion.ct.nifti import write_labels
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.infer.record import (
    FINDINGS_FILE,
    LESIONS_FILE,
    Algorithm,
    Caliper,
    Findings,
    LesionRecord,
    OperatingPoint,
    write_findings,
)

SPACING_MM = (0.8, 0.8, 1.5)
CENTRES = ((0.3, 0.4, 0.3), (0.6, 0.4, 0.5), (0.5, 0.6, 0.7), (0.7, 0.3, 0.6), (0.4, 0.7, 0.8))
RADII_MM = (7.5, 10.0, 15.0, 20.0, 30.0)


def ball(labels: np.ndarray, at: tuple[int, ...], radius_mm: float, value: int) -> None:
    reach = [int(np.ceil(radius_mm / mm)) for mm in SPACING_MM]
    part = tuple(slice(max(0, c - r), c + r + 1) for c, r in zip(at, reach, strict=True))
    sides = zip(part, labels.shape, at, SPACING_MM, strict=True)
    offset = [((np.arange(s.start, min(s.stop, n)) - c) * mm) ** 2 for s, n, c, mm in sides]
    labels[part][np.add.outer(np.add.outer(offset[0], offset[1]), offset[2]) <= radius_mm**2] = value


def record(number: int, at: tuple[int, ...]) -> LesionRecord:
    i, j, k = at
    line = Caliper(length_mm=1.0, ends_ijk=((i, j, k), (i, j, k)), ends_xyz=((0, 0, 0), (0, 0, 0)))
    return LesionRecord(
        number=number, tracking_id=f"lesion {number}", tracking_uid=f"1.2.{number}", type="liver_tumor", probability=0.8,
        organ="liver", side="", location="", volume_ml=1.0, diameter_mm=1.0, long=line, short=line, extent_mm=(1, 1, 1),
        centre_ijk=(i, j, k), centre_xyz=(0, 0, 0), mean_hu=0.0, sd_hu=0.0,
    )  # fmt: skip


def made(folder: Path, shape: tuple[int, int, int]) -> tuple[TestClient, str, np.ndarray, Volume, list[tuple[int, ...]]]:
    settings = Settings(data=folder, workers=0)
    app = create_app(settings)
    grid = Grid(shape=shape, affine=np.diag([*SPACING_MM, 1.0]))
    study_id, job = uuid4(), uuid4()
    results = folder / "results" / str(study_id) / str(job)
    results.mkdir(parents=True)
    rng = np.random.default_rng(1)
    plane = rng.normal(50, 20, (shape[1], shape[0])).astype(np.int16)
    np.save(results / CT_FILE, np.stack([np.roll(plane, n) for n in range(shape[2])]))
    told = GridOut(shape=shape, spacing_mm=SPACING_MM, affine=grid.affine.tolist(), sops=[f"1.{n}" for n in range(shape[2])])
    (results / GRID_FILE).write_text(told.model_dump_json())
    labels = np.zeros(shape, dtype=np.uint8, order="F")
    middles = [tuple(int(share * n) for share, n in zip(one, shape, strict=True)) for one in CENTRES]
    for number, (at, radius) in enumerate(zip(middles, RADII_MM, strict=True), 1):
        ball(labels, at, radius, number)
    write_labels(results / LESIONS_FILE, LabelMap(labels=labels, grid=grid))
    findings = Findings(
        case=str(job), kind="dicom", shape=shape, spacing_mm=SPACING_MM,
        algorithm=Algorithm(name="a", version="1", checkpoint="c", weights_sha256=""),
        operating_point=OperatingPoint(least_probability=0.1),
        lesions=tuple(record(number, at) for number, at in enumerate(middles, 1)),
    )  # fmt: skip
    write_findings(results / FINDINGS_FILE, findings)
    with app.state.sessions.begin() as session:
        secret = hash_password("a long password")
        session.add(User(name="reader", display_name="Reader", role=Role.READER, password_hash=secret))
        study = Study(id=study_id, study_uid="1.2.3", state=StudyState.READY, source=StudySource.UPLOAD, primary_series="1.2.4")
        session.add(study)
        session.flush()
        session.add(Series(study_id=study_id, series_uid="1.2.4", modality="CT"))
        begun = time.perf_counter()
        begin_reading(session, settings, study, results)
        print(f"beginning the reading: {time.perf_counter() - begun:.2f} s")
    client = TestClient(app, base_url="http://127.0.0.1")
    answer = client.post("/api/login", json={"name": "reader", "password": "a long password"})
    client.headers[CSRF_HEADER] = answer.json()["csrf"]
    ct = Volume(hu=np.load(results / CT_FILE, mmap_mode="r").T, grid=grid)
    return client, f"/api/studies/{study_id}", labels, ct, middles


def timed(name: str, run: Callable[[], object], repeat: int) -> None:
    took = []
    for _ in range(repeat):
        begun = time.perf_counter()
        told = run()
        took.append(told if isinstance(told, float) else time.perf_counter() - begun)
    print(f"{name:44s} median {np.median(took):.3f} s, max {max(took):.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="512,512,300")
    parser.add_argument("--repeat", type=int, default=7)
    args = parser.parse_args()
    i, j, k = map(int, args.shape.split(","))
    with tempfile.TemporaryDirectory() as folder:
        client, path, labels, ct, middles = made(Path(folder), (i, j, k))
        state = {"version": 1}
        rng = np.random.default_rng(2)

        def send(first: int, last: int) -> float:
            body = gzip.compress(labels[:, :, first : last + 1].tobytes(order="F"), compresslevel=1)
            begun = time.perf_counter()
            answer = client.put(
                f"{path}/mask", params={"first_k": first, "last_k": last}, content=body,
                headers={"If-Match": f'"{state["version"]}"'},
            )  # fmt: skip
            assert answer.status_code == 200, answer.text
            assert answer.json()["version"] == state["version"] + 1
            state["version"] += 1
            return time.perf_counter() - begun

        def stroke(which: list[int], planes: int) -> float:
            for number in which:
                a, b, c = middles[number - 1]
                turn, out = rng.uniform(0, 2 * np.pi), RADII_MM[number - 1] / SPACING_MM[0]
                a, b = a + int(out * np.cos(turn)), b + int(out * np.sin(turn))
                block = np.zeros_like(labels[:, :, c - planes // 2 : c + planes // 2 + 1])
                ball(block, (a, b, planes // 2), 6.0, 1)
                labels[:, :, c - planes // 2 : c + planes // 2 + 1][block > 0] = number
            ks = [middles[number - 1][2] for number in which]
            return send(min(ks) - planes // 2, max(ks) + planes // 2)

        stroke([1], 1)
        timed("disc on one plane, the smallest lesion", lambda: stroke([1], 1), args.repeat)
        timed("disc on one plane, the largest lesion", lambda: stroke([5], 1), args.repeat)
        timed("ball over nine planes, the largest lesion", lambda: stroke([5], 9), args.repeat)
        timed("five lesions at once, 150 planes sent", lambda: stroke([1, 2, 3, 4, 5], 1), args.repeat)
        timed("reading, loaded", lambda: client.get(f"{path}/reading"), args.repeat)
        timed("mask, loaded", lambda: client.get(f"{path}/mask"), args.repeat)
        packed = pack(labels)
        print(f"a packed mask has {len(packed)} bytes")
        timed("  part: pack", lambda: pack(labels), args.repeat)
        timed("  part: unpack", lambda: unpack(packed, (i, j, k)), args.repeat)
        timed("  part: planes put in", lambda: with_planes(labels, labels[:, :, 10:11], 10, range(256)), args.repeat)
        timed("  part: measure the largest", lambda: size_of(ct, labels, 5), args.repeat)
        timed("  part: same label", lambda: same_label(labels, labels, 5), args.repeat)


if __name__ == "__main__":
    main()
