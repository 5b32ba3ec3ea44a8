"""Puts the numbers of report.json into docs/calibration.md, between its markers."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHORT = {
    "log_volume": "volume",
    "log_diameter": "diameter",
    "elongation": "elongation",
    "flatness": "flatness",
    "sphericity": "sphericity",
    "solidity": "solidity",
    "log_roughness": "roughness",
}


def _interval(value: list[float], digits: int = 2) -> str:
    here, low, high = value
    return f"{here:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def summary(report: dict[str, Any]) -> str:
    """AUC of every family."""
    rows = [
        [
            family.replace("_", " "),
            f"{r['real']} / {r['patients']}",
            str(r["synthetic"]),
            _interval(r["auc"]),
            _interval(r["auc_shape_only"]),
            _interval(r["auc_no_reader"]),
            f"{r['auc_permuted']:.2f}",
            ", ".join(f"{SHORT[k]} {v:+.2f}" for k, v in list(r["importance"].items())[:3]),
        ]
        for family, r in report.items()
    ]
    head = ["family", "real n / patients", "synthetic n", "AUC", "without sizes", "without reader", "labels permuted"]
    return _table([*head, "features used most (loss of AUC)"], rows)


def distances(report: dict[str, Any], name: str) -> str:
    """Distance of every feature in every family."""
    rows = [[family.replace("_", " "), *(_interval(r[name][k]) for k in SHORT)] for family, r in report.items()]
    return _table(["family", *SHORT.values()], rows)


def fill(page: Path, report_path: Path) -> None:
    """Rewrite the marked parts of the page."""
    report = json.loads(report_path.read_text(encoding="utf-8"))
    parts = {"auc": summary(report), "wasserstein": distances(report, "wasserstein"), "ks": distances(report, "ks")}
    text = page.read_text(encoding="utf-8")
    page.write_text(MARK.sub(lambda m: m.group(1) + parts[m.group(2)] + m.group(3), text), encoding="utf-8")


if __name__ == "__main__":
    fill(ROOT / "docs" / "calibration.md", Path(__file__).resolve().parent / "report.json")
