"""What is said of every finding: sizes and HU on the CT's own grid, place, and the report attributes read and measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.modality import Modality
from panlesion.ct.organs import BONE_LABELS, LUNG_LABELS
from panlesion.ct.volume import Box, LabelMap, Volume
from panlesion.errors import OrganMapError
from panlesion.infer.findings import Finding
from panlesion.infer.places import LEGEND, organ_and_side
from panlesion.infer.record import Caliper, LesionRecord, Reading
from panlesion.lesion.taxonomy import TYPES, LesionType, Neighbours
from panlesion.lesion.vocabulary import READINGS
from panlesion.measure.attributes import Attributes, measure_lesion
from panlesion.measure.host import HostFacts
from panlesion.measure.size import Axis, measure_size
from panlesion.nets.attributes import describe_lesion
from panlesion.nets.heads import ATTRIBUTE_HEAD
from panlesion.nets.model import Model

_ZONES = ("lower zone", "middle zone", "upper zone")


@dataclass(frozen=True, kw_only=True, eq=False)
class Patient:
    """One CT with what is known of it, twice: on its own grid, and on the model's (L,P,S).

    `organs` is the user's map or, `from_network`, the network's, in which some labels stand for more, see `places.LEGEND`.
    `labels` numbers the findings 1 … n on the model's grid, `own_labels` on the CT's own.
    """

    ct: Volume
    own_labels: LabelMap
    standard: Volume
    labels: NDArray[np.int32]
    organs: LabelMap
    from_network: bool
    modality: Modality = Modality.CT

    @cached_property
    def facts(self) -> HostFacts:
        """What lesions are compared with, the findings left out."""
        return HostFacts(ct=self.standard, organs=self.organs, exclude=self.labels > 0)

    @cached_property
    def own_boxes(self) -> list[Box | None]:
        """The box of every finding on the CT's own grid; None for one that vanished in restoring."""
        found: list[Box | None] = []
        # the stubs do not know that a label without voxels gives None
        for slices in cast(Sequence[tuple[slice, slice, slice] | None], ndimage.find_objects(self.own_labels.labels)):
            if slices is None:
                found.append(None)
                continue
            i, j, k = slices
            found.append(Box(start=(i.start, j.start, k.start), stop=(i.stop, j.stop, k.stop)))
        return found


def record_of(patient: Patient, model: Model, finding: Finding, number: int, tracking_uid: str) -> LesionRecord:
    """The record of finding `number`, whose voxels must exist on both grids.

    Raises:
        ValueError: It has no voxel on the CT's own grid.
    """
    box = patient.own_boxes[number - 1] if number <= len(patient.own_boxes) else None
    if box is None:
        raise ValueError(f"finding {number} has no voxel on the CT's own grid")
    mask = patient.own_labels.labels[box.slices] == number
    size = measure_size(mask, patient.ct.grid.crop(box), box.start)
    hu = patient.ct.hu[box.slices][mask]
    label = organ_of(patient, finding, number)
    measured = _measured(patient, finding, number, label)
    i, j, k = np.rint(patient.ct.grid.to_ijk(size.centre_xyz)).astype(int).tolist()
    name, side, location = place_of(patient, label, number)
    return LesionRecord(
        number=number,
        tracking_id=f"lesion {number}",
        tracking_uid=tracking_uid,
        type=finding.type,
        probability=finding.certainty,
        organ=name,
        side=side,
        location=location,
        volume_ml=size.volume_ml,
        diameter_mm=size.diameter_mm,
        long=_caliper(size.axial_long),
        short=_caliper(size.axial_short),
        extent_mm=size.extent_mm,
        centre_ijk=(i, j, k),
        centre_xyz=size.centre_xyz,
        mean_hu=float(hu.mean(dtype=np.float64)) if patient.modality is Modality.CT else None,
        sd_hu=float(hu.std(dtype=np.float64)) if patient.modality is Modality.CT else None,
        organ_mean_hu=_organ_hu(patient, label),
        attributes=_attributes(patient, model, number, measured),
    )


def organ_of(patient: Patient, finding: Finding, number: int) -> int:
    """The v1 label of the organ a finding belongs to; 0 where there is none near.

    A finding of a type belongs to the nearest organ its type lives in, however far it protrudes; another one to the structure
    that most of its surroundings are.
    """
    mask = patient.labels == number
    box = Box.of(mask).grown(_NEAR_VOXELS).clipped(mask.shape)
    organs, near = patient.organs.labels[box.slices], mask[box.slices]
    known = _type_of(finding.type)
    if known is not None:
        organs = np.where(np.isin(organs, sorted(TYPES[known].organ_labels)), organs, 0)
    counts = np.bincount(organs[near], minlength=256)
    if not counts[1:].any():
        shell = ndimage.binary_dilation(near, iterations=_NEAR_VOXELS) & ~near
        counts = np.bincount(organs[shell], minlength=256)
    counts[0] = 0
    return int(counts.argmax()) if counts.any() else 0


_NEAR_VOXELS = 4


def place_of(patient: Patient, label: int, number: int) -> tuple[str, str, str]:
    """Organ, side and part of it in words; empty where nothing is known.

    The part follows from landmarks of the whole organ, so of one that the image cuts off above or below none is told.
    """
    if not label:
        return "", "", ""
    name, side = organ_and_side(label, from_network=patient.from_network)
    centre = np.argwhere(patient.labels == number).mean(axis=0)
    x, y, z = patient.standard.grid.to_xyz(centre).tolist()
    cut_off = bool((patient.organs.labels[:, :, [0, -1]] == label).any())
    if patient.from_network and label in LUNG_LABELS:
        return name, side, "" if cut_off else _ZONES[_third(patient, label, z)]
    if patient.from_network and label in LEGEND:
        return name, side, ""
    # bones and lobes are whole by themselves
    part = "" if cut_off and label not in BONE_LABELS | LUNG_LABELS else patient.facts.atlas.seat(label, (x, y, z))
    return name, side, part


def _third(patient: Patient, label: int, z: float) -> int:
    """Which third of the organ's height a point lies in, counted from below."""
    planes = np.flatnonzero((patient.organs.labels == label).any(axis=(0, 1)))
    low, high = (float(patient.organs.grid.to_xyz((0.0, 0.0, float(k)))[2]) for k in (planes[0], planes[-1]))
    return int(np.clip(3 * (z - low) / max(high - low, 1e-6), 0, 2))


def _type_of(name: str) -> LesionType | None:
    return LesionType(name) if name in set(LesionType) else None


def _measured(patient: Patient, finding: Finding, number: int, label: int) -> Attributes | None:
    """What the rules of `measure` find; None for a class without rules, or where the reference tissue is not in the map."""
    known = _type_of(finding.type)
    if patient.modality is Modality.MR or known is None or label not in TYPES[known].organ_labels:
        return None
    try:
        return measure_lesion(
            patient.standard, patient.labels == number, patient.organs, type=known, organ_label=label, host=patient.facts
        )
    except OrganMapError:
        return None


def _attributes(patient: Patient, model: Model, number: int, measured: Attributes | None) -> Mapping[str, Reading]:
    read: dict[str, tuple[str, float]] = {}
    if ATTRIBUTE_HEAD in model.heads:
        for name, sure in describe_lesion(model, patient.ct, patient.own_labels.labels == number).items():
            best = int(sure.argmax())
            read[name] = (list(READINGS[name])[best].value, float(sure[best]))
    found = {}
    for name in READINGS:
        said, probability = read.get(name, (None, None))
        told = None if measured is None or _not_assessed(name, measured) else str(getattr(measured, name))
        found[name] = Reading(read=said, probability=probability, measured=told)
    return found


def _not_assessed(name: str, measured: Attributes) -> bool:
    """The relation of what lies free in a lumen is not assessed."""
    return name == "invasion" and TYPES[measured.type].neighbours is Neighbours.NONE


def _organ_hu(patient: Patient, label: int) -> float | None:
    if patient.modality is Modality.MR or not label or not patient.facts.has(label):
        return None
    try:
        return patient.facts.organ_mean_hu(label)
    except OrganMapError:
        return None


def _caliper(axis: Axis) -> Caliper:
    return Caliper(length_mm=axis.length_mm, ends_ijk=axis.ends_ijk, ends_xyz=axis.ends_xyz)


def renumbered(
    labels: NDArray[np.int32], findings: Sequence[Finding], kept: Sequence[int]
) -> tuple[NDArray[np.int32], list[Finding]]:
    """Only the findings of these indices (from 0), numbered 1 … n in their order."""
    table = np.zeros(len(findings) + 1, dtype=np.int32)
    for number, index in enumerate(kept, 1):
        table[index + 1] = number
    return table[labels], [findings[index] for index in kept]
