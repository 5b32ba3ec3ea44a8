"""How true is the outline that a click gives? Drawn lesions, clicked at random inside them, against balls around the click.

    OMP_NUM_THREADS=1 python benchmarks/bench_proposal.py [--bodies 3] [--spacing 1.0,1.0,2.0] [--checkpoint nano]

Bodies are drawn with seeds that no training used. Each lesion is clicked in a voxel of its inner half, drawn at random, as a
person would not hit the middle either. Rivals: a ball of 10 mm radius, and, which nobody could know, the ball of the lesion's
own volume. Boxes are the lesion's own, grown by 3 mm.
"""

import argparse
import time
from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.aid.reads.proposal import looker_of, proposed
from panlesion.aid.schemas.reading import ProposalOut, ProposeIn
from panlesion.ct.standardise import resampled_to, restore
from panlesion.ct.volume import Box, Grid, LabelMap, Volume
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.overlap import dice
from panlesion.phantom.phantom import make_phantom
from panlesion.synth.compose import LESION, make_case
from panlesion.synth.host import Host

SEED, DRAWN_MM = 2**31 + 5, 1.5
CENTRES = {
    "liver": ("liver_tumor", "liver_cyst", "kidney_tumor", "kidney_cyst", "pancreas_tumor", "pancreas_cyst", "gastric_cancer"),
    "lung_lower_lobe_left": ("lung_tumor", "bone_metastasis"),
    "urinary_bladder": ("colorectal_cancer", "bladder_cancer"),
}


def finer(ct: Volume, labels: LabelMap, spacing_mm: tuple[float, ...]) -> tuple[Volume, LabelMap]:
    """As a scanner would have it: thicker slices, axes and all."""
    old = ct.grid
    shape = tuple(int(n * mm / new) for n, mm, new in zip(old.shape, old.spacing_mm, spacing_mm, strict=True))
    affine = old.affine.copy()
    affine[:3, :3] = old.affine[:3, :3] / np.array(old.spacing_mm) * spacing_mm
    grid = Grid(shape=shape, affine=affine)
    return resampled_to(ct, grid), restore(labels, grid)


def full(out: ProposalOut, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    flat = np.repeat(np.arange(len(out.runs)) % 2 == 1, out.runs)
    mask = np.zeros(shape, dtype=bool)
    mask[
        Box(start=out.start_ijk, stop=out.start_ijk)
        .joined(Box(start=out.start_ijk, stop=tuple(a + n for a, n in zip(out.start_ijk, out.shape, strict=True))))
        .slices
    ] = flat.reshape(out.shape, order="F")
    return mask


def ball(at: NDArray, radius_mm: float, grid: Grid) -> NDArray[np.bool_]:
    offset = [((np.arange(n) - c) * mm) ** 2 for n, c, mm in zip(grid.shape, at, grid.spacing_mm, strict=True)]
    return np.add.outer(np.add.outer(offset[0], offset[1]), offset[2]) <= radius_mm**2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=3)
    parser.add_argument("--spacing", default="1.0,1.0,2.0")
    parser.add_argument("--checkpoint", default="nano")
    args = parser.parse_args()
    spacing = tuple(float(one) for one in args.spacing.split(","))
    looker = looker_of(args.checkpoint)
    scores: dict[str, list[float]] = defaultdict(list)
    by_type: dict[str, list[float]] = defaultdict(list)
    ways: Counter[str] = Counter()
    by_way: dict[str, list[float]] = defaultdict(list)
    seconds, right = [], 0
    for body in range(args.bodies):
        for centre, types in CENTRES.items():
            phantom = make_phantom(SEED + body, spacing_mm=DRAWN_MM, shape=(224, 176, 160), centre=centre)
            for type_ in types:
                rng = np.random.default_rng([SEED, body, list(LesionType).index(LesionType(type_))])
                try:
                    case = make_case(Host.of("host", phantom.ct, phantom.organs), [LesionType(type_)], rng)
                except Exception as error:  # noqa: BLE001 - a host without room is no result
                    print(body, type_, "not drawn:", error)
                    continue
                lesion = LabelMap(labels=(case.label.labels == LESION).astype(np.uint8), grid=case.label.grid)
                ct, lesion = finer(case.image, lesion, spacing)
                truth = lesion.labels > 0
                if not truth.any():
                    continue
                depth = ndimage.distance_transform_edt(truth, sampling=ct.grid.spacing_mm)
                inner = np.argwhere(depth >= depth.max() / 2)
                point = inner[rng.integers(len(inner))]
                i, j, k = point.tolist()
                begun = time.perf_counter()
                out = proposed(looker, ct, ProposeIn(point_ijk=(i, j, k)))
                seconds.append(time.perf_counter() - begun)
                mask = full(out, ct.grid.shape)
                box = Box.of(truth).grown(tuple(int(np.ceil(3 / mm)) for mm in spacing)).clipped(ct.grid.shape)
                boxed = proposed(looker, ct, ProposeIn(box_ijk=(box.start, box.stop)))
                radius = (3 * truth.sum() * ct.grid.voxel_ml * 1000 / (4 * np.pi)) ** (1 / 3)
                got = {
                    "point": dice(mask, truth),
                    "box": dice(full(boxed, ct.grid.shape), truth),
                    "ball 10 mm": dice(ball(point, 10.0, ct.grid), truth),
                    "ball of its volume": dice(ball(point, radius, ct.grid), truth),
                }
                for name, score in got.items():
                    scores[name].append(score)
                by_type[type_].append(got["point"])
                ways[out.way] += 1
                by_way[out.way].append(got["point"])
                right += out.type == type_
                print(
                    f"{body} {type_:20s} {2 * radius:5.1f} mm {out.way:8s} p {out.probability:.2f} {out.type:20s} "
                    f"box {boxed.way:8s}",
                    " ".join(f"{name} {score:.2f}" for name, score in got.items()),
                    flush=True,
                )
    print(
        f"\n{len(seconds)} lesions, {spacing} mm; type right {right}; "
        f"seconds median {np.median(seconds):.2f}, max {max(seconds):.2f}"
    )
    for name, some in scores.items():
        low, middle, high = np.percentile(some, [25, 50, 75])
        print(f"{name:20s} median Dice {middle:.3f} (quartiles {low:.3f} to {high:.3f})")
    for way, some in by_way.items():
        print(f"  {way}: {len(some)}, median {np.median(some):.3f}")
    for type_, some in by_type.items():
        print(f"  {type_}: {' '.join(f'{one:.2f}' for one in some)}")


if __name__ == "__main__":
    main()
