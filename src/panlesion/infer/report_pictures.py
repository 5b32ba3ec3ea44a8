"""The pictures of a report: every finding where its long axis lies and in the other planes; the middle of a scan without any.

All is cut from the CT's own grid one slice at a time: neither the CT nor the mask is ever copied whole.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from PIL import Image
from scipy import ndimage

from panlesion.ct.intensity import to_network
from panlesion.ct.modality import Modality
from panlesion.ct.organs import BONE_LABELS, LUNG_LABELS, V1_LABELS
from panlesion.ct.volume import Grid, LabelMap, Vector3, Volume
from panlesion.infer._words import axes_digits, known_type
from panlesion.infer.record import LesionRecord
from panlesion.measure.size import axial_axis
from panlesion.picture.caliper import draw_caliper
from panlesion.picture.contour import LESION_COLOUR
from panlesion.picture.focus import middle
from panlesion.picture.panel import Line, Panel
from panlesion.picture.planes import Plane, Turned, View, turn, turned_mm, whole
from panlesion.picture.window import WINDOWS, Window, overview_of, window_for

LARGE_PX, THIRD_PX, SMALL_PX = 560, 400, 280
"""Drawn larger than they are shown, so that they print well."""
_TEXT_PX, _QUALITY = 20, 85
_BRIGHTNESS = Window(centre_hu=500, width_hu=1000)
_CLOSE_MM = 60.0
"""Least side of a close-up: enough of the organ around that the place is recognised (ours)."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A JPEG of `px` pixels square, a caption, and what it shows for those who cannot see it."""

    jpeg: bytes
    px: int
    caption: str
    alt: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """A CT and its numbered lesions with axes turned to L, P, S (views), and where each lesion lies in them."""

    grid: Grid
    image: Turned
    lesions: Turned
    boxes: Sequence[tuple[slice, slice, slice] | None]
    modality: Modality = Modality.CT

    @classmethod
    def of(cls, ct: Volume, lesions: LabelMap, modality: Modality = Modality.CT) -> "Scan":
        """The scan of a CT, or of an MR on a CT's scale, which is shown in brightness.

        Raises:
            ValueError: The lesions are not on the CT's grid.
        """
        if not lesions.grid.same_as(ct.grid):
            raise ValueError(
                f"lesions have shape {lesions.grid.shape} and axes {lesions.grid.axes}, the CT {ct.grid.shape} and "
                f"{ct.grid.axes}; they must be on the same grid"
            )
        turned = turn(lesions.labels, lesions.grid)
        boxes = cast(Sequence[tuple[slice, slice, slice] | None], ndimage.find_objects(turned.array))
        shown = ct.hu if modality is Modality.CT else np.rint(1000 * to_network(ct.hu)).astype(np.int16)
        return cls(grid=ct.grid, image=turn(shown, ct.grid), lesions=turned, boxes=boxes, modality=modality)

    def window(self, window: Window) -> Window:
        """The window of a CT; all of its brightness for an MR."""
        return window if self.modality is Modality.CT else _BRIGHTNESS

    def words(self, window: Window) -> str:
        """A window as captions name it."""
        return f"window {window}" if self.modality is Modality.CT else "full range of brightness"


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A finding in a turned scan: its middle and size in mm, and the slice index of each axis that is shown."""

    centre_mm: Vector3
    extent_mm: Vector3
    slices: tuple[int, int, int]


def finding_pictures(scan: Scan, lesion: LesionRecord) -> list[Picture]:
    """Five pictures: the axial slice of the long axis with outline and calipers, without, whole; coronal, sagittal.

    Of a finding that the mask does not hold there is no outline.
    """
    target = _target(scan, lesion)
    window = scan.window(window_of(lesion))
    side = float(np.clip(2.0 * max(target.extent_mm), _CLOSE_MM, max(_CLOSE_MM, *scan.image.extent_mm)))
    axial = View(plane=Plane.AXIAL, centre_mm=target.centre_mm, width_mm=side, height_mm=side)
    ends = (lesion.long.ends_ijk, lesion.short.ends_ijk)
    marked = _panel(scan, target, axial, window, LARGE_PX, number=lesion.number).draw()
    for a, b in ends:
        where = (turned_mm(a, scan.grid), turned_mm(b, scan.grid))
        marked = draw_caliper(marked, axial, LARGE_PX / side, where, width_px=3.0, bar_px=16.0)
    place = f"z {lesion.long.ends_xyz[0][2]:.0f} mm (slice index {lesion.long.ends_ijk[0][axial_axis(scan.grid)]})"
    name = f"Finding {lesion.number}"
    pictures = [
        _picture(
            marked,
            f"Axial, {place}, {scan.words(window)}",
            f"{name}: axial slice through the long axis with outline and calipers of {axes_digits(lesion)} mm.",
        ),
        _picture(
            _panel(scan, target, axial, window, SMALL_PX).draw(), "The same, unmarked", f"{name}: the same slice unmarked."
        ),
    ]
    overview = whole(scan.image, Plane.AXIAL, target.centre_mm)
    panel = _panel(scan, target, overview, scan.window(overview_of(window)), SMALL_PX, frame=axial, number=lesion.number)
    pictures.append(_picture(panel.draw(), "Axial, whole", f"{name}: the whole axial slice; corners frame what is enlarged."))
    for plane in (Plane.CORONAL, Plane.SAGITTAL):
        view = View(plane=plane, centre_mm=target.centre_mm, width_mm=side, height_mm=side)
        drawn = _panel(scan, target, view, window, SMALL_PX, number=lesion.number).draw()
        pictures.append(_picture(drawn, str(plane).capitalize(), f"{name}: {plane} view with the outline of the lesion."))
    return pictures


def overview_pictures(scan: Scan) -> list[Picture]:
    """Three planes through the middle of a scan without findings."""
    focus = middle(scan.image)
    a, b, c = (int(mm / step) for mm, step in zip(focus.slices_mm, scan.image.spacing_mm, strict=True))
    target = _Target(centre_mm=focus.centre_mm, extent_mm=focus.extent_mm, slices=(a, b, c))
    pictures, window = [], scan.window(WINDOWS["soft"])
    for plane in Plane:
        panel = _panel(scan, target, whole(scan.image, plane, focus.slices_mm), window, THIRD_PX)
        caption = f"{str(plane).capitalize()}, {scan.words(window)}"
        pictures.append(_picture(panel.draw(), caption, f"{plane} slice through the middle of the scan, no finding marked."))
    return pictures


def window_of(lesion: LesionRecord) -> Window:
    """The window of the finding's type; of a class that is none of the fifteen, that of the organ."""
    known, label = known_type(lesion.type), V1_LABELS.get(lesion.organ)
    if known is None and (label in LUNG_LABELS or lesion.organ == "lung"):
        return WINDOWS["lung"]
    if known is None and (label in BONE_LABELS or lesion.organ == "bone"):
        return WINDOWS["bone"]
    return window_for(known)


def _target(scan: Scan, lesion: LesionRecord) -> _Target:
    """Where to look: the axial slice of the long axis, in the other planes the slice that shows most of the finding."""
    spacing = np.asarray(scan.image.spacing_mm)
    ends = np.array([turned_mm(end, scan.grid) for axis in (lesion.long, lesion.short) for end in axis.ends_ijk])
    slices = np.floor(ends.mean(axis=0) / spacing).astype(int)
    slices[2] = int(ends[0, 2] // spacing[2])
    box = scan.boxes[lesion.number - 1] if 1 <= lesion.number <= len(scan.boxes) else None
    if box is None:
        low, high = ends.min(axis=0) - spacing / 2, ends.max(axis=0) + spacing / 2
    else:
        mask = scan.lesions.array[box] == lesion.number
        start = np.array([part.start for part in box])
        low, high = start * spacing, np.array([part.stop for part in box]) * spacing
        for axis in (0, 1):
            others = tuple(other for other in range(3) if other != axis)
            slices[axis] = start[axis] + int(np.argmax(np.count_nonzero(mask, axis=others)))
    a, b, c = np.clip(slices, 0, np.array(scan.image.shape) - 1).tolist()
    return _Target(centre_mm=_vector((low + high) / 2), extent_mm=_vector(high - low), slices=(a, b, c))


def _panel(
    scan: Scan,
    target: _Target,
    view: View,
    window: Window,
    px: int,
    *,
    number: int | None = None,
    frame: View | None = None,
) -> Panel:
    """The view of one slice; the finding of that number is outlined."""
    through = view.plane.axes[2]
    index = target.slices[through]
    lines = []
    if number is not None:
        slab = _slab(scan.lesions, through, index)
        mask = Turned(array=slab.array == number, spacing_mm=slab.spacing_mm)
        lines = [Line(mask=mask, colour=LESION_COLOUR)] if mask.array.any() else []
    return Panel(
        image=_slab(scan.image, through, index),
        view=view,
        window=window,
        px=px,
        px_per_mm=px / max(view.width_mm, view.height_mm),
        lines=lines,
        frame=frame,
        text_px=_TEXT_PX,
    )


def _slab(turned: Turned, axis: int, index: int) -> Turned:
    """One slice as an array of its own: `cut` finds it whatever the view's depth."""
    part = (slice(None),) * axis + (slice(index, index + 1),)
    return Turned(array=turned.array[part], spacing_mm=turned.spacing_mm)


def _picture(image: Image.Image, caption: str, alt: str) -> Picture:
    stream = io.BytesIO()
    # full colour resolution: thin coloured lines would blur
    image.save(stream, format="JPEG", quality=_QUALITY, subsampling=0)
    return Picture(jpeg=stream.getvalue(), px=image.width, caption=caption, alt=alt)


def _vector(values: np.ndarray) -> Vector3:
    a, b, c = values.tolist()
    return (a, b, c)
