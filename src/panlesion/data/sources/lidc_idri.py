"""LIDC-IDRI (Armato et al., Med Phys 2011, TCIA): chest CT of 1,010 people, nodules outlined and scored by up to four readers.

An outline in the XML is drawn around a nodule: its own pixels do not belong to it. A voxel is nodule where at least half of
the CT's readers have it, so what one of four saw is background. Nodules are the connected parts of that; each has the median
scores of the readers whose outlines touch it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.dicom import DicomCT
from panlesion.ct.volume import Box, LabelMap, Vector3
from panlesion.data.sources._polygons import even_odd, points_on
from panlesion.data.sources._tcia import FoundSeries, open_ct, patient_folders, series_below
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.lidc_nodules import Score
from panlesion.data.sources.lidc_xml import Annotations, Outline, ReadNodule, read_annotations, series_of_xml
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import ReadError, StoreError, about

_SAME_SLICE = 0.1  # of the slice step
_Drawn = dict[int, NDArray[np.bool_]]  # slice → (I, J)


@dataclass(frozen=True, kw_only=True)
class Nodule:
    """One nodule of the label: how many readers drew it, the median of each score, its centre (RAS+ mm) and voxels."""

    readers: int
    scores: Mapping[Score, float]
    centre_xyz: Vector3
    voxels: int


@dataclass(frozen=True, kw_only=True, eq=False)
class LidcCT(LabelledCT):
    """A CT with its nodules, and what was marked but is not in the label.

    `small` are marks of nodules below 3 mm, `non_nodules` of other lesions, `outvoted` nodules that too few readers drew.
    """

    nodules: tuple[Nodule, ...]
    readers: int
    small: int
    non_nodules: int
    outvoted: int


def find(root: Path) -> Sequence[FoundCase]:
    """CTs by patient: `LIDC-IDRI-0001`, or with a number behind it for the few people with two.

    Raises:
        StoreError: No patient, or a CT without its XML.
    """
    xmls: dict[str, Path] = {}
    for path in sorted(root.rglob("*.xml")) if root.is_dir() else ():
        if uid := series_of_xml(path):
            xmls.setdefault(uid, path)
    cases = []
    for folder in patient_folders(root, r"LIDC-IDRI-\d{4}", "LIDC-IDRI", such_as="LIDC-IDRI-0001"):
        cts = [one for one in series_below(folder) if one.ct]
        cases += [_case(folder.name, n if len(cts) > 1 else 0, ct, xmls) for n, ct in enumerate(cts, 1)]
    if not cases:
        raise StoreError(f"{root}: its patients have no CT, only other images; download modality CT too")
    return cases


def _case(patient: str, number: int, ct: FoundSeries, xmls: Mapping[str, Path]) -> FoundCase:
    if ct.uid not in xmls:
        raise StoreError(
            f"{ct.path}: none of the {len(xmls)} XML files is about its series {ct.uid}; unpack LIDC-XML-only.zip beside the "
            "patients"
        )
    return FoundCase(
        id=f"{patient}_{number}" if number else patient,
        patient=patient,
        image=ct.path,
        label=xmls[ct.uid],
        facts={"series": ct.uid},
    )


def read(case: FoundCase) -> LidcCT:
    """A CT and its nodules, 1."""
    with about(case.id):
        assert case.label is not None
        said = read_annotations(case.label)
        volume, source = open_ct(case.image, (said.series,))
        drawn = [(nodule, _drawn(nodule, source, said.path)) for nodule in said.nodules]
        mask = _consensus(drawn, said, volume.grid.shape)
        nodules, outvoted = _nodules(mask, drawn, source)
        return LidcCT(
            id=case.id,
            patient=case.patient,
            ct=volume,
            label=LabelMap(labels=mask.astype(np.uint8), grid=volume.grid),
            nodules=nodules,
            readers=said.readers,
            small=said.small,
            non_nodules=said.non_nodules,
            outvoted=outvoted,
        )


def _drawn(nodule: ReadNodule, ct: DicomCT, path: Path) -> _Drawn:
    """The voxels of one reader's nodule, slice by slice."""
    name = f"{path}: reader {nodule.reader}, nodule {nodule.id}"
    columns, rows, _ = ct.volume.grid.shape
    inside: _Drawn = {}
    # What is cut out comes last, in whatever order the file lists it.
    for outline in sorted(nodule.outlines, key=lambda one: not one.included):
        points = np.array(outline.points, dtype=np.int64).reshape(-1, 2)
        if points.size and ((points < 0).any() or (points >= (columns, rows)).any()):
            raise ReadError(f"{name}: a point lies outside the image of {columns}x{rows} pixels; the XML is of another CT")
        area = even_odd([points.astype(np.float64)], (columns, rows))
        on = points_on(outline.points)
        area[on[:, 0], on[:, 1]] = False
        k = _slice_of(outline, ct, name)
        before = inside.get(k, np.zeros((columns, rows), dtype=np.bool_))
        inside[k] = before | area if outline.included else before & ~area
    return inside


def _slice_of(outline: Outline, ct: DicomCT, name: str) -> int:
    """The slice an outline was drawn on: by its image, else by its position."""
    for k, reference in enumerate(ct.slices):
        if reference.sop_instance == outline.image:
            return k
    positions = ct.volume.grid.to_xyz(np.column_stack([np.zeros((len(ct.slices), 2)), np.arange(len(ct.slices))]))[:, 2]
    nearest = int(np.abs(positions - outline.z_mm).argmin())
    if abs(positions[nearest] - outline.z_mm) > _SAME_SLICE * ct.volume.grid.spacing_mm[2]:
        raise ReadError(
            f"{name}: image {outline.image or 'not named'} at z {outline.z_mm:g} mm is no slice of the CT; slices are missing, "
            "or the XML is of another CT"
        )
    return nearest


def _consensus(drawn: Sequence[tuple[ReadNodule, _Drawn]], said: Annotations, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Voxels that at least half of the readers have."""
    by_reader: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for nodule, slices in drawn:
        for k, area in slices.items():
            before = by_reader.get((nodule.reader, k))
            by_reader[nodule.reader, k] = area if before is None else before | area
    votes = np.zeros(shape, dtype=np.uint8)
    for (_, k), area in by_reader.items():
        votes[:, :, k] += area
    return np.asarray(votes * np.uint8(2) >= max(said.readers, 1))


def _nodules(
    mask: NDArray[np.bool_], drawn: Sequence[tuple[ReadNodule, _Drawn]], ct: DicomCT
) -> tuple[tuple[Nodule, ...], int]:
    """Connected parts of the label with what their readers said; and how many reads touch none."""
    box = Box.of(mask)
    parts = np.zeros(mask.shape, dtype=np.int32)
    parts[box.slices], count = ndimage.label(mask[box.slices], structure=np.ones((3, 3, 3)))
    touched: dict[int, list[ReadNodule]] = {part: [] for part in range(1, count + 1)}
    outvoted = 0
    for nodule, slices in drawn:
        of_read = {int(part) for k, area in slices.items() for part in np.unique(parts[:, :, k][area])} - {0}
        outvoted += not of_read
        for part in of_read:
            touched[part].append(nodule)
    nodules = []
    for part, reads in touched.items():
        ijk = np.argwhere(parts[box.slices] == part) + box.start
        x, y, z = ct.volume.grid.to_xyz(ijk.mean(axis=0)).tolist()
        scores = {score: [read.scores[score] for read in reads if score in read.scores] for score in Score}
        nodules.append(
            Nodule(
                readers=len({read.reader for read in reads}),
                scores={score: float(np.median(values)) for score, values in scores.items() if values},
                centre_xyz=(x, y, z),
                voxels=len(ijk),
            )
        )
    return tuple(nodules), outvoted


SOURCE = Source(
    id="lidc_idri",
    title="LIDC-IDRI, lung nodules by consensus of the readers",
    classes=("lung_nodule",),
    lesions=("lung_nodule",),
    licence="CC BY 3.0",
    get="https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX, images with NBIA Data Retriever, and LIDC-XML-only.zip",
    layout="LIDC-IDRI-0001/<study>/<series>/*.dcm, its XML beside them or anywhere below the same folder",
    find=find,
    read=read,
)
