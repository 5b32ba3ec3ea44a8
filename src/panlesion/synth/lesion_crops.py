"""Lesions to be described: crops around drawn lesions in drawn bodies, each with what its report truly says.

A crop's readings are those a case's report would have: drawn, and found again by measuring the finished voxels. A reading that
the voxels contradict, or that a type does not have, is unknown (None), so that nobody is taught or tested on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Box
from panlesion.data.patches import Block
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours
from panlesion.lesion.vocabulary import READINGS
from panlesion.synth.compose import Rendered, draw_lesion, render_lesion, settled_surface
from panlesion.synth.drawn_scans import drawn_scans
from panlesion.synth.host import Host
from panlesion.synth.plan import to_json
from panlesion.synth.verify import Check, verify

_ROUNDS = 4


@dataclass(frozen=True, kw_only=True)
class LesionCrops:
    """What blocks of crops are made of. Block n is one body under `scans` scanners; types take turns.

    A block's targets are one map, 1 where the lesion is; the lesion's box is centred in the cube. Rows hold `attributes`
    (class indices or None), `type`, `host`, `body`, `phase`, `spacing_mm`, `diameter_mm` and the `plan`.
    """

    seed: int
    types: tuple[LesionType, ...] = tuple(LesionType)
    spacing_mm: tuple[float, float] = (1.25, 1.25)
    size_voxels: int = 64
    scans: int = 3
    lesions_per_scan: int = 12

    @property
    def patches(self) -> int:
        """Crops in one block."""
        return self.scans * self.lesions_per_scan

    def make(self, index: int) -> Block:
        """Block number `index`; equal recipes and numbers give equal bits.

        Raises:
            PlacementError: A body has no room for any lesion of the types.
        """
        rng = np.random.default_rng([self.seed, index, 0x6465736372])
        crops: list[_Crop] = []
        for host, _ in drawn_scans(rng, scans=self.scans, spacing_mm=self.spacing_mm, name=f"body_{index:06d}"):
            crops += [(hu, mask, row | {"body": index}) for hu, mask, row in self._lesions(host, rng)]
        return Block(
            hu=np.stack([hu for hu, _, _ in crops]),
            targets=np.stack([mask[None].view(np.uint8) for _, mask, _ in crops]),
            rows=[row for _, _, row in crops],
        )

    def _lesions(self, host: Host, rng: np.random.Generator) -> "Iterator[_Crop]":
        order = [self.types[int(n)] for n in rng.permutation(len(self.types))]
        made, turn = 0, 0
        while made < self.lesions_per_scan:
            if turn >= _ROUNDS * max(len(order), self.lesions_per_scan):
                raise PlacementError(f"{host.id} had room for {made} of {self.lesions_per_scan} lesions; allow more types")
            type_ = order[turn % len(order)]
            turn += 1
            crop = self._lesion(host, type_, rng)
            if crop is not None:
                made += 1
                yield crop

    def _lesion(self, host: Host, type_: LesionType, rng: np.random.Generator) -> "_Crop | None":
        try:
            plan = draw_lesion(host, type_, rng)
        except PlacementError:
            return None
        rendered = render_lesion(plan, host)
        if not rendered.mask.any():
            return None
        check = verify(rendered, host, host.ct.hu, host.organs.labels)
        rendered, check = settled_surface(rendered, check, max(host.ct.grid.spacing_mm))
        hu, mask = _cube(rendered, host, self.size_voxels)
        spec = rendered.plan.spec
        row = {
            "type": type_.value,
            "host": host.id,
            "phase": spec.phase.value,
            "spacing_mm": host.ct.grid.spacing_mm[0],
            "diameter_mm": check.attributes.size.diameter_mm,
            "attributes": known_readings(rendered, check),
            "plan": to_json(rendered.plan),
        }
        return hu, mask, row


_Crop = tuple[NDArray[np.int16], NDArray[np.bool_], dict[str, Any]]


def known_readings(rendered: Rendered, check: Check) -> dict[str, int | None]:
    """Class index of every attribute that the report states and the voxels confirm, else None."""
    spec, measured = rendered.plan.spec, check.attributes
    found: dict[str, int | None] = {}
    for name, classes in READINGS.items():
        said, seen = getattr(spec, name), getattr(measured, name)
        found[name] = list(classes).index(said) if said is seen else None
    if TYPES[spec.type].neighbours is Neighbours.NONE:
        found["invasion"] = None
    return found


def _cube(rendered: Rendered, host: Host, size: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """HU and mask around the middle of the lesion's box."""
    own = Box.of(rendered.mask)
    i, j, k = (b + (p + q) // 2 for b, p, q in zip(rendered.box.start, own.start, own.stop, strict=True))
    box = Box.cube((i, j, k), size)
    hu, mask = host.ct.crop(box).hu.copy(), np.zeros(box.shape, dtype=bool)
    into, of = box.shared(rendered.box)
    hu[into], mask[into] = rendered.hu[of], rendered.mask[of]
    return hu, mask
