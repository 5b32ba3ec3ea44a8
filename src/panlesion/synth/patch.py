"""`draw_patch`: a training patch with a fresh lesion in it, without making the rest of the case."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Box, Index3
from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.compose import LESION, ORGAN, draw_lesion, render_lesion
from panlesion.synth.draw import Wanted
from panlesion.synth.host import Host
from panlesion.synth.plan import Plan
from panlesion.synth.terrain import system_mask


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """HU int16 and label uint8 (organ 1, lesion 2), both (N, N, N), and the plan of the lesion in them."""

    hu: NDArray[np.int16]
    label: NDArray[np.uint8]
    plan: Plan


def draw_patch(
    host: Host, type: LesionType, rng: np.random.Generator, *, size_voxels: int = 96, wanted: Wanted | None = None
) -> Patch:
    """A lesion drawn, rendered and cut out at a random offset that keeps its centre inside.

    The lesion is a draft and not verified: at training speed the draws whose attributes would fail are tolerable noise, and the
    mask is right in any case.

    Raises:
        PlacementError: The host has no room for the lesion.
        ValueError: The host is smaller than the patch.
    """
    return render_patch(draw_lesion(host, type, rng, wanted=wanted, draft=True), host, rng, size_voxels=size_voxels)


def render_patch(plan: Plan, host: Host, rng: np.random.Generator, *, size_voxels: int = 96) -> Patch:
    """The patch of a plan that was drawn ahead; `rng` only draws where the patch is cut.

    Raises:
        ValueError: The host is smaller than the patch.
    """
    grid = host.ct.grid
    if min(grid.shape) < size_voxels:
        raise ValueError(f"size_voxels is {size_voxels}, the host {host.id} has {grid.shape} voxels; the patch must fit in it")
    centre = np.rint(grid.to_ijk(plan.spec.centre_xyz)).astype(int)
    quarter = size_voxels // 4
    start = centre - size_voxels // 2 + rng.integers(-quarter, quarter + 1, 3)
    start = np.clip(start, 0, np.asarray(grid.shape) - size_voxels).tolist()
    box = Box(start=(start[0], start[1], start[2]), stop=tuple(s + size_voxels for s in start))
    hu, organs = host.ct.hu[box.slices].copy(), host.organs.crop(box)
    label = system_mask(organs, plan.spec.type).view(np.uint8) * np.uint8(ORGAN)
    rendered = render_lesion(plan, host)
    both = _common(box, rendered.box)
    here, there = (both.shifted(_minus(inside.start)).slices for inside in (box, rendered.box))
    hu[here] = rendered.hu[there]
    label[here][rendered.mask[there]] = LESION
    return Patch(hu=hu, label=label, plan=plan)


def _common(a: Box, b: Box) -> Box:
    start, stop = np.maximum(a.start, b.start).tolist(), np.minimum(a.stop, b.stop).tolist()
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))


def _minus(ijk: Index3) -> Index3:
    i, j, k = ijk
    return (-i, -j, -k)
