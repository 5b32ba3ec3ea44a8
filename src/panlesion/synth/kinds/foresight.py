"""What the rules of measurement will read of a lesion few voxels thick, before any of its noise is drawn.

`fit` sets mean and spread by a continuous depth below the surface. In a lesion few voxels thick the measured core is a
handful of voxels, half of them at an edge, and the organ's noise does not average out: what can be read there is foreseen with
the measured core itself, and a reading that noise could turn is no reading.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import TYPES
from panlesion.lesion.vocabulary import Heterogeneity
from panlesion.measure.noise import Noise, smoothed, smoothed_variance
from panlesion.measure.texture import SMOOTHING_MM, SURE_SDS, core_of, sharpest_edge_mm
from panlesion.synth.blend import mixed
from panlesion.synth.draw import GUARD_HU, Reading, Wanted, density_of
from panlesion.synth.fit import Fitted
from panlesion.synth.host import Site
from panlesion.synth.plan import Matter
from panlesion.synth.texture.matter import render_matter

# Lesions thinner than this many voxels are looked at; ours: from there on, core and noise are as `fit` assumes them.
THIN_VOXELS = 8
# A reading must hold when noise is off by this many SDs of its own: one draw in ten is worse (normal distribution, one side).
SURE = 1.3


def foreseen(
    site: Site, fitted: Fitted, matter: Matter, reading: Reading, wanted: Wanted, *, mean_hu: float, organ_label: int
) -> tuple[float, Reading]:
    """The mean HU and the reading as they will be measured; those given, where the lesion is thick enough for `fit` to know.

    A lesion that was fitted on fewer voxels than the host's cannot be foreseen either.

    Raises:
        PlacementError: Density or heterogeneity would be a coin toss, or not what the caller wants.
    """
    grid, facts, terrain = site.host.ct.grid, site.host.facts, fitted.terrain
    thinned = max(terrain.grid.spacing_mm) > 1.01 * max(grid.spacing_mm)
    if thinned or fitted.inscribed_mm >= THIN_VOXELS * max(grid.spacing_mm):
        return mean_hu, reading
    hu, _ = render_matter(matter, fitted.level, fitted.centre_xyz, terrain)
    host = terrain.ct.hu.astype(np.float32)
    alpha, paint = mixed(
        matter, hu, fitted.level, host, fitted.centre_xyz, terrain.grid, facts.psf_mm, voxel_mm=min(grid.spacing_mm)
    )
    image, noise = host * (1 - alpha) + paint, facts.noise(organ_label)
    # The edge will be measured as anything from sharp to all there is: both must read the same.
    cores = [core_of(fitted.scene, edge) for edge in (sharpest_edge_mm(facts.psf_mm, grid.spacing_mm), math.inf)]
    means = [float(image[core].mean(dtype=np.float64)) for core in cores]
    for core, mean in zip(cores, means, strict=True):
        density, guard = density_of(site, mean, organ_label)
        sure = max(GUARD_HU, SURE * _mean_sd_hu(noise, int(np.count_nonzero(core))))
        if guard < sure or density is not density_of(site, means[0], organ_label)[0] or wanted.density not in (None, density):
            raise PlacementError(
                f"a {site.type} of {reading.size.diameter_mm:.1f} mm would read {density!r}, {guard:.1f} HU from the next class"
            )
    threshold = TYPES[site.type].heterogeneous_sd_hu ** 2
    spans = [_variance_span(image, core, noise, fitted) for core in cores]
    if max(high for _, high in spans) < threshold:
        heterogeneity = Heterogeneity.HOMOGENEOUS
    elif min(low for low, _ in spans) > threshold:
        heterogeneity = Heterogeneity.HETEROGENEOUS
    else:
        raise PlacementError(
            f"the heterogeneity of a {site.type} of {reading.size.diameter_mm:.1f} mm, {fitted.inscribed_mm:.1f} mm thick, "
            f"cannot be read at {noise.sd_hu:.0f} HU of noise; ask for a larger lesion"
        )
    if wanted.heterogeneity not in (None, heterogeneity):
        raise PlacementError(f"a {site.type} of {reading.size.diameter_mm:.1f} mm came out {heterogeneity!r}")
    return means[0], replace(reading, heterogeneity=heterogeneity)


def _mean_sd_hu(noise: Noise, voxels: int) -> float:
    """SD of the mean of so many voxels of noise: sd · √(Σ acf / N), which holds where the autocorrelation is short."""
    return noise.sd_hu * math.sqrt(min(1.0, max(1.0, float(noise.acf.sum())) / voxels))


def _variance_span(image: NDArray[np.float32], core: NDArray[np.bool_], noise: Noise, fitted: Fitted) -> tuple[float, float]:
    """Between which values the variance that `measure.texture` reads will lie, in HU².

    With v the smoothed variance of the noise-free image, E that of the noise and S the SD of the latter, the reading has the
    mean v − S and the SD S·√(1 + 2v/E): noise's own spread, and its product with the texture (E and S tell how many
    independent values there are: S² = 2E²/N).
    """
    i, j, k = (SMOOTHING_MM / s for s in fitted.terrain.grid.spacing_mm)
    weight = core.astype(np.float32)
    plain = float(smoothed(image * weight, weight, (i, j, k))[core].var(dtype=np.float64))
    expected, spread = smoothed_variance(noise, weight, (i, j, k))
    sd = spread * math.sqrt(1.0 + 2.0 * plain / max(expected, 1e-6))
    middle = plain - SURE_SDS * spread
    return middle - SURE * sd, middle + SURE * sd
