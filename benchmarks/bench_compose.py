"""Compose a lesion, and a training patch with one, against what a pipeline without on-the-fly synthesis would do instead.

Run: python benchmarks/bench_compose.py [--spacing 1.0] [--repeats 20]

The host is a drawn torso of 280³ voxels at 1 mm. Rivals in the same run: reading the finished case's gzipped NIfTI, and cutting
the patch from it. All times are CPU seconds of one core; BLAS is
held to one thread.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from panlesion.ct.nifti import read_labels, read_volume, write_labels, write_volume
from panlesion.ct.phase import Phase
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import LesionType
from panlesion.phantom.phantom import make_phantom
from panlesion.synth.compose import draw_lesion, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.host import Host
from panlesion.synth.patch import draw_patch, render_patch


def timed(run: Callable[[int], object], repeats: int) -> np.ndarray:
    """CPU seconds (repeats,); draws that find no place are left out."""
    seconds = []
    for n in range(repeats):
        start = time.process_time()
        try:
            run(n)
        except PlacementError:
            continue
        seconds.append(time.process_time() - start)
    return np.asarray(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spacing", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=20)
    given = parser.parse_args()
    size = round(280 / given.spacing)
    phantom = make_phantom(5, spacing_mm=given.spacing, shape=(size, size, size), phase=Phase.PORTAL, centre="liver")
    host = Host.of("phantom", phantom.ct, phantom.organs)
    wanted = Wanted(diameter_mm=(25.0, 25.0))
    patch_size = min(96, size)
    print(f"host {phantom.ct.grid.shape} at {given.spacing} mm; lesions of 25 mm; median (worst) CPU seconds")
    for type_ in (LesionType.LIVER_TUMOR, LesionType.KIDNEY_CYST, LesionType.PANCREAS_TUMOR, LesionType.COLORECTAL_CANCER):
        host.survey(type_)
        plans = [draw_lesion(host, type_, np.random.default_rng(n), wanted=wanted) for n in range(3)]
        for plan in plans:
            render_lesion(plan, host)
        compose = timed(
            lambda n, t=type_: render_lesion(draw_lesion(host, t, np.random.default_rng(n), wanted=wanted), host), given.repeats
        )
        patch = timed(
            lambda n, t=type_: draw_patch(host, t, np.random.default_rng(n), size_voxels=patch_size, wanted=wanted),
            given.repeats,
        )
        drawn_ahead = timed(
            lambda n, p=plans: render_patch(p[n % 3], host, np.random.default_rng(n), size_voxels=patch_size), given.repeats
        )
        with tempfile.TemporaryDirectory() as folder:
            image, label = Path(folder) / "img.nii.gz", Path(folder) / "label.nii.gz"
            write_volume(image, host.ct)
            write_labels(label, host.organs)
            read = timed(lambda _, i=image, lb=label: (read_volume(i), read_labels(lb)), 5)
        for name, seconds in (
            ("compose", compose),
            ("patch, drawn and rendered", patch),
            ("patch, plan drawn ahead", drawn_ahead),
        ):
            ratio = np.median(seconds) / np.median(read)
            print(f"{type_:18s} {name:26s} {np.median(seconds):.3f} ({seconds.max():.3f}) s = {ratio:.2f} × reading the case")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
