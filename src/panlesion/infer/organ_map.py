"""The organ map of a CT: the user's own, or what the network's anatomy classes tell, in v1 numbering.

The network knows 16 classes where the numbering has 104 structures. Single organs get their own label; kidneys and lungs are
told apart by side; a class of many structures (bone, heart, vessels, muscle, small bowel) gets the label of one of them, which
then stands for all, as `places.LEGEND` says. Nobody may read a rib's number or a lobe off such a map.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import V1_LABELS
from panlesion.ct.volume import LabelMap
from panlesion.infer.findings import Prediction
from panlesion.measure.detection import components

_SINGLE: Mapping[str, int] = MappingProxyType(
    {
        "liver": V1_LABELS["liver"],
        "gall": V1_LABELS["gallbladder"],
        "pancreas": V1_LABELS["pancreas"],
        "esophagus": V1_LABELS["esophagus"],
        "stomach": V1_LABELS["stomach"],
        "colon": V1_LABELS["colon"],
        "bladder": V1_LABELS["urinary_bladder"],
        "spleen": V1_LABELS["spleen"],
        "bone": V1_LABELS["sacrum"],
        "heart": V1_LABELS["heart_myocardium"],
        "vessel": V1_LABELS["aorta"],
        "muscle": V1_LABELS["autochthon_left"],
        "bowel": V1_LABELS["small_bowel"],
    }
)
_SIDED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "kidney": (V1_LABELS["kidney_left"], V1_LABELS["kidney_right"]),
        "lung": (V1_LABELS["lung_upper_lobe_left"], V1_LABELS["lung_upper_lobe_right"]),
    }
)
"""Labels on the patient's left and right."""

LEAST_PART = 0.1
"""Parts of an organ below this share of its largest one are left out; ours. Not for classes of many structures."""
BOTH_SIDES = 0.25
"""A part with more than this share on either side is two organs that touch; ours."""
_SCATTERED = frozenset({"bone", "vessel", "muscle", "bowel", "colon"})


def organ_map(prediction: Prediction) -> LabelMap:
    """The network's anatomy (L,P,S, the model's spacing) as v1 labels, small stray parts of single organs left out."""
    labels = np.zeros(prediction.anatomy.shape, dtype=np.uint8)
    index = {name: n for n, name in enumerate(prediction.anatomy_names)}
    left = _left_of_midline(prediction)
    for name in prediction.anatomy_names[1:]:
        mask = prediction.anatomy == index[name]
        if name not in _SCATTERED:
            mask = _main_parts(mask)
        if name in _SINGLE:
            labels[mask] = _SINGLE[name]
        elif name in _SIDED:
            on_left = _sided(mask, left)
            labels[mask & on_left] = _SIDED[name][0]
            labels[mask & ~on_left] = _SIDED[name][1]
    return LabelMap(labels=labels, grid=prediction.grid)


def _left_of_midline(prediction: Prediction) -> NDArray[np.bool_]:
    """Which planes of the first axis (L) lie on the patient's left: beyond the median of bone, else of the image."""
    names = prediction.anatomy_names
    planes = np.arange(prediction.anatomy.shape[0])
    counts = np.zeros(len(planes), dtype=np.int64)
    if "bone" in names:
        counts = (prediction.anatomy == names.index("bone")).sum(axis=(1, 2))
    if not counts.any():
        return planes > (len(planes) - 1) / 2
    middle = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    return planes > middle


def _sided(mask: NDArray[np.bool_], left: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a paired organ counts as left: part by part, so that a kidney before the spine stays whole.

    What lies on both sides in earnest (lungs that touch) is cut at the midline.
    """
    parts, count = components(mask)
    plane = np.broadcast_to(left[:, None, None], mask.shape)
    voxels = np.maximum(np.bincount(parts.ravel(), minlength=count + 1), 1)
    share = np.bincount(parts[plane], minlength=count + 1) / voxels
    both = np.minimum(share, 1 - share) > BOTH_SIDES
    on_left: NDArray[np.bool_] = np.where(both[parts], plane, (share > 0.5)[parts])
    return on_left


def _main_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = components(mask)
    if count < 2:
        return mask
    voxels = np.bincount(parts.ravel(), minlength=count + 1)
    voxels[0] = 0
    kept: NDArray[np.bool_] = (voxels >= LEAST_PART * voxels.max())[parts] & mask
    return kept
