"""Writes what was fitted: the package's table of size priors and the copulas the evaluation needs."""

import json
from pathlib import Path

import numpy as np
from fit import Copula

from panlesion.lesion.priors.size_tables import LEVELS, PARAMETERS, TABLES, SizeTable

LOGARITHMIC_ROWS = ("diameter_mm", "roughness", "shortest_wavelength")
HEADER = '''"""Knots and correlations of the size priors, written by benchmarks/calibration: aggregates of real masks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

LEVELS = {levels}
PARAMETERS = {parameters}


@dataclass(frozen=True, kw_only=True)
class SizeTable:
    """One family: values of every parameter at `LEVELS`, and the correlation of their normal scores."""

    lesions: int
    knots: tuple[tuple[float, ...], ...]
    correlation: tuple[tuple[float, ...], ...]


TABLES: Mapping[str, SizeTable] = MappingProxyType(
    {{
{body}
    }}
)
'''

ENTRY = """        "{family}": SizeTable(
            lesions={lesions},
            knots=(
                {knots},
            ),
            correlation=(
                {rows},
            ),
        ),"""


def table_of(copula: Copula, lesions: int) -> SizeTable:
    """The part of a copula that the generator draws from: the simulated reader stays behind."""
    knots = []
    for name, row in zip(PARAMETERS, copula.knots[: len(PARAMETERS)], strict=True):
        values = np.exp(row) if name in LOGARITHMIC_ROWS else row
        knots.append(tuple(float(f"{v:.4g}") for v in values))
    part = copula.correlation[: len(PARAMETERS), : len(PARAMETERS)].round(3)
    return SizeTable(lesions=lesions, knots=tuple(knots), correlation=tuple(tuple(float(v) for v in row) for row in part))


def write_tables(path: Path, tables: dict[str, SizeTable]) -> None:
    """The module `size_tables.py`; families not fitted here (stones) keep what they have."""
    body = []
    for family, table in {**tables, **{name: old for name, old in TABLES.items() if name not in tables}}.items():
        knots = ",\n                ".join(repr(row) for row in table.knots)
        rows = ",\n                ".join(repr(row) for row in table.correlation)
        body.append(ENTRY.format(family=family, lesions=table.lesions, knots=knots, rows=rows))
    path.write_text(HEADER.format(levels=LEVELS, parameters=PARAMETERS, body="\n".join(body)), encoding="utf-8")


def save_copulas(path: Path, copulas: dict[str, Copula]) -> None:
    """Full copulas, the simulated reader included, as JSON."""
    content = {
        family: {"knots": copula.knots.round(5).tolist(), "correlation": copula.correlation.round(4).tolist()}
        for family, copula in copulas.items()
    }
    lines = ",\n".join(f"{json.dumps(family)}: {json.dumps(entry)}" for family, entry in content.items())
    path.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def load_copulas(path: Path) -> dict[str, Copula]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return {
        family: Copula(knots=np.array(entry["knots"]), correlation=np.array(entry["correlation"]))
        for family, entry in content.items()
    }
