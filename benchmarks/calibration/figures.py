"""One picture per family: the distributions of every feature, synthetic over real."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from real import FEATURES

mpl.use("Agg")
import matplotlib.pyplot as plt

DECADES = (0.01, 0.1, 1, 10, 100, 1000)
TICKS = (0.03, 0.05, 0.1, 0.2, 0.3, 1, 3, 5, 10, 20, 50, 100, 300, 1000)
LOWEST_ROUGHNESS = 0.02
LABELS = {
    "log_volume": "volume (ml)",
    "log_diameter": "diameter (mm)",
    "elongation": "elongation (2nd / 1st axis)",
    "flatness": "flatness (3rd / 1st axis)",
    "sphericity": "sphericity",
    "solidity": "solidity",
    "log_roughness": "roughness",
}


def draw_family(path: Path, title: str, real: NDArray, synthetic: NDArray) -> None:
    """Write a PNG of seven histograms and a scatter of solidity against sphericity."""
    figure, axes = plt.subplots(2, 4, figsize=(13, 5.6))
    for axis, name, k in zip(axes.flat, FEATURES, range(len(FEATURES)), strict=False):
        logarithmic = name.startswith("log_")
        a, b = (np.exp(v[:, k]) if logarithmic else v[:, k] for v in (real, synthetic))
        low, high = np.percentile(np.r_[a, b], [0.5, 99.5])
        if name == "log_roughness":  # masks of one or two slices have none; they count in the lowest bin
            low = max(low, LOWEST_ROUGHNESS)
            a, b = np.maximum(a, low), np.maximum(b, low)
        bins = np.geomspace(low, high, 22) if logarithmic else np.linspace(low, high, 22)
        axis.hist(a, bins, weights=np.full(len(a), 1 / len(a)), color="#8fb3d9", label=f"real, n = {len(a)}")
        axis.hist(
            b,
            bins,
            weights=np.full(len(b), 1 / len(b)),
            histtype="step",
            color="#c03a2b",
            linewidth=1.6,
            label=f"synthetic, n = {len(b)}",
        )
        if logarithmic:
            axis.set_xscale("log")
            ticks = [t for t in (DECADES if high > 200 * low else TICKS) if low <= t <= high]
            axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
            axis.minorticks_off()
        axis.set_xlabel(LABELS[name])
        axis.set_yticks([])
    last = axes.flat[7]
    for values, colour in ((real, "#5b8fc4"), (synthetic, "#c03a2b")):
        last.plot(values[:, 4], values[:, 5], ".", markersize=3, alpha=0.5, color=colour)
    last.set_xlabel("sphericity")
    last.set_ylabel("solidity")
    axes.flat[0].legend(fontsize=8, frameon=False)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=75)
    plt.close(figure)
