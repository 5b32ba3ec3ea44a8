"""The pictures of docs/lesions.md from a cohort with some cases of every type: of each type the one of the most usual size.

Run: panlesion synth --hosts phantom --types all --per-type 4 --seed 2 --format delta COHORT
     python benchmarks/type_pictures.py COHORT docs/images/types
"""

import argparse
import math
from pathlib import Path

from panlesion.cli._pictures import Opener, draw_case
from panlesion.data.manifest import read_manifest
from panlesion.data.store import CaseFolder, iterate_cases

CLOSE_UPS_AND_REPORT = (660, 20, 2096, 420)
SHOWN_MM = {
    "gallstone": 14.0,
    "kidney_stone": 8.0,
    "esophageal_cancer": 50.0,
    "colorectal_cancer": 45.0,
    "gastric_cancer": 50.0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    opener = Opener(given.cohort)
    best: dict[str, tuple[float, CaseFolder]] = {}
    for row in read_manifest(given.cohort):
        off = abs(math.log(float(row["diameter_mm"].split("|")[0]) / SHOWN_MM.get(row["type"], 35.0)))
        folder = next(case for case in iterate_cases(given.cohort) if case.path.name == row["id"])
        best[row["type"]] = min(best.get(row["type"], (math.inf, folder)), (off, folder), key=lambda one: one[0])
    for _, case in best.values():
        sheet = draw_case(case, opener)
        strip = sheet.convert("RGB").crop(CLOSE_UPS_AND_REPORT)
        strip.resize((strip.width * 3 // 4, strip.height * 3 // 4)).quantize(96).save(
            given.out / f"{case.type}.png", optimize=True
        )


if __name__ == "__main__":
    main()
