"""RIDER Lung CT (Zhao et al. 2009, TCIA): two CTs of each of 32 patients, minutes apart, and annotations of both.

Annotations come as SEG or RTSTRUCT, each drawn on one of a patient's series; series nobody drew on are passed over. Where
people and software drew (Wee et al. 2020), the people's are read. The two CTs of a patient are two cases of one patient.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.sources._tcia import FoundSeries, ct_of, left_out, open_ct, patient_folders, series_below, sop_class_of
from panlesion.data.sources.dicom_seg_read import SEG_CLASS, read_seg, read_seg_header
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.rtstruct import RTSTRUCT_CLASS, read_structures, region_label
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import ReadError, StoreError, about

BY_HAND = re.compile(r"(.*[^a-z])?man(ual)?([^a-z].*)?", re.IGNORECASE)
"""How a region or segment that a person drew is named, beside one of software."""


def find(root: Path) -> Sequence[FoundCase]:
    """Annotated CTs by patient and series number: `<patient>_1`, `<patient>_2` and so on.

    Raises:
        StoreError: No patient, or one without an annotated CT.
    """
    cases: list[FoundCase] = []
    reasons: list[str] = []
    for folder in patient_folders(root, r"RIDER-\d+", "RIDER Lung CT", such_as="RIDER-1129164940"):
        found = series_below(folder)
        drawn = _drawn(found, reasons)
        if not drawn:
            raise StoreError(
                f"{folder}: no CT with an annotation among its {len(found)} series; download 'RIDER Lung CT Segmentation "
                "Labels' too, into the same patients' folders"
            )
        unread = sum(one.ct for one in found) - len(drawn)
        reasons += [f"{unread} CT series of {folder.name} (not annotated)"] if unread else []
        cases += [
            FoundCase(
                id=f"{folder.name}_{n}",
                patient=folder.name,
                image=ct.path,
                label=label.path,
                facts={"series": ct.uid, "description": ct.description},
            )
            for n, (ct, label) in enumerate(drawn, 1)
        ]
    left_out("RIDER Lung CT", reasons)
    return cases


def _drawn(found: Sequence[FoundSeries], reasons: list[str]) -> list[tuple[FoundSeries, FoundSeries]]:
    """Each annotated CT with one annotation: a structure set before a SEG, for its regions say who drew them."""
    chosen: dict[str, tuple[FoundSeries, FoundSeries]] = {}
    for kind in (RTSTRUCT_CLASS, SEG_CLASS):
        for label in (one for one in found if one.sop_class == kind):
            ct = ct_of(label, found)
            if ct is None:
                reasons.append(f"{label.path.parent.name}/{label.path.name} (drawn on a series that is not there)")
            elif ct.uid in chosen:
                reasons.append(f"{label.path.parent.name}/{label.path.name} (its CT has another annotation)")
            else:
                chosen[ct.uid] = (ct, label)
    return sorted(chosen.values(), key=lambda pair: (pair[0].study, pair[0].number, pair[0].uid))


def read(case: FoundCase) -> LabelledCT:
    """One CT and its tumour, 1."""
    with about(case.id):
        assert case.label is not None
        opened = _structures if sop_class_of(case.label) == RTSTRUCT_CLASS else _seg
        volume, label = opened(case.label, case.image)
        return LabelledCT(id=case.id, patient=case.patient, ct=volume, label=label)


def _structures(path: Path, folder: Path) -> tuple[Volume, LabelMap]:
    structures = read_structures(path)
    volume, ct = open_ct(folder, structures.series)
    name = _by_hand(path, [region.name for region in structures.regions if region.contours])
    return volume, region_label(structures, name, ct)


def _seg(path: Path, folder: Path) -> tuple[Volume, LabelMap]:
    header = read_seg_header(path)
    volume, ct = open_ct(folder, header.series)
    numbers = {f"{one.number} {one.label} {one.description}".strip(): one.number for one in header.segments}
    wanted = numbers[_by_hand(path, list(numbers))]
    return volume, read_seg(path, ct, lambda segment: int(segment.number == wanted))


def _by_hand(path: Path, names: Sequence[str]) -> str:
    """The only name, or the only one that says a person drew it."""
    found = names if len(names) == 1 else [name for name in names if BY_HAND.fullmatch(name)]
    if len(found) != 1:
        listed = ", ".join(map(repr, names)) or "none"
        raise ReadError(
            f"{path}: {len(found)} of its regions are called manual; one must be, or there must be one alone: {listed}"
        )
    return found[0]


SOURCE = Source(
    id="rider_lung",
    title="RIDER Lung CT, test and retest",
    classes=("lung_tumor",),
    lesions=("lung_tumor",),
    licence="CC BY 4.0 (images), CC BY-NC 3.0 (annotations)",
    get="https://doi.org/10.7937/k9/tcia.2015.u1x8a5nr and https://doi.org/10.7937/tcia.2020.jit9grk8",
    layout="RIDER-1129164940/<study>/<series>/*.dcm, images and annotations below the same patient",
    find=find,
    read=read,
)
