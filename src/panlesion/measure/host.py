"""`HostFacts`: what a lesion in this CT is compared with. Everything is measured on first use and kept."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organs import BONE_LABELS, LUNG_LABELS, MUSCLE_LABELS, SYSTEM_LABELS, V1_LABELS, V1_NAMES, OrganSystem
from panlesion.ct.phase import Phase
from panlesion.ct.volume import Box, LabelMap, Vector3, Volume
from panlesion.errors import OrganMapError
from panlesion.lesion.taxonomy import TYPES, LesionType, Reference
from panlesion.measure.location import Atlas
from panlesion.measure.noise import FEWEST_VOXELS, Noise, densest_box, measure_noise
from panlesion.measure.phase import guess_phase
from panlesion.measure.psf import measure_psf
from panlesion.measure.region import eroded, peak, robust_mean, voxels_of

CLEAR_OF_EDGE_SIGMAS = 2.0
"""A tissue is measured this many point-spread sigmas inside its mask: 2.3 % of the step is left there (normal distribution)."""
LEAST_CLEAR_MM = 1.0
FEWEST_MEAN_VOXELS = 20
FEWEST_NOISE_VOXELS = 400
MOST_MEAN_VOXELS = 1_000_000
"""A mean needs this many voxels, noise this many, else the mask is eroded less, then another tissue taken;
masks in larger boxes are thinned. Ours."""
LUNG_HU = (-1000.0, -500.0)
"""Aerated lung: emphysema below -950 to normally aerated -500 (Gattinoni et al., Am J Respir Crit Care Med 2001)."""
PARENCHYMA_HU = (-50.0, 400.0)
"""Leaves out fat, gas, stones, metal and excreted contrast; fatty livers reach 0 HU and below. Ours."""
BONE_HU = (-200.0, 2000.0)
WALL_HU = (0.0, 160.0)
WALL_MM = 3.0
"""A distended gut or bladder wall is up to 3 mm thick (Fernandes et al., Insights Imaging 2014); HU from fluid to mucosa."""
FLUID_HU = (-30.0, 60.0)
EXCRETED_HU = (-30.0, 2000.0)
"""Content of gut and gallbladder, and of a bladder that may hold excreted contrast."""
MUSCLE_HU = (0.0, 120.0)
SOFT_TISSUE_HU = (20.0, 90.0)
"""Muscle without its fat (-29 to 150 HU: Aubrey et al., Acta Physiol 2014, narrowed by us); peak of all soft tissue where no
muscle is labelled."""
QUIET_LABELS = (102, 103, 100, 101, 5, 1)
"""Where noise is measured for organs that are not even themselves: psoas, back muscles, liver, spleen, in this order. Ours."""
TEXTURE_RATIO = 1.3
"""Noise varies by about this factor within an abdomen (centre against rim); what exceeds it is texture. Ours."""
REFERENCE_MUSCLES = ((102, 103), (100, 101), tuple(sorted(MUSCLE_LABELS)))
"""Muscle is read in the psoas, as is usual; back and gluteal muscles are often fatty (Engelke et al., J Orthop Transl 2018)."""

_GUT = SYSTEM_LABELS[OrganSystem.ESOPHAGUS] | SYSTEM_LABELS[OrganSystem.STOMACH] | SYSTEM_LABELS[OrganSystem.COLON]
_SACS = SYSTEM_LABELS[OrganSystem.GALLBLADDER] | SYSTEM_LABELS[OrganSystem.BLADDER]
HOLLOW_LABELS = _GUT | _SACS | {V1_LABELS["small_bowel"], V1_LABELS["duodenum"]}
_BLOOD = {"artery": (7, 51, 52, 46, 45), "portal": (9,), "vein": (8, 53, 54)}

_T = TypeVar("_T")


def _name(label: int) -> str:
    return f"label {label} ({V1_NAMES.get(label, 'unknown')})"


@dataclass(frozen=True, kw_only=True, eq=False)
class HostFacts:
    """Facts of one CT and its organ map.

    `exclude` (bool, on the CT's grid) is left out of every measurement: known lesions. `given_phase` overrules the guess.
    """

    ct: Volume
    organs: LabelMap
    given_phase: Phase | None = None
    exclude: NDArray[np.bool_] | None = field(default=None, repr=False)
    _kept: dict[tuple[str, int], object] = field(default_factory=dict, repr=False)

    def _once(self, key: tuple[str, int], measure: Callable[[int], _T]) -> _T:
        if key not in self._kept:
            self._kept[key] = measure(key[1])
        return cast(_T, self._kept[key])

    @cached_property
    def psf_mm(self) -> Vector3:
        """Point-spread sigma in mm along the array axes."""
        return measure_psf(self.ct.hu, self.ct.grid.spacing_mm)

    @cached_property
    def atlas(self) -> Atlas:
        """The parts of the organs."""
        return Atlas(self.organs)

    @cached_property
    def _boxes(self) -> dict[int, Box]:
        boxes = {}
        for label, found in enumerate(ndimage.find_objects(self.organs.labels), start=1):
            if found is not None:
                i, j, k = found
                boxes[label] = Box(start=(i.start, j.start, k.start), stop=(i.stop, j.stop, k.stop))
        return boxes

    def has(self, label: int) -> bool:
        """Whether the organ map has voxels of this label."""
        return label in self._boxes

    def _absent(self, label: int) -> OrganMapError:
        return OrganMapError(
            f"organ map has no {_name(label)}; it must hold the organ that is measured: add it or choose another"
        )

    def _cut(self, label: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """HU and mask in the label's box."""
        if not self.has(label):
            raise OrganMapError(
                f"organ map has no {_name(label)}; it must hold the organ that is measured: add it or choose another"
            )
        slices = self._boxes[label].slices
        mask = self.organs.labels[slices] == label
        if self.exclude is not None:
            mask &= ~self.exclude[slices]
        return self.ct.hu[slices], mask

    def _clear(
        self, hu: NDArray[np.int16], mask: NDArray[np.bool_], fewest: int, wall_mm: float = 0.0
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """HU and an organ's mask clear of its edges, less so where too little would stay; large ones at every second voxel."""
        stride = 2 if mask.size > MOST_MEAN_VOXELS else 1
        hu, mask = hu[::stride, ::stride, ::stride], mask[::stride, ::stride, ::stride]
        i, j, k = (stride * s for s in self.ct.grid.spacing_mm)
        clear_mm = wall_mm + max(LEAST_CLEAR_MM, CLEAR_OF_EDGE_SIGMAS * max(self.psf_mm))
        for share in (1.0, 0.5):
            inner = eroded(mask, voxels_of(share * clear_mm, (i, j, k)))
            if np.count_nonzero(inner) >= fewest:
                return hu, inner
        return hu, mask

    def _values(self, label: int, hu_range: tuple[float, float], wall_mm: float = 0.0) -> NDArray[np.float32]:
        """HU within a range of the label's voxels clear of edge or wall; of all its voxels where those are too few."""
        whole = self._cut(label)
        for hu, mask in (self._clear(*whole, FEWEST_MEAN_VOXELS, wall_mm), whole):
            values = hu[mask].astype(np.float32)
            values = values[(values >= hu_range[0]) & (values <= hu_range[1])]
            if values.size >= FEWEST_MEAN_VOXELS:
                return values
        if values.size:
            return values
        raise OrganMapError(
            f"{_name(label)} has no voxel between {hu_range[0]:.0f} and {hu_range[1]:.0f} HU; an organ has its own "
            "tissue: check that map and CT belong together"
        )

    def organ_mean_hu(self, label: int) -> float:
        """Robust mean HU of an organ's own tissue: parenchyma, aerated lung, marrow; of hollow organs the wall.

        Raises:
            OrganMapError: the label is absent or has no voxel that can be its tissue.
        """
        return self._once(("mean", label), self._organ_mean)

    def _organ_mean(self, label: int) -> float:
        if label in HOLLOW_LABELS:
            return self._wall_mean(label)
        hu_range = LUNG_HU if label in LUNG_LABELS else BONE_HU if label in BONE_LABELS else PARENCHYMA_HU
        if label in MUSCLE_LABELS:
            return peak(self._values(label, MUSCLE_HU), *MUSCLE_HU)
        return robust_mean(self._values(label, hu_range))

    def _wall_mean(self, label: int) -> float:
        hu, mask = self._cut(label)
        wall = mask & ~eroded(mask, voxels_of(WALL_MM, self.ct.grid.spacing_mm))
        values = hu[wall].astype(np.float32)
        values = values[(values >= WALL_HU[0]) & (values <= WALL_HU[1])]
        return robust_mean(values if values.size >= FEWEST_MEAN_VOXELS else self._values(label, WALL_HU))

    def fluid_hu(self, label: int) -> float:
        """Most frequent HU of the fluid in a hollow organ: bile, urine, gastric or bowel fluid.

        Raises:
            OrganMapError: the label is absent or holds no fluid.
        """
        return self._once(("fluid", label), self._fluid)

    def _fluid(self, label: int) -> float:
        hu_range = EXCRETED_HU if label in SYSTEM_LABELS[OrganSystem.BLADDER] else FLUID_HU
        return peak(self._values(label, hu_range, WALL_MM), *hu_range)

    @cached_property
    def soft_tissue_hu(self) -> float:
        """Skeletal muscle: peak HU of the labelled muscles, else of all soft tissue of the body."""
        for group in REFERENCE_MUSCLES:
            labels = [label for label in group if self.has(label)]
            if labels:
                return peak(np.concatenate([self._values(label, MUSCLE_HU) for label in labels]), *MUSCLE_HU)
        thin = self.ct.hu[::2, ::2, ::2]
        values = thin[(thin >= SOFT_TISSUE_HU[0]) & (thin <= SOFT_TISSUE_HU[1])]
        if values.size < FEWEST_MEAN_VOXELS:
            raise OrganMapError(
                "organ map has no muscle (labels 94-103) and the CT hardly a voxel of 20 to 90 HU; give a map with muscles"
            )
        return peak(values.astype(np.float32), *SOFT_TISSUE_HU)

    def reference_hu(self, type: LesionType, organ_label: int) -> float:
        """Mean HU of the tissue that a lesion of this type in this organ is compared with, see `taxonomy.Reference`."""
        match TYPES[type].reference:
            case Reference.ORGAN:
                return self.organ_mean_hu(organ_label)
            case Reference.SOFT_TISSUE:
                return self.soft_tissue_hu
            case Reference.CONTENT:
                return self.fluid_hu(organ_label)

    @cached_property
    def phase(self) -> Phase:
        """The phase given, else guessed.

        Raises:
            OrganMapError: the map has no blood vessel, kidney, spleen or liver to guess it from.
        """
        guess = self.given_phase or guess_phase(self._landmarks())
        if guess is None:
            raise OrganMapError(
                "organ map has neither vessels nor kidney, spleen or liver; the phase cannot be guessed: give it (--phase)"
            )
        return guess

    def _landmarks(self) -> dict[str, float]:
        out: dict[str, float] = {}
        wide = (-20.0, 700.0)
        for key, labels in _BLOOD.items():
            first = next((label for label in labels if self.has(label)), None)
            if first is not None:
                out[key] = robust_mean(self._values(first, wide))
        for key, label in {"liver": 5, "spleen": 1}.items():
            if self.has(label):
                out[key] = self.organ_mean_hu(label)
        kidneys = [label for label in sorted(SYSTEM_LABELS[OrganSystem.KIDNEY]) if self.has(label)]
        if kidneys:
            out["kidney"] = float(np.mean([self.organ_mean_hu(label) for label in kidneys]))
            out["collecting"] = float(np.mean([np.percentile(self._values(label, (-20.0, 3000.0)), 99.0) for label in kidneys]))
        bladder = V1_LABELS["urinary_bladder"]
        if self.has(bladder):
            out["urine"] = self.fluid_hu(bladder)
        return out

    def noise(self, label: int) -> Noise:
        """Noise in an organ, or in the body's most even tissue where the organ's own HU vary for other reasons or are too few.

        Gut and bone are never even; of other organs, what exceeds the even tissue's SD by `TEXTURE_RATIO` is their own
        texture (vessels
        in the lung, fat in the pancreas), not noise.

        Raises:
            OrganMapError: the label is absent, or no tissue of the CT is large enough.
        """
        return self._once(("noise", label), self._noise)

    def _noise(self, label: int) -> Noise:
        if not self.has(label):
            raise self._absent(label)
        own = None if label in (_GUT | BONE_LABELS) else self._noise_in(label)
        if own is not None and own.sd_hu <= TEXTURE_RATIO * self._quiet_noise.sd_hu:
            return own
        return self._quiet_noise

    @cached_property
    def _quiet_noise(self) -> Noise:
        """Noise of the first of `QUIET_LABELS` that is large enough, else of any soft tissue."""
        for label in QUIET_LABELS:
            noise = self._once(("own noise", label), self._noise_in) if self.has(label) else None
            if noise is not None:
                return noise
        return self._body_noise()

    def _noise_in(self, label: int) -> Noise | None:
        """Noise within one label, None where too few voxels are clear of its edges."""
        hu, mask = self._cut(label)
        box = densest_box(mask)
        hu, inner = self._clear(hu[box.slices], mask[box.slices], FEWEST_NOISE_VOXELS)
        low, high = LUNG_HU if label in LUNG_LABELS else BONE_HU
        inner = inner & (hu >= low) & (hu <= high)
        enough = np.count_nonzero(inner) >= FEWEST_NOISE_VOXELS
        return measure_noise(hu, inner, self.ct.grid.spacing_mm) if enough else None

    def _body_noise(self) -> Noise:
        """Noise of whatever soft tissue the body has, where no labelled tissue is large enough."""
        soft = (self.ct.hu > SOFT_TISSUE_HU[0] - 100.0) & (self.ct.hu < SOFT_TISSUE_HU[1] + 100.0)
        if self.exclude is not None:
            soft &= ~self.exclude
        box = densest_box(soft)
        inner = eroded(soft[box.slices], (2, 2, 2))
        if np.count_nonzero(inner) < FEWEST_VOXELS:
            raise OrganMapError("no soft tissue of the CT is large enough to measure its noise; give a larger CT")
        return measure_noise(self.ct.hu[box.slices], inner, self.ct.grid.spacing_mm)


def measure_host(
    ct: Volume, organs: LabelMap, *, phase: Phase | None = None, exclude: NDArray[np.bool_] | None = None
) -> HostFacts:
    """Facts of a CT, measured when asked for.

    Args:
        ct: the CT, lesion-free or with its lesions in `exclude`.
        organs: organ map on the same grid, v1 numbering.
        phase: the phase where it is known; else it is guessed from the organs' HU.
        exclude: bool (I, J, K) on the same grid; left out of every measurement.

    Raises:
        OrganMapError: the map does not lie on the CT's grid.
        ValueError: `exclude` has another shape.
    """
    if not ct.grid.same_as(organs.grid):
        raise OrganMapError(
            f"organ map has shape {organs.grid.shape} and origin {organs.grid.affine[:3, 3].round(1).tolist()}, "
            f"the CT {ct.grid.shape} and {ct.grid.affine[:3, 3].round(1).tolist()}; they must share one grid: resample the map"
        )
    if exclude is not None and exclude.shape != ct.grid.shape:
        raise ValueError(f"exclude has shape {exclude.shape}, the CT {ct.grid.shape}; they must be equal")
    return HostFacts(ct=ct, organs=organs, given_phase=phase, exclude=exclude)
