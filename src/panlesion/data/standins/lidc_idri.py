"""Cases written as LIDC-IDRI is published: a CT series with the XML of four readers beside it."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.lidc_nodules import Score
from panlesion.data.standins._dicom import Series, right_handed, write_series
from panlesion.data.standins._loops import borders

NAMESPACE = "http://www.nih.gov"
_READERS = 4
_Pixel = tuple[int, int]


def write_lidc_idri(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Every labelled voxel is nodule: readers 1 to 3 outline it, and score it reader + 1.

    Reader 2 sees one nodule more, reader 4 none but a mark below 3 mm and a non-nodule.
    """
    for number, case in enumerate(map(right_handed, cases), 1):
        patient = f"LIDC-IDRI-{number:04d}"
        folder = root / "LIDC-IDRI" / patient / "01-01-2000-NA-NA-30178" / "3000566.000000-NA-03192"
        series = write_series(folder, case.ct, patient=patient)
        (folder / "069.xml").write_bytes(lidc_xml(series, case.label.labels > 0))
    return root


def lidc_xml(series: Series, mask: NDArray[np.bool_]) -> bytes:
    """The XML of a CT whose nodules are the connected parts of a mask."""
    root = Element("LidcReadMessage", xmlns=NAMESPACE, uid="1.3.6.1.4.1.14519.5.2.1.6279.6001.1307390068.0")
    header = SubElement(root, "ResponseHeader")
    _texts(header, Version="1.8.1", SeriesInstanceUid=series.series, StudyInstanceUID=series.study)
    parts, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    for reader in range(1, _READERS + 1):
        session = SubElement(root, "readingSession")
        _texts(session, annotationVersion="3.12", servicingRadiologistID="anon")
        if reader < _READERS:
            for part in range(1, count + 1):
                _nodule(session, f"Nodule {part:03d}", np.asarray(parts == part), series, reader + 1)
        else:
            _marks(session, series)
        if reader == 2:
            _nodule(session, "IL057_127364", _corner(mask), series, 5)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _corner(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A block that touches nothing of the mask, in the first free corner."""
    for k in range(1, mask.shape[2] - 1):
        block = np.zeros_like(mask)
        block[2:5, 2:5, k] = True
        if not (ndimage.binary_dilation(block, iterations=2) & mask).any():
            return block
    raise ValueError("the nodules leave no corner free")


def _nodule(session: Element, name: str, mask: NDArray[np.bool_], series: Series, score: int) -> None:
    nodule = SubElement(session, "unblindedReadNodule")
    _texts(nodule, noduleID=name)
    _texts(SubElement(nodule, "characteristics"), internalStructure="1", calcification="6", **dict.fromkeys(Score, str(score)))
    for k in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
        for outer, pixels in borders(mask[:, :, k]):
            _roi(nodule, series, k, pixels, included=outer)


def _marks(session: Element, series: Series) -> None:
    """A nodule below 3 mm and a non-nodule: a point each, no scores."""
    small = SubElement(session, "unblindedReadNodule")
    _texts(small, noduleID="5")
    _roi(small, series, 0, [(4, 4)], included=True)
    other = SubElement(session, "nonNodule")
    _texts(other, nonNoduleID="2241", imageZposition="0", imageSOP_UID=series.images[0])
    _texts(SubElement(other, "locus"), xCoord="5", yCoord="6")


def _roi(parent: Element, series: Series, k: int, pixels: Sequence[_Pixel], *, included: bool) -> None:
    roi = SubElement(parent, "roi")
    z_mm = float(series.grid.to_xyz((0.0, 0.0, float(k)))[2])
    _texts(roi, imageZposition=f"{z_mm:.6f}", imageSOP_UID=series.images[k], inclusion="TRUE" if included else "FALSE")
    for x, y in pixels:
        _texts(SubElement(roi, "edgeMap"), xCoord=str(x), yCoord=str(y))


def _texts(parent: Element, **texts: str) -> None:
    for name, text in texts.items():
        SubElement(parent, name).text = text
