"""The pictures of docs/lesions.md from a cohort with one case of every type.

Run: panlesion synth --hosts phantom --types all --per-type 1 --seed 1 COHORT
     python benchmarks/type_pictures.py COHORT docs/images/types
"""

import argparse
from pathlib import Path

from panlesion.cli._pictures import Opener, draw_case
from panlesion.data.store import iterate_cases

CLOSE_UPS_AND_REPORT = (660, 20, 2096, 420)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    opener = Opener(given.cohort)
    for case in iterate_cases(given.cohort):
        sheet = draw_case(case, opener)
        strip = sheet.convert("RGB").crop(CLOSE_UPS_AND_REPORT)
        strip.resize((strip.width * 3 // 4, strip.height * 3 // 4)).quantize(96).save(
            given.out / f"{case.type}.png", optimize=True
        )


if __name__ == "__main__":
    main()
