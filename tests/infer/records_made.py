"""A made-up findings document for tests of what is written from one."""

from typing import Any

from panlesion.infer.record import (
    Algorithm,
    Caliper,
    Doubt,
    Findings,
    LesionRecord,
    OperatingPoint,
    Reading,
)

ALGORITHM = Algorithm(name="panlesion", version="0.0.1", checkpoint="nano", weights_sha256="ab" * 32)


def lesion(number: int = 1, **changes: Any) -> LesionRecord:
    """A liver tumour of 24 x 15 mm; everything may be changed."""
    made: dict[str, Any] = {
        "number": number,
        "tracking_id": f"lesion {number}",
        "tracking_uid": f"1.2.826.0.1.3680043.8.498.{number}",
        "type": "liver_tumor",
        "probability": 0.83,
        "organ": "liver",
        "side": "",
        "location": "segment VII",
        "volume_ml": 3.2,
        "diameter_mm": 25.0,
        "long": Caliper(length_mm=24.0, ends_ijk=((4, 5, 6), (10, 5, 6)), ends_xyz=((0, 0, 12.0), (24.0, 0, 12.0))),
        "short": Caliper(length_mm=15.0, ends_ijk=((7, 3, 6), (7, 7, 6)), ends_xyz=((12.0, -8, 12.0), (12.0, 7, 12.0))),
        "extent_mm": (24.0, 15.0, 20.0),
        "centre_ijk": (7, 5, 6),
        "centre_xyz": (12.0, 0.0, 12.0),
        "mean_hu": 38.0,
        "sd_hu": 14.0,
        "organ_mean_hu": 61.0,
        "attributes": {
            "shape": Reading(read="Irregular", probability=0.7, measured="Irregular"),
            "density": Reading(read="Hypodense", probability=0.9, measured="Hypodense"),
            "heterogeneity": Reading(read="Homogeneous", probability=0.6, measured="Heterogeneous"),
            "surface": Reading(read="Well-defined margin", probability=0.8),
            "invasion": Reading(measured="No close relationship with adjacent structures"),
        },
        "sentence": "Irregular hypodense lesion of 24 x 15 mm in segment VII of the liver.",
    }
    return LesionRecord(**(made | changes))


def findings(*lesions: LesionRecord, **changes: Any) -> Findings:
    """A document with these lesions, by default one."""
    made: dict[str, Any] = {
        "case": "case_1",
        "kind": "nifti",
        "shape": (32, 28, 24),
        "spacing_mm": (4.0, 4.0, 2.0),
        "algorithm": ALGORITHM,
        "operating_point": OperatingPoint(
            least_probability=0.3, sensitivity=0.5, false_per_scan=1.0, calibrated_on="30 drawn scans"
        ),
        "lesions": lesions or (lesion(),),
        "suspicion": {"overall": 0.86, "liver": 0.83, "lung": 0.1},
        "doubts": (Doubt(code="thick_slices", words="Slices are 5 mm apart; small lesions may be missed."),),
        "plain": True,
        "impression": (
            "Lesion in segment VII of the liver, suspicious of a tumour. A contrast-enhanced study is recommended.",
        ),
        "seconds": 12.5,
    }
    return Findings(**(made | changes))
