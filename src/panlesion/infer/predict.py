"""`predict_case`: one CT to a folder with masks, findings, report, and for DICOM the SEG and SR objects."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import panlesion
from panlesion.ct.dicom import DicomCT
from panlesion.ct.modality import Modality
from panlesion.ct.mr import read_mr_with_source
from panlesion.ct.organ_files import OrganNumbering, read_organs
from panlesion.ct.phase import Phase
from panlesion.ct.read import read_ct_with_source
from panlesion.ct.standardise import restore, standardise, standardise_labels
from panlesion.ct.volume import LabelMap, Volume
from panlesion.errors import CheckpointError, OrganMapError
from panlesion.infer.doubt import doubts_of
from panlesion.infer.findings import OVERLAP, Finding, Prediction, body_box, find_lesions, parted
from panlesion.infer.follow_up import compare, read_prior
from panlesion.infer.measured import Patient, record_of, renumbered
from panlesion.infer.organ_map import organ_map
from panlesion.infer.record import Algorithm, Findings, OperatingPoint
from panlesion.infer.sentences import worded
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.nets.classes import LESIONS
from panlesion.nets.model import Model
from panlesion.nets.restore import Restorer, restore_parts
from panlesion.nets.sealed import digest
from panlesion.nets.sliding import Engine, Progress

MOST_FINDINGS = 255
"""What a label mask of bytes can number; the least probable beyond are left out, which a doubt says."""
Namer = Callable[[], str]
"""Makes a DICOM UID."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How scans are predicted. `organs` is the user's own organ map of this scan, `prior` the findings of an earlier one."""

    point: OperatingPoint
    algorithm: Algorithm
    overlap: float = OVERLAP
    organs: Path | None = None
    numbering: OrganNumbering = OrganNumbering.V2
    series: str | None = None
    prior: Path | None = None
    modality: Modality = Modality.CT


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """One CT, its organ map and lesions on its own grid, and what is said of it. `source` is None for NIfTI."""

    ct: Volume
    source: DicomCT | None
    organs: LabelMap
    lesions: LabelMap
    findings: Findings


def algorithm_of(checkpoint: str, model: Model) -> Algorithm:
    """What is written into every result; the hash is over all weights, heads included."""
    weights = digest("", model.state_dict())
    return Algorithm(name="panlesion", version=panlesion.__version__, checkpoint=checkpoint, weights_sha256=weights)


def predict_ct(
    path: Path,
    case: str,
    model: Model,
    settings: Settings,
    *,
    uid: Namer,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Read and predict one CT; nothing is written.

    Args:
        path: NIfTI file, DICOM file, folder or zip.
        case: What the case is called.
        model: In evaluation mode.
        settings: Operating point, organ map, series.
        uid: Makes the tracking UIDs.
        engine: As `nets.engines.choose_engine` gives it; by default torch in bfloat16.
        progress: Called with windows done and in all.

    Raises:
        ReadError: It cannot be read, the organ map does not fit it, or the prior findings are not whole.
        CheckpointError: The model was taught another modality.
    """
    check_modality(model, settings.modality)
    started = time.perf_counter()
    read = read_ct_with_source if settings.modality is Modality.CT else read_mr_with_source
    ct, source = read(path, series=settings.series)
    standard = standardise(ct, model.info.spacing_mm)
    box = body_box(standard, settings.modality)
    restorer = None if box.empty else Restorer(model.classes, standard.crop(box).grid, ct.grid, probability=False)
    prediction, parts, found = find_lesions(
        model,
        standard,
        overlap=settings.overlap,
        engine=engine,
        skip_air=True,
        watch=None if restorer is None else restorer.add,
        progress=progress,
    )
    labels, kept = parted(prediction, *_counting(parts, found, settings.point))
    labels, kept = renumbered(labels, kept, range(min(len(kept), MOST_FINDINGS)))
    own = np.zeros(ct.grid.shape, dtype=np.uint8)
    if restorer is not None and kept:
        own = restore_parts(labels, standard.grid, restorer.maps[LESIONS] > 0, ct.grid).astype(np.uint8)
    labels, kept, own_labels = _without_vanished(labels, kept, LabelMap(labels=own, grid=ct.grid))
    organs, own_organs = _organs(prediction, ct, settings)
    patient = Patient(
        ct=ct, own_labels=own_labels, standard=standard, labels=labels, organs=organs, from_network=settings.organs is None,
        modality=settings.modality,
    )  # fmt: skip
    lesions = [record_of(patient, model, one, n, uid()) for n, one in enumerate(kept, 1)]
    findings = Findings(
        case=case,
        kind="nifti" if source is None else "dicom",
        modality=settings.modality,
        shape=ct.grid.shape,
        spacing_mm=ct.grid.spacing_mm,
        algorithm=settings.algorithm,
        operating_point=settings.point,
        lesions=tuple(lesions),
        suspicion=suspicion_of(found, prediction.lesion_names),
        doubts=doubts_of(ct, standard, prediction, settings.modality),
        plain=_plain(patient),
    )
    if settings.prior is not None:
        findings = replace(findings, follow_up=compare(*read_prior(settings.prior), findings, own_organs))
    findings = replace(worded(findings), seconds=round(time.perf_counter() - started, 2))
    return Predicted(ct=ct, source=source, organs=own_organs, lesions=own_labels, findings=findings)


def check_modality(model: Model, modality: Modality) -> None:
    """Refuse images of a kind that the model never saw.

    Raises:
        CheckpointError: Naming both, and what to do.
    """
    taught = model.info.modality
    if taught is not modality:
        advice = "say --mr" if taught is Modality.MR else "leave out --mr, or give a checkpoint of panlesion finetune --mr"
        raise CheckpointError(f"the checkpoint was taught {taught.upper()}, the images are {modality.upper()}; {advice}")


def suspicion_of(findings: Sequence[Finding], lesion_names: Sequence[str] = tuple(LesionType)) -> dict[str, float]:
    """The certainty of the most certain finding, whether it counts or not, in each organ system and overall.

    Findings of no type are "elsewhere". The largest, not one minus the product: a hundred marks of one per cent each are a
    network's habit, not a lesion. Of organ systems for which the network has no class (`lesion_names`) nothing is told.
    """
    known = [type_ for type_ in LesionType if type_.value in lesion_names]
    found = {"overall": 0.0} | {TYPES[type_].system.value.lower(): 0.0 for type_ in known}
    for one in findings:
        place = TYPES[LesionType(one.type)].system.value.lower() if one.type in set(LesionType) else "elsewhere"
        found[place] = max(found.get(place, 0.0), one.certainty)
        found["overall"] = max(found["overall"], one.certainty)
    return found


def _counting(
    parts: NDArray[np.int32], found: Sequence[Finding], point: OperatingPoint
) -> tuple[NDArray[np.int32], list[Finding]]:
    """The findings that count, most certain first."""
    order = sorted(range(len(found)), key=lambda n: (-found[n].certainty, n))
    kept = [n for n in order if found[n].certainty >= point.least_probability][:MOST_FINDINGS]
    return renumbered(parts, found, kept)


def _without_vanished(
    labels: NDArray[np.int32], kept: list[Finding], own: LabelMap
) -> tuple[NDArray[np.int32], list[Finding], LabelMap]:
    """Without findings that have no voxel on the CT's own, coarser grid."""
    there = np.bincount(own.labels.ravel(), minlength=len(kept) + 1)[1:] > 0
    if there.all():
        return labels, kept, own
    stay = np.flatnonzero(there).tolist()
    fresh, left = renumbered(labels, kept, stay)
    table = np.zeros(256, dtype=np.uint8)
    for number, index in enumerate(stay, 1):
        table[index + 1] = number
    return fresh, left, LabelMap(labels=table[own.labels], grid=own.grid)


def _organs(prediction: Prediction, ct: Volume, settings: Settings) -> tuple[LabelMap, LabelMap]:
    """The organ map on the model's grid and on the CT's own."""
    if settings.organs is None:
        organs = organ_map(prediction)
        return organs, restore(organs, ct.grid)
    own = read_organs(settings.organs, numbering=settings.numbering, like=ct.grid)
    return standardise_labels(own, prediction.grid.spacing_mm[0]), own


def _plain(patient: Patient) -> bool | None:
    """Whether the CT looks unenhanced; None where no blood or organ is known that would tell, and for an MR."""
    if patient.modality is Modality.MR:
        return None
    try:
        return patient.facts.phase is Phase.NON_CONTRAST
    except OrganMapError:
        return None
