"""One drawn body under several scanners and contrast phases: hosts for lesions drawn on the fly."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.phase import Phase
from panlesion.ct.volume import Volume
from panlesion.phantom.body import draw_body, render_body, standard_grid_for
from panlesion.phantom.paint import draw_paint, render_paint
from panlesion.phantom.scanner import draw_scanner, render_scan
from panlesion.synth.host import Host

AIR_BESIDE_MM = 40.0
"""Air on both sides of a body in its grid, together."""


def drawn_scans(
    rng: np.random.Generator, *, scans: int, spacing_mm: tuple[float, float], name: str
) -> Iterator[tuple[Host, NDArray[np.uint8]]]:
    """A new body as `scans` hosts, each with the tissues (I, J, K) it was painted from.

    Drawn one by one: what the caller draws from `rng` between two scans comes between them.
    """
    spacing = float(rng.uniform(*spacing_mm))
    body = draw_body(rng)
    grid = standard_grid_for(body, spacing)
    drawn = render_body(body, grid)
    for scan in range(scans):
        phase = list(Phase)[int(rng.integers(len(Phase)))]
        paint = draw_paint(phase, rng, age=round(body.physique.age))
        scanner = draw_scanner(rng, patient_width_mm=grid.shape[0] * spacing - AIR_BESIDE_MM)
        ct = Volume(hu=render_scan(render_paint(paint, drawn.tissues, grid), scanner, grid), grid=grid)
        yield Host.of(f"{name}_{scan}", ct, drawn.organs), drawn.tissues
