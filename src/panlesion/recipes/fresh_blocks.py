"""Lesions on the fly: blocks of training patches from drawn bodies, made ahead of training by its producers.

A block is one body under several scanners and contrast phases, with fresh lesions; block n of a seed is always the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Box, Grid, LabelMap, Vector3, Volume
from panlesion.data.patches import Block
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.classes import ANATOMY_LABELS, OTHER_MASS, anatomy_table, lesion_class
from panlesion.phantom.limb.limb import make_limb
from panlesion.phantom.limb.render import Compartment
from panlesion.phantom.tissue import Tissue
from panlesion.synth.compose import draw_lesion, render_lesion
from panlesion.synth.drawn_scans import drawn_scans
from panlesion.synth.host import Host
from panlesion.synth.mass import draw_mass, render_mass
from panlesion.synth.mass_host import MassHost
from panlesion.synth.mass_plan import mass_to_json
from panlesion.synth.plan import Plan, to_json
from panlesion.train.losses import IGNORE

SECOND_LESION = 0.3
"""Share of lesion patches with another lesion of the same type, where there is room (ours)."""
OFF_CENTRE = 0.22
"""How far from a patch's middle its lesion may be, as a part of its side. Sliding windows meet lesions anywhere: a network
that only saw them in the middle finds one in the middle of every window (ours)."""


@dataclass(frozen=True, kw_only=True)
class FreshBlocks:
    """What blocks are made of. `size_voxels` is larger than the training patch, so that it can be turned and shifted."""

    seed: int
    types: tuple[LesionType, ...] = tuple(LesionType)
    spacing_mm: tuple[float, float] = (2.2, 3.2)
    size_voxels: int = 64
    scans: int = 3
    lesions_per_scan: int = 9
    masses_per_scan: int = 2
    healthy_per_scan: int = 5
    limb_share: float = 0.3

    @property
    def patches(self) -> int:
        """Patches in one block."""
        return self.scans * (self.lesions_per_scan + self.masses_per_scan + self.healthy_per_scan)

    def make(self, index: int) -> Block:
        """Block number `index`; equal recipes and numbers give equal bits."""
        rng = np.random.default_rng([self.seed, index, 0x626C6F63])
        patches = list(self._limbs(rng, index) if rng.random() < self.limb_share else self._torso(rng, index))
        return Block(
            hu=np.stack([hu for hu, _, _ in patches]),
            targets=np.stack([targets for _, targets, _ in patches]),
            rows=[row for _, _, row in patches],
        )

    def _torso(self, rng: np.random.Generator, index: int) -> "Iterator[Patch]":
        for host, tissues in drawn_scans(rng, scans=self.scans, spacing_mm=self.spacing_mm, name=f"body_{index:06d}"):
            anatomy = _anatomy(host.organs, tissues == Tissue.MUSCLE, np.zeros(tissues.shape, dtype=bool))
            facts = host.facts
            soft = MassHost.of(host.ct, host.organs, phase=facts.phase, psf_mm=facts.psf_mm)
            yield from self.patches_of(host, anatomy, soft, rng)

    def patches_of(self, host: Host, anatomy: LabelMap, soft: MassHost | None, rng: np.random.Generator) -> "Iterator[Patch]":
        """The patches of one scan, drawn or real; without a soft-tissue host its masses become healthy patches."""
        yield from self._lesion_patches(host, anatomy, rng)
        for _ in range(self.masses_per_scan):
            yield self._healthy(host, anatomy, rng) if soft is None else self._with_mass(soft, anatomy, host.id, rng)
        for _ in range(self.healthy_per_scan):
            yield self._healthy(host, anatomy, rng)

    def _lesion_patches(self, host: Host, anatomy: LabelMap, rng: np.random.Generator) -> "Iterator[Patch]":
        # Types take turns within a scan, so that each is seen about equally often.
        order = [self.types[int(n)] for n in rng.permutation(len(self.types))]
        turn = 0
        for _ in range(self.lesions_per_scan):
            patch = None
            for _ in range(len(order)):
                type_ = order[turn % len(order)]
                turn += 1
                patch = self._with_lesion(host, anatomy, type_, rng)
                if patch is not None:
                    break
            yield patch if patch is not None else self._healthy(host, anatomy, rng)

    def _with_lesion(self, host: Host, anatomy: LabelMap, type_: LesionType, rng: np.random.Generator) -> "Patch | None":
        """A patch with a lesion of the type, or None where the body has no room for the one that was drawn."""
        try:
            first = draw_lesion(host, type_, rng)
        except PlacementError:
            return None
        second = _near(host, type_, rng, first, self.size_voxels) if rng.random() < SECOND_LESION else None
        plans = [first] if second is None else [first, second]
        row = {"type": type_.value, "plans": [to_json(plan) for plan in plans]}
        ijk = host.ct.grid.to_ijk(first.spec.centre_xyz) + self._aside(rng)
        x, y, z = host.ct.grid.to_xyz(ijk).tolist()
        return self._cut(host, anatomy, (x, y, z), plans, row)

    def _aside(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """How far beside its lesion a patch is cut, in voxels."""
        return rng.uniform(-1, 1, 3) * OFF_CENTRE * self.size_voxels

    def _limbs(self, rng: np.random.Generator, index: int) -> "Iterator[Patch]":
        """Arms, legs, shoulders: every limb gives two patches with a mass and a healthy one."""
        made, limb_number = 0, 0
        while made < self.patches:
            spacing = float(rng.uniform(*self.spacing_mm))
            limb = make_limb(int(rng.integers(2**31)), spacing_mm=spacing)
            soft, name = MassHost.of_limb(limb), f"limb_{index:06d}_{limb_number}"
            kinds = limb.compartments.labels
            bone = (kinds == Compartment.CORTEX) | (kinds == Compartment.MARROW)
            anatomy = _anatomy(limb.organs, kinds >= Compartment.MUSCLE, bone)
            limb_number += 1
            for _ in range(min(2, self.patches - made)):
                yield self._with_mass(soft, anatomy, name, rng)
                made += 1
            if made < self.patches:
                middle = (np.asarray(soft.grid.shape) - 1) / 2
                x, y, z = soft.grid.to_xyz(middle + self._aside(rng)).tolist()
                row = {"type": None, "host": name, "phase": soft.phase.value, "spacing_mm": spacing}
                yield self._cube_of(limb.ct, anatomy, None, (x, y, z), row)
                made += 1

    def _with_mass(self, soft: MassHost, anatomy: LabelMap, name: str, rng: np.random.Generator) -> "Patch":
        """A patch with a soft-tissue mass; a body without room for any gives a patch of itself."""
        row: dict[str, Any] = {"host": name, "phase": soft.phase.value, "spacing_mm": soft.grid.spacing_mm[0]}
        try:
            plan = draw_mass(soft, rng)
        except PlacementError:
            x, y, z = soft.grid.to_xyz((np.asarray(soft.grid.shape) - 1) / 2).tolist()
            return self._cube_of(Volume(hu=soft.hu, grid=soft.grid), anatomy, None, (x, y, z), row | {"type": None})
        hu, mask = render_mass(plan, soft)
        middle = np.argwhere(mask).mean(axis=0) if mask.any() else (np.asarray(mask.shape) - 1) / 2
        x, y, z = soft.grid.to_xyz(middle + self._aside(rng)).tolist()
        row |= {"type": OTHER_MASS if mask.any() else None, "mass": mass_to_json(plan)}
        return self._cube_of(Volume(hu=hu, grid=soft.grid), anatomy, mask, (x, y, z), row)

    def _cube_of(
        self, ct: Volume, anatomy: LabelMap, mass: NDArray[np.bool_] | None, centre_xyz: Vector3, row: dict[str, Any]
    ) -> "Patch":
        box = _cube(ct.grid, centre_xyz, self.size_voxels)
        lesions = np.zeros((self.size_voxels,) * 3, dtype=np.uint8)
        if mass is not None:
            whole = LabelMap(labels=mass.view(np.uint8) * np.uint8(lesion_class(None)), grid=ct.grid)
            lesions = whole.crop(box).labels
        # What lay where the mass is was pushed aside: nobody knows its class any more.
        targets = np.stack([np.where(lesions > 0, np.uint8(IGNORE), anatomy.crop(box).labels), lesions])
        return ct.crop(box).hu.copy(), targets, row

    def _healthy(self, host: Host, anatomy: LabelMap, rng: np.random.Generator) -> "Patch":
        """A patch without a lesion: half of them around some organ, small ones as often as large, the others anywhere."""
        labels = host.organs.labels
        present = np.flatnonzero(np.bincount(labels.ravel(), minlength=1)[1:]) + 1
        if present.size and rng.random() < 0.5:
            places = np.argwhere(labels == rng.choice(present))
            ijk = places[rng.integers(len(places))] + self._aside(rng)
        else:
            ijk = rng.integers(0, labels.shape).astype(float)
        x, y, z = host.ct.grid.to_xyz(ijk).tolist()
        return self._cut(host, anatomy, (x, y, z), [], {"type": None})

    def _cut(self, host: Host, anatomy: LabelMap, centre_xyz: Vector3, plans: list[Plan], row: dict[str, Any]) -> "Patch":
        box = _cube(host.ct.grid, centre_xyz, self.size_voxels)
        hu, classes = host.ct.crop(box).hu.copy(), anatomy.crop(box).labels.copy()
        lesions = np.zeros(hu.shape, dtype=np.uint8)
        ct, labels = host.ct, host.organs
        for plan in plans:
            rendered = render_lesion(plan, host, ct, labels)
            here, there = box.shared(rendered.box)
            hu[here] = rendered.hu[there]
            # What a lesion pushes aside moves its labels; elsewhere the classes stay.
            moved = rendered.labels[there] != host.organs.labels[rendered.box.slices][there]
            classes[here][moved] = anatomy_table()[rendered.labels[there]][moved]
            lesions[here][rendered.mask[there]] = lesion_class(plan.spec.type)
            if len(plans) > 1:
                ct, labels = _pasted(ct, labels, rendered.box, rendered.hu, rendered.labels)
        targets = np.stack([classes, lesions])
        return hu, targets, row | {"host": host.id, "phase": host.facts.phase.value, "spacing_mm": host.ct.grid.spacing_mm[0]}


Patch = tuple[NDArray[np.int16], NDArray[np.uint8], dict[str, Any]]
"""HU (S, S, S), targets (2, S, S, S) and the row that tells of them."""


def _anatomy(organs: LabelMap, muscle: NDArray[np.bool_], bone: NDArray[np.bool_]) -> LabelMap:
    """Anatomy classes of an organ map, with all muscle and bone there is: the maps' numbering knows but a few of them."""
    classes = anatomy_table()[organs.labels]
    names = ("background", *ANATOMY_LABELS)
    classes[muscle & (classes == 0)] = names.index("muscle")
    classes[bone & (classes == 0)] = names.index("bone")
    return LabelMap(labels=classes, grid=organs.grid)


def _near(host: Host, type_: LesionType, rng: np.random.Generator, first: Plan, size: int) -> Plan | None:
    """Another lesion of the type, if one lands in the same patch in one try."""
    try:
        other = draw_lesion(host, type_, rng, others=(first,))
    except PlacementError:
        return None
    away = np.abs(np.asarray(other.spec.centre_xyz) - np.asarray(first.spec.centre_xyz)) / host.ct.grid.spacing_mm[0]
    return other if float(away.max()) < size / 2 else None


def _pasted(
    ct: Volume, organs: LabelMap, box: Box, hu: NDArray[np.int16], labels: NDArray[np.uint8]
) -> tuple[Volume, LabelMap]:
    whole_hu, whole_labels = ct.hu.copy(), organs.labels.copy()
    whole_hu[box.slices], whole_labels[box.slices] = hu, labels
    return replace(ct, hu=whole_hu), replace(organs, labels=whole_labels)


def _cube(grid: Grid, centre_xyz: Vector3, size: int) -> Box:
    """The cube of `size` voxels around a point; may leave the grid."""
    i, j, k = np.rint(grid.to_ijk(centre_xyz)).astype(int).tolist()
    return Box.cube((i, j, k), size)
