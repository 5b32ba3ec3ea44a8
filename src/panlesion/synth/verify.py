"""`verify`: measure a finished lesion by the rules of `measure` and compare with what its report says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Index3, LabelMap, Volume
from panlesion.lesion.spec import LesionSpec
from panlesion.measure.attributes import Attributes, measure_lesion
from panlesion.measure.region import voxels_of
from panlesion.measure.scene import REACH_MM
from panlesion.synth.host import Host

if TYPE_CHECKING:
    from panlesion.synth.compose import Rendered

# A report's diameter is true within 10 % or one voxel; its mean HU is the measured one.
SIZE_TOLERANCE = 0.10


@dataclass(frozen=True, kw_only=True)
class Check:
    """What was measured, and every reading of the report that it contradicts."""

    attributes: Attributes
    centre_ijk: Index3
    failures: list[str]


def verify(rendered: Rendered, host: Host, hu: NDArray[np.int16], labels: NDArray[np.uint8]) -> Check:
    """Measure a rendered lesion in the case it goes into (`hu`, `labels`: the case before it, on the host's grid)."""
    grid = host.ct.grid
    i, j, k = (n + 2 for n in voxels_of(REACH_MM, grid.spacing_mm))
    box = rendered.box.grown((i, j, k)).clipped(grid.shape)
    a, b, c = box.start
    inner = rendered.box.shifted((-a, -b, -c)).slices
    near_hu, near_labels = hu[box.slices].copy(), labels[box.slices].copy()
    near_hu[inner], near_labels[inner] = rendered.hu, rendered.labels
    mask = np.zeros(box.shape, dtype=bool)
    mask[inner] = rendered.mask
    near = grid.crop(box)
    spec = rendered.plan.spec
    measured = measure_lesion(
        Volume(hu=near_hu, grid=near),
        mask,
        LabelMap(labels=near_labels, grid=near),
        type=spec.type,
        organ_label=spec.organ_label,
        host=host.facts,
    )
    centre = np.rint(grid.to_ijk(measured.size.centre_xyz)).astype(int).tolist()
    return Check(
        attributes=measured,
        centre_ijk=(centre[0], centre[1], centre[2]),
        failures=contradictions(spec, measured, max(grid.spacing_mm)),
    )


def contradictions(spec: LesionSpec, measured: Attributes, voxel_mm: float) -> list[str]:
    """Every reading of a report that the voxels contradict, in words."""
    found = []
    if abs(measured.size.diameter_mm - spec.diameter_mm) > max(SIZE_TOLERANCE * spec.diameter_mm, voxel_mm):
        found.append(f"diameter is {measured.size.diameter_mm:.1f} mm, reported {spec.diameter_mm:.1f}")
    for name in ("shape", "density", "heterogeneity", "surface", "invasion"):
        said, is_ = getattr(spec, name), getattr(measured, name)
        if said is not is_:
            found.append(f"{name} is {str(is_)!r}, reported {str(said)!r}")
    if measured.seat != spec.seat:
        found.append(f"location is {measured.seat!r}, reported {spec.seat!r}")
    return found
