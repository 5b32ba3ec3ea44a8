"""What a cohort costs: a written case against reading and writing alone, two workers against one, memory, space.

    python benchmarks/bench_cohort.py [--hosts DIR] [--types liver_tumor,kidney_cyst] [--per-type 8]

Run it on a quiet machine; BLAS is held to one thread.
Goals: case / (read + write) ≤ 1.3, two workers ≥ 1.8 × one, ≤ 1.5 GB a worker, delta a few per
cent of full.
"""

import argparse
import resource
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from threadpoolctl import threadpool_limits

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.data.host_folder import HOSTS_FOLDER, read_host
from panlesion.data.manifest import TIMING_FILE
from panlesion.data.store import CaseReader, StoredAs, iterate_cases
from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.cohort import synth_cohort
from panlesion.synth.recipe import PHANTOM, Recipe


def seconds_per_case(root: Path) -> float:
    rows = [line.split(",") for line in (root / TIMING_FILE).read_text().splitlines()[1:]]
    done = [float(seconds) for _, seconds, outcome in rows if outcome == "done"]
    return sum(done) / len(done)


def read_and_write_alone(root: Path) -> float:
    """Mean seconds of reading a case's host and writing the case's three arrays."""
    reader, spent, count = CaseReader(root), 0.0, 0
    for found in iterate_cases(root):
        case = reader.read(found)
        started = time.perf_counter()
        read_host(root / HOSTS_FOLDER / str(case.record["host"]))
        write_volume(root / "img.nii.gz", case.image)
        write_labels(root / "label.nii.gz", case.label)
        write_labels(root / "total.nii.gz", case.organs)
        spent, count = spent + time.perf_counter() - started, count + 1
    return spent / count


def run_again(recipe: Recipe, root: Path, workers: int) -> float:
    """Seconds of making all cases anew, hosts prepared."""
    for found in list(iterate_cases(root)):
        shutil.rmtree(found.path)
    started = time.perf_counter()
    synth_cohort(recipe, root, workers=workers)
    return time.perf_counter() - started


def bytes_of_cases(root: Path) -> int:
    return sum(file.stat().st_size for found in iterate_cases(root) for file in found.path.iterdir())


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--hosts", default=PHANTOM)
    arguments.add_argument("--types", default="liver_tumor,kidney_cyst")
    arguments.add_argument("--per-type", type=int, default=8)
    arguments.add_argument("--size", type=int, default=280)
    given = arguments.parse_args()
    types = tuple(LesionType(name) for name in given.types.split(","))
    phantoms = 2 if given.hosts == PHANTOM else 0
    recipe = Recipe(hosts=given.hosts, types=types, per_type=given.per_type, seed=1, size_voxels=given.size, phantoms=phantoms)
    with tempfile.TemporaryDirectory() as scratch:
        full, delta = Path(scratch, "full"), Path(scratch, "delta")
        synth_cohort(recipe, full)
        case, alone = seconds_per_case(full), read_and_write_alone(full)
        print(f"a written case           {case:.2f} s, host open and measured included")
        print(f"read + write alone       {alone:.2f} s")
        print(f"ratio                    {case / alone:.2f}")
        one, two = run_again(recipe, full, 1), run_again(recipe, full, 2)
        print(f"one worker, two workers  {one:.1f} s, {two:.1f} s: {one / two:.2f} x")
        print(f"largest worker           {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6:.2f} GB")
        synth_cohort(replace(recipe, stored_as=StoredAs.DELTA), delta, workers=2)
        whole, small = bytes_of_cases(full), bytes_of_cases(delta)
        print(f"delta / full             {small / whole:.1%} of {whole / 1e6:.0f} MB")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
