"""Rows of held-out scans with parts as a test wants them."""

from panlesion.bench.held_out import ScanRow
from panlesion.bench.held_out_scans import Split
from panlesion.infer.findings import Finding
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.detection import Part, Reading

VOXEL_ML = 0.01


def row(name, *parts, type_=LesionType.LIVER_CYST, split=Split.TEST, named=None):
    """A scan with one lesion of 100 voxels (or none); parts are (voxels, score, voxels shared with the lesion)."""
    lesions = (100,) if type_ else ()
    made = tuple(Part(voxels=v, score=s, shared=((0, n),) if n else ()) for v, s, n in parts)
    findings = tuple(
        Finding(type="liver_cyst", voxels=v, volume_ml=v * VOXEL_ML, score=s, peak=s, centre_xyz=(0, 0, 0), anatomy="liver")
        for v, s, _ in parts
    )
    reading = Reading(lesions=lesions, parts=made)
    return ScanRow(
        id=name, split=split, type=type_, body_seed=1, attempts=1, phase="portal", voxel_ml=VOXEL_ML, any=reading,
        named=reading if named is None else Reading(lesions=lesions, parts=named), baseline=Reading(lesions=lesions),
        findings=findings, organs=("liver",) * len(parts),
    )  # fmt: skip
