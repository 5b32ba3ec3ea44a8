"""Whether a DICOM annotation was drawn on the scan it is laid over: by the series it names, else by the frame of reference."""

from collections.abc import Collection
from pathlib import Path

import pydicom

from panlesion.ct.dicom import DicomCT
from panlesion.ct.dicom_header import damaged
from panlesion.errors import ReadError


def check_drawn_on(ct: DicomCT, annotation: Path, *, series: Collection[str], frame: str) -> None:
    """Refuse an annotation of another scan.

    Args:
        ct: The scan.
        annotation: Its name in messages.
        series: The UIDs of the series that the annotation says it was drawn on; some files name none.
        frame: Its FrameOfReferenceUID; "" where it has none.

    Raises:
        ReadError: It names other series, its frame of reference is another, or nothing ties it to the scan.
    """
    if series and ct.series_uid not in series:
        raise ReadError(
            f"{annotation}: drawn on series {', '.join(sorted(series))}, not on {ct.series_uid}; give the CT it was drawn on"
        )
    of_scan = _frame_of(ct)
    if frame and of_scan and frame != of_scan:
        raise ReadError(
            f"{annotation}: FrameOfReferenceUID {frame}, the scan has {of_scan}; positions of one mean nothing in the other. "
            "Give the scan it was drawn on"
        )
    if not series and not (frame and of_scan):
        raise ReadError(f"{annotation}: names neither a series nor a frame of reference; nothing says which scan it belongs to")


def _frame_of(ct: DicomCT) -> str:
    """FrameOfReferenceUID of the scan; "" where it has none, or lies in a zip."""
    path = ct.slices[0].path
    if not pydicom.misc.is_dicom(path):
        return ""
    with damaged(str(path), "the DICOM header cannot be read"):
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["FrameOfReferenceUID"])
        return str(ds.get("FrameOfReferenceUID") or "").strip()
