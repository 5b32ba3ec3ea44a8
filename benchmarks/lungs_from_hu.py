"""Write a lung-only organ map for a chest CT without one, to try lung lesions on it: lungs from HU, lobes by rule.

Run: python benchmarks/lungs_from_hu.py CT OUT_FOLDER

Lungs are the largest airy regions inside the body, split at the midline, closed over their vessels. Fissures are planes:
the oblique one rises from the front of the base to the back at 70 % of the lung's height, the horizontal one lies at half
height (after Gray's Anatomy; an approximation, not a segmentation). OUT_FOLDER becomes a host folder:
ct.nii.gz, organs.nii.gz (v1).
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.read import read_ct
from panlesion.ct.standardise import standardise
from panlesion.ct.volume import LabelMap, Volume

AIRY_HU = -500
BODY_HU = -400


def lungs(ct: Volume) -> LabelMap:
    """Five lobes (v1 13-17) of a CT on a standard L, P, S grid of about 1 mm."""
    # Slice by slice: lungs are the air inside the body's outline; in 3D they may join the room through cut slices.
    body = ct.hu > BODY_HU
    filled = np.stack([ndimage.binary_fill_holes(body[:, :, k]) for k in range(body.shape[2])], axis=2)
    regions, count = ndimage.label(ndimage.binary_opening(filled & (ct.hu < AIRY_HU)))
    if count == 0:
        raise SystemExit("no lungs found: no airy region inside the body")
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    keep = sizes >= 0.15 * sizes.max()
    lung = ndimage.binary_closing(np.pad(keep[regions], 8), iterations=6)[8:-8, 8:-8, 8:-8]
    where = np.argwhere(lung)
    middle = int(np.median(where[:, 0]))
    labels = np.zeros(ct.grid.shape, dtype=np.uint8)
    side_of = np.arange(ct.grid.shape[0]) >= middle
    for left, names in ((True, ("upper", None, "lower")), (False, ("upper", "middle", "lower"))):
        mine = lung & (side_of == left)[:, None, None]
        at = np.argwhere(mine)
        front_back = (at[:, 1] - at[:, 1].min()) / max(1, np.ptp(at[:, 1]))
        height = (at[:, 2] - at[:, 2].min()) / max(1, np.ptp(at[:, 2]))
        side = "left" if left else "right"
        name = np.where(height < 0.7 * front_back, f"lung_lower_lobe_{side}", f"lung_upper_lobe_{side}")
        if names[1]:
            name = np.where((height >= 0.7 * front_back) & (height < 0.5), "lung_middle_lobe_right", name)
        labels[tuple(at.T)] = np.vectorize(V1_LABELS.get, otypes=[np.uint8])(name)
    return LabelMap(labels=labels, grid=ct.grid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    ct = standardise(read_ct(given.ct), 1.0)
    organs = lungs(ct)
    given.out.mkdir(parents=True, exist_ok=True)
    write_volume(given.out / "ct.nii.gz", ct)
    write_labels(given.out / "organs.nii.gz", organs)
    for label in np.unique(organs.labels)[1:]:
        print(f"label {label}: {np.count_nonzero(organs.labels == label) * organs.grid.voxel_ml:.0f} ml")


if __name__ == "__main__":
    main()
