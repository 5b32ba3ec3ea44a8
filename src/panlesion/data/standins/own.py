"""A user's own annotated CTs as stand-ins: images beside labels."""

from collections.abc import Sequence
from pathlib import Path

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.data.sources.labelled_ct import LabelledCT


def write_own(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """`images/<case>.nii.gz` with `labels/<case>.nii.gz`."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases):
        name = f"case_{number:03d}.nii.gz"
        write_volume(root / "images" / name, case.ct)
        write_labels(root / "labels" / name, case.label)
    return root
