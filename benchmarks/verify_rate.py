"""How often a first draw's report is true of its voxels, and how often the host had no room for the lesion asked for.

Run: python benchmarks/verify_rate.py [--phantoms 4] [--draws 10] [--spacing 1.5] [--host FOLDER --organ-labels v2]

Every first draw is rendered and measured by the rules of `measure`; one reading that the voxels contradict fails it. Rates come
with 95 % Wilson intervals. Prints a Markdown table.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from panlesion.ct.organ_files import OrganNumbering, read_organs
from panlesion.ct.phase import Phase
from panlesion.ct.read import read_ct
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import LesionType
from panlesion.phantom.phantom import make_phantom
from panlesion.synth.compose import draw_lesion, render_lesion, settled_surface
from panlesion.synth.host import Host
from panlesion.synth.verify import verify


def wilson(passed: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    z, share = 1.96, passed / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float(middle - half), float(middle + half)


def hosts_of(given: argparse.Namespace) -> list[Host]:
    if given.host:
        ct = read_ct(given.host / "ct.nii.gz")
        organs = read_organs(given.host / given.organs, numbering=OrganNumbering(given.organ_labels), like=ct.grid)
        return [Host.of(given.host.name, standardise(ct, given.spacing), standardise_labels(organs, given.spacing))]
    hosts = []
    for seed, phase in zip(range(given.phantoms), list(Phase) * given.phantoms, strict=False):
        phantom = make_phantom(seed, spacing_mm=given.spacing, phase=phase)
        hosts.append(Host.of(f"phantom {seed} ({phase})", phantom.ct, phantom.organs))
    return hosts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=4)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--spacing", type=float, default=1.5)
    parser.add_argument("--host", type=Path)
    parser.add_argument("--organs", default="organs.nii.gz")
    parser.add_argument("--organ-labels", default="v2")
    given = parser.parse_args()
    hosts = hosts_of(given)
    print("| type | first draws | true | share (95 %) | no room | what failed |\n|---|---|---|---|---|---|")
    total: Counter[str] = Counter()
    for type_ in LesionType:
        count: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for host in hosts:
            for seed in range(given.draws):
                try:
                    plan = draw_lesion(host, type_, np.random.default_rng([seed, 7]))
                except PlacementError:
                    count["no room"] += 1
                    continue
                rendered = render_lesion(plan, host)
                check = verify(rendered, host, host.ct.hu, host.organs.labels)
                _, check = settled_surface(rendered, check, max(host.ct.grid.spacing_mm))
                count["true" if not check.failures else "false"] += 1
                failed.update(one.split(" is ")[0] for one in check.failures)
        drawn = count["true"] + count["false"]
        low, high = wilson(count["true"], drawn)
        share = f"{100 * count['true'] / drawn:.0f} % ({100 * low:.0f}-{100 * high:.0f})" if drawn else "—"
        why = ", ".join(f"{name} {n}" for name, n in failed.most_common())
        print(f"| {type_} | {drawn} | {count['true']} | {share} | {count['no room']} | {why} |", flush=True)
        total += count
    drawn = total["true"] + total["false"]
    low, high = wilson(total["true"], drawn)
    print(
        f"| **all** | {drawn} | {total['true']} | {100 * total['true'] / drawn:.1f} % ({100 * low:.1f}-{100 * high:.1f}) | "
        f"{total['no room']} | |"
    )


if __name__ == "__main__":
    main()
