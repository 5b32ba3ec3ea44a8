"""Fit the size priors to the real masks and report how well they match: `python benchmarks/calibration/run.py ../shared/data`.

Writes src/panlesion/lesion/priors/size_tables.py (with --fit), benchmarks/calibration/fitted.json (the copulas with the
simulated reader), benchmarks/calibration/report.json and docs/images/calibration_<family>.png. Only aggregates are written.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np
from figures import draw_family
from fit import fit
from lung_texture import CLASSES, class_of, textures
from real import FAMILIES, Row, real_rows, usable
from tables import load_copulas, save_copulas, table_of, write_tables

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
TABLES = ROOT / "src" / "panlesion" / "lesion" / "priors" / "size_tables.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with uls23_masks, kits23 and lidc_nodules")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--fit", action="store_true", help="fit anew; else only evaluate what is in the package")
    parser.add_argument(
        "--form", default="full", choices=("plain", "free", "full"), help="plain: straight, fixed field; free: no reader"
    )
    parser.add_argument("--continue", dest="again", action="store_true", help="start from the last fit")
    parser.add_argument("--first", type=int, default=1200, help="outlines in the first bank")
    parser.add_argument("--size", type=int, default=700, help="outlines in each later round")
    parser.add_argument("--most", type=int, default=400, help="real lesions of a family to fit to")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = real_rows(options.data)
    if options.fit:
        refit(rows, options)
    report(rows, options.families)
    report_lung_texture(options.data)


def refit(rows: list[Row], options: argparse.Namespace) -> None:
    """Fit the families asked for and write tables and copulas."""
    copulas = load_copulas(HERE / "fitted.json") if (HERE / "fitted.json").exists() else {}
    tables = {}
    for family in options.families:
        chosen = usable(rows, family)
        seed = FAMILIES.index(family)
        order = np.random.default_rng(seed).permutation(len(chosen))[: options.most]
        done = fit(
            [chosen[k] for k in order],
            seed=seed,
            first=options.first,
            size=options.size,
            rounds=options.rounds,
            form=options.form,
            start=copulas.get(family) if options.again else None,
        )
        print(f"{family}: {len(chosen)} lesions, AUC by round {done.aucs}", flush=True)
        copulas[family] = done.copula
        tables[family] = table_of(done.copula, len(chosen))
    write_tables(TABLES, tables)
    save_copulas(HERE / "fitted.json", copulas)
    importlib.reload(sys.modules["panlesion.lesion.priors.size_tables"])
    importlib.reload(sys.modules["panlesion.lesion.priors.size"])


def report(rows: list[Row], families: list[str]) -> None:
    """Evaluate the tables of the package against the real masks."""
    from evaluate import evaluate  # after the tables are final

    copulas = load_copulas(HERE / "fitted.json")
    path = HERE / "report.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for family in families:
        chosen = usable(rows, family)
        found, synthetic = evaluate(family, chosen, copulas[family], seed=100 + FAMILIES.index(family))
        content[family] = found.as_dict()
        real = np.array([row.features for row in chosen])
        title = f"{family.replace('_', ' ')}: real (filled) and synthetic (line)"
        draw_family(ROOT / "docs" / "images" / f"calibration_{family}.png", title, real, synthetic)
        print(family, found.auc, "shape only", found.auc_shape_only, "without reader", found.auc_no_reader, flush=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def report_lung_texture(data: Path) -> None:
    """Print the numbers of lesion/priors/lung_texture.py."""
    found = textures(data / "lidc_nodules")
    for name in CLASSES:
        members = [t for t in found if class_of(t.score) == name]
        print(name, "n =", len(members))
        for field in ("mean_hu", "core_hu", "core_sd_hu", "core_p10_hu", "core_p90_hu", "noise_hu", "edge_sigma_mm"):
            values = np.array([getattr(t, field) for t in members])
            print("   ", field, np.nanpercentile(values, [10, 25, 50, 75, 90]).round(1).tolist())


if __name__ == "__main__":
    main()
