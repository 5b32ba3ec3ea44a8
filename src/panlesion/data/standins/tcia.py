"""Cases written as collections of The Cancer Imaging Archive are downloaded: patient, study, series, one image a file.

Regions of a case are its label's values; a case without a value that a set needs makes a set that cannot be read.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from panlesion.ct.modality import Modality
from panlesion.ct.volume import Box, Volume
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.nsclc_radiomics import LEFT_OUT
from panlesion.data.sources.tcga_blca import FEWEST_IMAGES
from panlesion.data.standins._dicom import right_handed, write_seg, write_series, write_structures

_STUDY = "01-01-2001-NA-NA-12345"
_STAGES = ("I", "II", "IIIa", "IIIb")
_DAYS = (2165, 155, 256, 731)
_SCOUT_IMAGES = 2


def write_nsclc_radiomics(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Value 1 is GTV-1, named in the set's ways, beside a node's GTV and the lung. The table has all patients, drawn facts."""
    folder = root / "NSCLC-Radiomics"
    kept = [name for n in range(1, 423) if (name := f"LUNG1-{n:03d}") not in (*LEFT_OUT, "LUNG1-128")]
    rows = [("PatientID", "age", "Overall.Stage", "Histology", "gender", "Survival.time", "deadstatus.event")]
    for n, (name, case) in enumerate(zip(kept, map(right_handed, cases), strict=False)):
        study = folder / name / _STUDY
        series = write_series(study / "1.000000-NA-82046", case.ct, patient=name)
        box = np.zeros(case.ct.grid.shape, dtype=np.bool_)
        box[2:5, 2:5, 2:4] = True
        regions = {"Lung-Left": case.ct.hu < -500, "gtv-2": box, ("GTV-1", "gtv-1")[n % 2]: case.label.labels == 1}
        write_structures(study / "1.000000-NA-38418" / "1-1.dcm", series, regions)
        rows.append((name, f"{60 + n}.5", _STAGES[n % 4], "adenocarcinoma", "male", str(_DAYS[n % 4]), str(n % 2)))
    _write_table(root / "NSCLC Radiomics Lung1.clinical-version3-Oct-2019.csv", rows, ",")
    return root


def write_rider_lung(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Value 1 is the tumour, drawn by hand and by software. Two cases a patient: one as RTSTRUCT, one as SEG.

    The first has a further reconstruction that nobody drew on.
    """
    for n, case in enumerate(map(right_handed, cases)):
        name = f"RIDER-{1129164940 + n // 2}"
        study, number = root / "RIDER Lung CT" / name / _STUDY, n % 2 + 1
        series = write_series(study / f"{number}.000000-NA-24533", case.ct, patient=name, number=number)
        mask = case.label.labels == 1
        by_software = np.roll(mask, 1, axis=0)
        if number == 1:
            regions = {"GTVp_test_auto": by_software, "GTVp_test_man": mask}
            write_structures(study / "9.000000-TEST-1" / "1-1.dcm", series, regions)
            write_series(study / "101.000000-NA-99", case.ct, patient=name, number=101)
        else:
            segments = [("GTVp_retest_auto", "Neoplasm", by_software), ("GTVp_retest_man", "Neoplasm", mask)]
            write_seg(study / "10.000000-RETEST-1" / "1-1.dcm", series, segments)
    return root


def write_tcga_blca(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Labels are not written. Each patient has a scout beside the CT, and two rows in the table, with facts that are drawn."""
    rows = [
        ("case_id", "case_submitter_id", "ajcc_pathologic_stage", "vital_status", "days_to_death", "days_to_last_follow_up")
    ]
    for n, case in enumerate(map(right_handed, cases)):
        if case.ct.grid.shape[2] < FEWEST_IMAGES:
            raise ValueError(
                f"{case.id}: {case.ct.grid.shape[2]} slices; a series of fewer than {FEWEST_IMAGES} is no CT of this set"
            )
        name = f"TCGA-4Z-A{n:03d}"
        study = root / "TCGA-BLCA" / name / _STUDY
        write_series(study / "2.000000-VENOUS-1", case.ct, patient=name, number=2)
        scout = case.ct.crop(Box(start=(0, 0, 0), stop=(*case.ct.grid.shape[:2], _SCOUT_IMAGES)))
        write_series(study / "1.000000-SCOUT-1", scout, patient=name, number=1)
        days, dead = str(_DAYS[n % 4]), n % 2 == 1
        stage = f"Stage {_STAGES[n % 4].upper()[:3]}"
        status = ("Dead", days, "'--") if dead else ("Alive", "'--", days)
        rows += [(f"uuid-{n}", name, "'--", *status), (f"uuid-{n}", name, stage, *status)]
    _write_table(root / "clinical.tsv", rows, "\t")
    return root


def write_soft_tissue_sarcoma(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Value 1 is the tumour, with the oedema around it; an MR with a structure set of its own lies in another study."""
    for n, case in enumerate(map(right_handed, cases), 1):
        name = f"STS_{n:03d}"
        folder, mask = root / "Soft-tissue-Sarcoma" / name, case.label.labels == 1
        series = write_series(folder / _STUDY / "2.000000-CT-1", case.ct, patient=name)
        regions = {"GTV_Edema": mask | np.roll(mask, 1, axis=1), "GTV_Mass": mask}
        write_structures(folder / _STUDY / "9.000000-RTstructCTscan-1" / "1-1.dcm", series, regions)
        brightness = Volume(hu=(case.ct.hu.clip(-1000) + 1000).astype(np.int16), grid=case.ct.grid)
        mr = write_series(folder / "MR" / "3.000000-T1-1", brightness, patient=name, study="2", modality=Modality.MR)
        write_structures(folder / "MR" / "9.000000-RTstructT1-1" / "1-1.dcm", mr, regions)
    return root


def _write_table(path: Path, rows: Sequence[Sequence[str]], delimiter: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)
