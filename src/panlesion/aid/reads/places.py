"""Where a finding that a reader outlined lies: in the organ under its outline, by the organ map of the analysis."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.aid.reads.masks import Labels
from panlesion.aid.reads.sizes import box_of
from panlesion.aid.schemas.reading import FindingOut
from panlesion.aid.vocabulary import Origin
from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import LabelMap
from panlesion.errors import ReadError
from panlesion.infer.places import organ_and_side
from panlesion.infer.record import ORGANS_FILE
from panlesion.lesion.taxonomy import TYPES, LesionType

AROUND_MM = 6.0
"""How far beside an outline an organ is looked for; `infer.measured` has four of the network's voxels."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """An organ and its side; both empty where none is known."""

    organ: str = ""
    side: str = ""


def placed(findings: Sequence[FindingOut], touched: Collection[int], results: Path, labels: Labels) -> list[FindingOut]:
    """The findings, those of a reader that were painted with the organ under their outlines; of no other a place is changed.

    Args:
        findings: The AI's keep the place that it told, and those that a reader has placed the reader's.
        touched: Numbers of the findings whose outlines have changed.
        results: What the analysis left. Where its organ map cannot be read no place is told, and no stroke is lost.
        labels: The mask, (I, J, K).
    """
    mine = {one.number for one in findings if one.origin is not Origin.AI and one.place_by is Origin.AI} & set(touched)
    organs = _organs(results) if mine else None
    if organs is None or organs.grid.shape != labels.shape:
        return list(findings)
    return [_placed(one, organs, labels) if one.number in mine else one for one in findings]


def _placed(finding: FindingOut, organs: LabelMap, labels: Labels) -> FindingOut:
    box = box_of(labels, finding.number)
    if box is None:
        return finding.model_copy(update={"organ": "", "side": "", "location": ""})
    steps = [max(1, int(AROUND_MM / mm)) for mm in organs.grid.spacing_mm]
    box = box.grown((steps[0], steps[1], steps[2])).clipped(labels.shape)
    spot = spot_of(organs.labels[box.slices], labels[box.slices] == finding.number, finding.type, steps)
    return finding.model_copy(update={"organ": spot.organ, "side": spot.side, "location": ""})


@lru_cache(maxsize=2)
def _organs(results: Path) -> LabelMap | None:
    """The network's organ map, on the CT's grid; it never changes, and strokes that follow each other unpack it once."""
    try:
        return read_labels(results / ORGANS_FILE)
    except ReadError:
        return None


def spot_of(organs: NDArray[np.uint8], mask: NDArray[np.bool_], type_: str, steps: Sequence[int]) -> Spot:
    """The organ that most of an outline lies in, else most of what is around it.

    A lesion of a known type lies in an organ that the type lives in, if there is one under or beside it, however far it
    protrudes; so does `infer.measured.organ_of` place the AI's.
    """
    wide = ndimage.maximum_filter(mask, [2 * n + 1 for n in steps])
    near = [organs[mask], organs[wide]]
    if type_ in set(LesionType):
        living = sorted(TYPES[LesionType(type_)].organ_labels)
        near = [*(one[np.isin(one, living)] for one in near), *near]
    for found in near:
        counts = np.bincount(found, minlength=256)
        counts[0] = 0
        if counts.any():
            organ, side = organ_and_side(int(counts.argmax()), from_network=True)
            return Spot(organ=organ, side=side)
    return Spot()
