"""Draw phantoms, against what one would do with them anyway: write them as NIfTI.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_phantom.py [--repeats 3]

A whole torso at 1.5 mm and a box of 280³ voxels at 1 mm, by stage (mean). The rival, in the same run, writes CT and organ
map as .nii.gz with zlib's default level 6, which nibabel uses; our own writer stands beside it. Times are CPU seconds of one
process, the smallest of the repeats: on a shared machine the ratio says more than the seconds.
"""

import argparse
import gzip
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import Index3
from panlesion.phantom import phantom as module
from panlesion.phantom.phantom import Phantom, make_phantom

_STAGES = ("render_body", "render_paint", "render_scan")


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one call, and what it returned."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def watch(seconds: dict[str, list[float]]) -> None:
    """Note the CPU seconds of every stage of `make_phantom`."""

    def noting(name: str, stage: Callable) -> Callable:
        def run(*arguments: object) -> object:
            spent, result = timed(partial(stage, *arguments))
            seconds[name].append(spent)
            return result

        return run

    for name in _STAGES:
        setattr(module, name, noting(name, getattr(module, name)))


def zlib_write(folder: Path, phantom: Phantom) -> None:
    """Both files through zlib, level 6."""
    for name, array in (("ct.gz", phantom.ct.hu), ("organs.gz", phantom.organs.labels)):
        (folder / name).write_bytes(gzip.compress(array.tobytes(order="F"), compresslevel=6, mtime=0))


def our_write(folder: Path, phantom: Phantom) -> None:
    write_volume(folder / "ct.nii.gz", phantom.ct)
    write_labels(folder / "organs.nii.gz", phantom.organs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in _STAGES}
    watch(seconds)
    cases: tuple[tuple[str, float, Index3 | None], ...] = (("torso", 1.5, None), ("box", 1.0, (280, 280, 280)))
    for title, spacing_mm, shape in cases:
        for spent in seconds.values():
            spent.clear()
        centre = None if shape is None else "liver"
        draw = partial(make_phantom, given.seed, spacing_mm=spacing_mm, shape=shape, centre=centre)
        drawn, phantom = min((timed(draw) for _ in range(given.repeats)), key=lambda run: run[0])
        with tempfile.TemporaryDirectory() as folder:
            slow, _ = timed(partial(zlib_write, Path(folder), phantom))
            fast, _ = timed(partial(our_write, Path(folder), phantom))
        voxels = int(np.prod(phantom.ct.grid.shape))
        stages = ", ".join(f"{name} {sum(spent) / given.repeats:.2f}" for name, spent in seconds.items())
        print(
            f"{title} {phantom.ct.grid.shape} at {spacing_mm} mm: {drawn:.2f} s ({stages}), {voxels / drawn / 1e6:.1f} Mvoxel/s"
        )
        print(
            f"  writing it: zlib {slow:.2f} s, ours {fast:.2f} s; drawing takes {drawn / slow:.2f} and {drawn / fast:.1f} of it"
        )


if __name__ == "__main__":
    main()
