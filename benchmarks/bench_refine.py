"""What refining changes: noise, edge, truth of the report, and how well pasted voxels can be told from the host's own.

Run: panlesion train-refiner --hosts HOSTS --spacing 1.5 --out REFINER
     python benchmarks/bench_refine.py HOSTS REFINER/refiner.safetensors --spacing 1.5 --types liver_tumor,kidney_tumor
         --per-type 10 [--strengths 0.1,0.2,0.3] [--pictures FOLDER]

HOSTS is a folder of hosts (organ maps v2, or `--organ-labels v1`) or the word phantom. The same lesions are measured as pasted
and as refined. Noise SD and autocorrelation are those of the lesion's core against its organ's; the edge is the fitted width
against the point spread. Two discriminators (random forests, folds by lesion) try to tell lesion cores from the organ's own
tissue by texture, and lesion margins from real organ margins by profile and texture: 0.5 is chance.
"""

import argparse
import csv
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from panlesion.ct.organ_files import OrganNumbering
from panlesion.data.host_folder import read_host
from panlesion.errors import PanlesionError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.measure.noise import measure_noise, unlike
from panlesion.measure.region import eroded, voxels_of
from panlesion.synth.compose import Rendered, draw_lesion, render_lesion, settled_surface
from panlesion.synth.draw import Wanted
from panlesion.synth.host import Host
from panlesion.synth.hosts import find_hosts, prepare_host
from panlesion.synth.phantom_hosts import draw_phantoms
from panlesion.synth.refine import Refinery, named
from panlesion.synth.verify import verify

PATCH = 7
PER_LESION = 12
CORE_MM = 2.5
SCAN_SEED = 97


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """One lesion in its host: image and mask of the whole host, and what verification said."""

    host: Host
    rendered: Rendered
    hu: NDArray[np.int16]
    lesion: NDArray[np.bool_]
    failures: list[str]
    mean_hu: float
    edge_mm: float | None
    seconds: float = 0.0


def made(host: Host, rendered: Rendered, seconds: float = 0.0) -> Made:
    check = verify(rendered, host, host.ct.hu, host.organs.labels)
    rendered, check = settled_surface(rendered, check, max(host.ct.grid.spacing_mm))
    hu, lesion = host.ct.hu.copy(), np.zeros(host.ct.grid.shape, dtype=bool)
    hu[rendered.box.slices], lesion[rendered.box.slices] = rendered.hu, rendered.mask
    return Made(
        host=host, rendered=rendered, hu=hu, lesion=lesion, failures=check.failures, seconds=seconds,
        mean_hu=check.attributes.core_mean_hu, edge_mm=check.attributes.margin.edge_sigma_mm,
    )  # fmt: skip


def cored(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float], mm: float = CORE_MM) -> NDArray[np.bool_]:
    return eroded(mask, voxels_of(mm, spacing_mm))


def box_around(mask: NDArray[np.bool_], grow: int) -> tuple[slice, ...]:
    found = np.argwhere(mask)
    low, high = np.maximum(found.min(axis=0) - grow, 0), found.max(axis=0) + 1 + grow
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def noise_row(one: Made) -> dict[str, float]:
    """SD in the core over that of the organ as it is measured for every paste, and the difference of autocorrelations."""
    spacing = one.host.ct.grid.spacing_mm
    cut = box_around(one.lesion, 2)
    core = cored(one.lesion[cut], spacing)
    own = one.host.facts.noise(one.rendered.plan.spec.organ_label)
    if np.count_nonzero(core) < 400:
        return {}
    noise = measure_noise(one.hu[cut], core, spacing)
    return {"sd_ratio": noise.sd_hu / own.sd_hu, "acf_difference": unlike(noise, own)}


def texture(patch: NDArray[np.float32]) -> list[float]:
    """Of a small cube less its slow part: SD, share of fine power, correlation along each axis at 1 and 2 voxels, tails."""
    grain = patch - ndimage.gaussian_filter(patch, 2.0)
    sd = float(grain.std()) + 1e-3
    fine = grain - ndimage.gaussian_filter(grain, 0.7)
    lags = []
    for axis in range(3):
        for lag in (1, 2):
            a, b = np.take(grain, range(lag, PATCH), axis), np.take(grain, range(PATCH - lag), axis)
            lags.append(float((a * b).mean()) / sd**2)
    return [sd, float(fine.std()) / sd, *lags, float((grain**3).mean()) / sd**3, float((grain**4).mean()) / sd**4]


def cube_at(hu: NDArray, at: NDArray) -> NDArray[np.float32] | None:
    half = PATCH // 2
    if np.any(at < half) or np.any(at >= np.asarray(hu.shape) - half):
        return None
    return hu[tuple(slice(int(a) - half, int(a) + half + 1) for a in at)].astype(np.float32)


def some(mask: NDArray[np.bool_], rng: np.random.Generator, count: int) -> NDArray:
    where = np.argwhere(mask)
    return where[rng.permutation(len(where))[:count]]


def interior(hu: NDArray, mask: NDArray[np.bool_], rng: np.random.Generator) -> list[list[float]]:
    found = (cube_at(hu, at) for at in some(mask, rng, PER_LESION))
    return [texture(cube) for cube in found if cube is not None]


def margin(
    hu: NDArray, inside: NDArray[np.bool_], spacing_mm: float, rng: np.random.Generator, allowed: NDArray
) -> list[list[float]]:
    """Of points on a mask's surface: the profile along its normal in units of its step, and texture on both sides."""
    surface = inside & ~ndimage.binary_erosion(inside) & allowed
    smooth = ndimage.gaussian_filter(inside.astype(np.float32), 1.5)
    rows: list[list[float]] = []
    reach = np.arange(-5.0, 5.01, 0.5)
    for at in some(surface, rng, 6 * PER_LESION):
        if np.any(at < 8) or np.any(at >= np.asarray(hu.shape) - 8):
            continue
        normal = np.array(
            [smooth[tuple(at - step)] - smooth[tuple(at + step)] for step in np.eye(3, dtype=int)], dtype=np.float64
        )
        normal /= np.linalg.norm(normal) + 1e-9
        side = np.linalg.svd(normal[None])[2][1:]
        offsets = [u * side[0] + v * side[1] for u in (-1, 0, 1) for v in (-1, 0, 1)]
        lines = np.stack(
            [
                ndimage.map_coordinates(
                    hu, (at + o)[:, None] + normal[:, None] * reach / spacing_mm, order=1, output=np.float32
                )
                for o in offsets
            ]
        )
        profile = lines.mean(axis=0)
        step = profile[:5].mean() - profile[-5:].mean()
        if not 15 <= abs(step) <= 160:
            continue
        shape = np.diff((profile - profile[-5:].mean()) / step)
        inner, outer = (cube_at(hu, np.rint(at + sign * normal * 4 / spacing_mm).astype(int)) for sign in (-1, 1))
        if inner is None or outer is None:
            continue
        residual = (lines - profile).std(axis=0)
        middle = [
            float(residual[8:13].mean() / (residual[:5].mean() + 1)),
            float(residual[8:13].mean() / (residual[-5:].mean() + 1)),
        ]
        rows.append([*np.sort(-shape)[-4:].tolist(), float(-shape.min()), *middle, *texture(inner)[:4], *texture(outer)[:4]])
        if len(rows) == PER_LESION:
            break
    return rows


def auc(real: list[tuple[int, list[float]]], pasted: list[tuple[int, list[float]]]) -> tuple[float, float, float]:
    """Area under the curve over folds that share no lesion, with a 95 % interval of a bootstrap over lesions."""
    x = np.array([row for _, row in real] + [row for _, row in pasted])
    y = np.array([0] * len(real) + [1] * len(pasted))
    group = np.array([n for n, _ in real] + [n for n, _ in pasted])
    score = np.zeros(len(y))
    for train, test in GroupKFold(n_splits=min(5, len(np.unique(group)))).split(x, y, group):
        forest = RandomForestClassifier(300, min_samples_leaf=3, random_state=0, n_jobs=1, class_weight="balanced")
        score[test] = forest.fit(x[train], y[train]).predict_proba(x[test])[:, 1]
    rng, found = np.random.default_rng(0), []
    names = np.unique(group)
    for _ in range(500):
        take = np.concatenate([np.flatnonzero(group == n) for n in rng.choice(names, len(names))])
        if 0 < y[take].sum() < len(take):
            found.append(roc_auc_score(y[take], score[take]))
    low, high = np.quantile(found, (0.025, 0.975))
    return float(roc_auc_score(y, score)), float(low), float(high)


def told_apart(all_made: list[Made]) -> dict[str, tuple[float, float, float]]:
    """How well cores and margins of the lesions are told from what their hosts have."""
    cores: tuple[list, list] = ([], [])
    margins: tuple[list, list] = ([], [])
    for n, one in enumerate(all_made):
        rng = np.random.default_rng([SCAN_SEED, n])
        spec, spacing = one.rendered.plan.spec, one.host.ct.grid.spacing_mm
        organ = one.host.organs.labels == spec.organ_label
        near = box_around(one.lesion, voxels_of(60.0, spacing)[0])
        hu, lesion, organ, host = one.hu[near], one.lesion[near], organ[near], one.host.ct.hu[near]
        away = ~ndimage.binary_dilation(lesion, iterations=voxels_of(12.0, spacing)[0])
        cores[0].extend((n, row) for row in interior(host, cored(organ & away, spacing, 5.0), rng))
        cores[1].extend((n, row) for row in interior(hu, cored(lesion, spacing, 4.0), rng))
        margins[0].extend((n, row) for row in margin(host, organ, spacing[0], rng, away))
        margins[1].extend((n, row) for row in margin(hu, lesion, spacing[0], rng, np.ones_like(lesion)))
    return {"core": auc(*cores), "margin": auc(*margins)}


def hosts_of(given: argparse.Namespace, types: tuple[LesionType, ...]) -> list[Host]:
    if given.hosts == "phantom":
        sources = draw_phantoms(given.phantoms, given.seed, types, round(240 / given.spacing))
    else:
        sources, _ = find_hosts(Path(given.hosts), OrganNumbering(given.organ_labels))
    found = []
    for source in sources:
        folder = given.work / "hosts" / source.id
        if not folder.is_dir():
            prepare_host(source, out=given.work, spacing_mm=given.spacing)
        ct, organs = read_host(folder)
        found.append(Host.of(source.id, ct, organs))
    return found


def lesions(hosts: list[Host], types: tuple[LesionType, ...], per_type: int, seed: int) -> list[Made]:
    found = []
    for type_ in types:
        able = [host for host in hosts if host.organs.mask(TYPES[type_].organ_labels).any()]
        for n in range(per_type if able else 0):
            host = able[n % len(able)]
            for draw in range(4):
                rng = np.random.default_rng([seed, n, draw, sum(type_.value.encode())])
                try:
                    one = made(host, render_lesion(draw_lesion(host, type_, rng, wanted=Wanted(diameter_mm=(16, 45))), host))
                except PanlesionError:
                    continue
                if not one.failures:
                    found.append(one)
                    break
    return found


def picture(pasted: Made, refined: Made) -> Image.Image:
    """The lesion's middle axial slice, window 350/40, three times: healthy, pasted, refined; then the change, ±60 HU."""
    box = box_around(pasted.lesion, 14)
    k = int(np.median(np.argwhere(pasted.lesion)[:, 2]))
    parts = [one.hu[box[0], box[1], k].astype(float) for one in (pasted, refined)]
    healthy = pasted.host.ct.hu[box[0], box[1], k].astype(float)
    middle, width = float(np.median(parts[0][pasted.lesion[box[0], box[1], k]])), 240.0
    shown = [np.clip((part - middle) / width + 0.5, 0, 1) for part in (healthy, *parts)]
    shown.append(np.clip((parts[1] - parts[0]) / 120 + 0.5, 0, 1))
    strip = np.concatenate([np.pad(part.T, 1, constant_values=1) for part in shown], axis=1)
    image = Image.fromarray((255 * strip).astype(np.uint8))
    scale = max(2, round(240 / shown[0].shape[0]))
    image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    ImageDraw.Draw(image).text((4, 4), f"{pasted.rendered.plan.spec.type}: healthy | pasted | refined | change", fill=255)
    return image


def row_of(name: str, all_made: list[Made], pasted: list[Made]) -> dict[str, str]:
    noise = [row for one in all_made if (row := noise_row(one))]
    edges = [one.edge_mm / float(np.mean(one.host.facts.psf_mm)) for one in all_made if one.edge_mm is not None]
    drift = [one.mean_hu - before.mean_hu for one, before in zip(all_made, pasted, strict=True)]
    told = told_apart(all_made)
    return {
        "lesions": name,
        "n": str(len(all_made)),
        "noise SD / organ's": _spread([row["sd_ratio"] for row in noise]),
        "autocorrelation off": _spread([row["acf_difference"] for row in noise]),
        "edge / point spread": _spread(edges),
        "core mean moved HU": _spread(drift),
        "report untrue": str(sum(bool(one.failures) for one in all_made)),
        "core AUC": "{:.2f} ({:.2f}-{:.2f})".format(*told["core"]),
        "margin AUC": "{:.2f} ({:.2f}-{:.2f})".format(*told["margin"]),
        "s per lesion": f"{np.median([one.seconds for one in all_made]):.1f}",
    }


def _spread(values: list[float]) -> str:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.2f} [{low:.2f}, {high:.2f}] n={len(values)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--organ-labels", default="v2")
    parser.add_argument("--spacing", type=float, default=1.0)
    parser.add_argument("--types", default="liver_tumor,kidney_tumor,pancreas_tumor")
    parser.add_argument("--per-type", type=int, default=8)
    parser.add_argument("--phantoms", type=int, default=3)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--strengths", default="0.1,0.2,0.3")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--work", type=Path, default=Path("refine_bench"), help="where standardised hosts are kept")
    parser.add_argument("--pictures", type=Path)
    given = parser.parse_args()
    types = tuple(LesionType(name) for name in given.types.split(","))
    pasted = lesions(hosts_of(given, types), types, given.per_type, given.seed)
    rows = [row_of("pasted", pasted, pasted)]
    for strength in (float(text) for text in given.strengths.split(",")):
        refining = named(given.weights, spacing_mm=given.spacing, strength=strength, steps=given.steps)
        refine = partial(refined, Refinery(refining, spacing_mm=given.spacing))
        finer = [refine(one) for one in pasted]
        rows.append(row_of(f"refined, t = {strength:g}", finer, pasted))
        if given.pictures is not None:
            given.pictures.mkdir(parents=True, exist_ok=True)
            for n, (before, after) in enumerate(zip(pasted, finer, strict=True)):
                picture(before, after).save(given.pictures / f"{n:02d}_{before.rendered.plan.spec.type}_{strength:g}.png")
    writer = csv.DictWriter(sys.stdout, rows[0].keys(), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def refined(refinery: Refinery, one: Made) -> Made:
    host, began = one.host, time.perf_counter()
    finer = refinery(
        one.rendered, host.ct.hu, host.organs.labels, grid=host.ct.grid, taken=np.zeros(host.ct.grid.shape, dtype=bool),
        seed=one.rendered.plan.matter.noise_seed,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    return replace(made(host, finer), seconds=seconds)


if __name__ == "__main__":
    main()
