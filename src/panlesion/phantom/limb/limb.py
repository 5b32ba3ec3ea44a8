"""`make_limb`: a limb phantom, the host in which networks meet soft-tissue masses."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.phase import Phase
from panlesion.ct.volume import Grid, Index3, LabelMap, Volume, standard_grid
from panlesion.phantom.limb.draw import Limb, draw_limb
from panlesion.phantom.limb.region import Region
from panlesion.phantom.limb.render import render_limb
from panlesion.phantom.limb.streaks import render_streaks
from panlesion.phantom.phantom import Phantom
from panlesion.phantom.scanner import render_scan, rendered_sigma_mm

_SPACINGS_MM = (0.8, 6.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class LimbPhantom(Phantom):
    """A phantom that also knows its compartments, its noise and its point spread.

    `compartments`: uint8 on the CT's grid, see `render.Compartment`. `grain`: int16, the noise and streaks in `ct.hu`, so that
    `ct.hu - grain` is the scan without them. `psf_mm`: SD of the blur along i, j, k.
    """

    compartments: LabelMap
    grain: NDArray[np.int16]
    psf_mm: tuple[float, float, float]


def make_limb(
    seed: int,
    *,
    spacing_mm: float = 3.0,
    shape: Index3 | None = None,
    phase: Phase | None = None,
    region: Region | None = None,
) -> LimbPhantom:
    """Draw and render one limb; equal arguments give equal bits. The box is 192 mm wide where no shape is given.

    Raises:
        ValueError: A seed, spacing or shape that no limb phantom has.
    """
    low, high = _SPACINGS_MM
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    if not low <= spacing_mm <= high:
        raise ValueError(f"spacing_mm is {spacing_mm}; it must be between {low} and {high}")
    side = max(8, round(192.0 / spacing_mm))
    shape = (side, side, side) if shape is None else shape
    if len(shape) != 3 or min(shape) < 8:
        raise ValueError(f"shape is {shape}; it must be three numbers of voxels, each 8 or more")
    rng = np.random.default_rng([seed, 0x6C696D62])
    i, j, k = (n * spacing_mm for n in shape)
    limb = draw_limb(rng, region=region, phase=phase, extent_mm=(i, j, k))
    x, y, z = ((n - 1) / 2 * spacing_mm for n in shape)
    return render_limb_phantom(limb, standard_grid(shape, spacing_mm, (x, y, -z)), seed=seed)


def render_limb_phantom(limb: Limb, grid: Grid, *, seed: int | None = None) -> LimbPhantom:
    """The CT of a drawn limb on an isotropic L,P,S grid. Draws nothing."""
    drawn = render_limb(limb, grid)
    calm = render_scan(drawn.ideal_hu, replace(limb.scanner, noise_sd_hu=0.0), grid)
    noisy = render_scan(drawn.ideal_hu, limb.scanner, grid).astype(np.float32)
    noisy += render_streaks(limb.streaks, grid, drawn.compartments > 0)
    hu = np.clip(np.rint(noisy), -1024, 3071).astype(np.int16)
    plane_mm, axial_mm = rendered_sigma_mm(limb.scanner, grid.spacing_mm[0])
    record = {
        "kind": "limb",
        "seed": seed,
        "phase": limb.paint.phase.value,
        "grid": {"shape": list(grid.shape), "affine": grid.affine.tolist()},
        "limb": asdict(limb),
    }
    return LimbPhantom(
        ct=Volume(hu=hu, grid=grid),
        organs=LabelMap(labels=drawn.organs, grid=grid),
        record=record,
        compartments=LabelMap(labels=drawn.compartments, grid=grid),
        grain=hu - calm,
        psf_mm=(plane_mm, plane_mm, axial_mm),
    )
