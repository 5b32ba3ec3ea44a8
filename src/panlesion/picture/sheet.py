"""The picture of one case: three planes, healthy beside synthetic, enlarged with and without outlines, the report beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw

from panlesion.ct.organs import SYSTEM_LABELS, OrganSystem
from panlesion.ct.volume import Index3, LabelMap, Volume
from panlesion.picture.contour import LESION_COLOUR, ORGAN_COLOUR, Colour
from panlesion.picture.focus import Focus, focus_on, middle
from panlesion.picture.lettering import FAINT, GROUND, INK, PALE, font, paragraph, spelled, width_px, wrapped
from panlesion.picture.panel import Line, Panel
from panlesion.picture.planes import Plane, Turned, View, turn, turned_mm, whole
from panlesion.picture.window import Window, overview_of

ORGAN, LESION = 1, 2
"""Values of a case's label map."""

_GAP, _EDGE, _HEAD, _COLUMN_HEAD = 6, 24, 74, 26
_TEXT_WIDTH = 400
_FRAMED = 0.75  # of the whole: a close-up that shows more needs no frame in the overview

# Okabe & Ito's palette; where a colour comes twice, the organs lie apart.
_SYSTEMS: Mapping[OrganSystem, tuple[str, Colour]] = MappingProxyType(
    {
        OrganSystem.LUNG: ("lung", (86, 180, 233)),
        OrganSystem.LIVER: ("liver", (213, 94, 0)),
        OrganSystem.GALLBLADDER: ("gallbladder", (0, 158, 115)),
        OrganSystem.PANCREAS: ("pancreas", (240, 228, 66)),
        OrganSystem.ESOPHAGUS: ("oesophagus", (204, 121, 167)),
        OrganSystem.STOMACH: ("stomach", (40, 130, 200)),
        OrganSystem.COLON: ("colon", (230, 159, 0)),
        OrganSystem.KIDNEY: ("kidney", (86, 180, 233)),
        OrganSystem.BLADDER: ("bladder", (204, 121, 167)),
        OrganSystem.BONE: ("bone", (200, 200, 200)),
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """What a picture shows of one case, every array turned to L, P, S.

    `lesion` and `organ` are bool masks; either may be None.
    """

    image: Turned
    healthy: Turned | None
    lesion: Turned | None
    organ: Turned | None
    focus: Focus
    window: Window

    @property
    def lines(self) -> list[Line]:
        pairs = ((self.organ, ORGAN_COLOUR), (self.lesion, LESION_COLOUR))
        return [Line(mask=mask, colour=colour) for mask, colour in pairs if mask is not None]

    @property
    def zoom_mm(self) -> float:
        """Side of what is enlarged: twice the lesion, at least 50 mm so that the place can be recognised."""
        return float(np.clip(2.0 * max(self.focus.extent_mm), 50.0, max(50.0, *self.image.extent_mm)))


def scene_of(
    image: Volume,
    label: LabelMap | None,
    *,
    window: Window,
    healthy: Volume | None = None,
    lesion_number: int = 1,
    near_ijk: Index3 | None = None,
) -> Scene:
    """The scene around one lesion of a case (`label`: organ 1, lesion 2), or the middle of a volume without one.

    The lesion is the one nearest to a voxel where that is given, else the `lesion_number`-th largest.

    Raises:
        ValueError: label or healthy are not on the image's grid, or there are fewer lesions.
    """
    for name, other in (("label", label), ("healthy", healthy)):
        if other is not None and not other.grid.same_as(image.grid):
            raise ValueError(f"{name} has grid {other.grid.shape}, the image {image.grid.shape}; they must be the same grid")
    turned = turn(image.hu, image.grid)
    lesion = None if label is None else turn(label.labels == LESION, label.grid)
    near_mm = None if near_ijk is None else turned_mm(near_ijk, image.grid)
    focus = None if lesion is None else focus_on(lesion, lesion_number, near_mm)
    # the lesion belongs to its organ: drawn as one, so that the organ's outline does not double the lesion's
    organ = None if label is None or not (label.labels == ORGAN).any() else turn(label.labels > 0, label.grid)
    return Scene(
        image=turned,
        healthy=None if healthy is None else turn(healthy.hu, healthy.grid),
        lesion=lesion if focus is not None else None,
        organ=organ,
        focus=focus or middle(turned),
        window=window,
    )


@dataclass(frozen=True, kw_only=True)
class Words:
    """What is written on a sheet: a title, a line below it, and (field, value) pairs beside the pictures."""

    title: str = ""
    subtitle: str = ""
    lines: Sequence[tuple[str, str]] = field(default=())


def case_sheet(
    image: Volume,
    label: LabelMap,
    *,
    window: Window,
    healthy: Volume | None = None,
    words: Words | None = None,
    lesion_number: int = 1,
    near_ijk: Index3 | None = None,
    panel_px: int = 320,
) -> Image.Image:
    """The sheet of a case (`label`: organ 1, lesion 2); one column less for each of overview and close-up without `healthy`.

    Raises:
        ValueError: label or healthy are not on the image's grid, or there are fewer lesions.
    """
    scene = scene_of(image, label, window=window, healthy=healthy, lesion_number=lesion_number, near_ijk=near_ijk)
    columns = _case_columns(scene)
    panels = [[_panel(scene, plane, column, panel_px) for column in columns] for plane in Plane]
    keys = [("lesion", LESION_COLOUR), ("organ", ORGAN_COLOUR)]
    keys = [(name, colour) for name, colour in keys if any(line.colour == colour for line in scene.lines)]
    words = words or Words()
    if scene.focus.of > 1 and near_ijk is None:
        count = f"lesion {scene.focus.number} of {scene.focus.of} in this case"
        words = Words(title=words.title, subtitle=" · ".join(filter(None, (words.subtitle, count))), lines=words.lines)
    overview = overview_of(window)
    note = f"window {window}" if overview == window else f"overview {overview}, enlarged {window}"
    return _set([column.head for column in columns], panels, words, note=note, keys=keys)


def host_sheet(
    image: Volume, organs: LabelMap | None, *, window: Window, words: Words | None = None, panel_px: int = 400
) -> Image.Image:
    """The sheet of a healthy CT: three planes through its middle, and once more with the organ systems outlined."""
    scene = scene_of(image, None, window=window)
    present: list[tuple[str, Colour]] = []
    lines: list[Line] = []
    if organs is not None:
        for system, (name, colour) in _SYSTEMS.items():
            mask = organs.mask(SYSTEM_LABELS[system])
            if mask.any():
                lines.append(Line(mask=turn(mask, organs.grid), colour=colour))
                present.append((name, colour))
    columns = [_Column(head="CT")] + ([_Column(head="CT, organs outlined", lines=lines)] if lines else [])
    # planes side by side: a torso is tall
    panels = [[_panel(scene, plane, column, panel_px) for plane in Plane] for column in columns]
    return _set([], panels, words or Words(), note=f"window {overview_of(window)}", keys=present)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Column:
    head: str
    healthy: bool = False
    close: bool = False
    framed: bool = False
    letters: bool = True
    lines: Sequence[Line] = ()


def _case_columns(scene: Scene) -> list[_Column]:
    """Overviews, then close-ups; the healthy one always left of its synthetic counterpart."""
    name = "synthetic" if scene.healthy is not None else "image"
    columns = [
        _Column(head="healthy", healthy=True),
        _Column(head=name, framed=True),
        _Column(head="healthy, enlarged", healthy=True, close=True),
        _Column(head=f"{name}, enlarged", close=True),
        _Column(head=f"{name}, outlined", close=True, lines=scene.lines),
    ]
    return [column for column in columns if scene.healthy is not None or not column.healthy]


def _panel(scene: Scene, plane: Plane, column: _Column, px: int) -> Image.Image:
    zoom = scene.focus.view(plane, scene.zoom_mm, scene.zoom_mm)
    view: View = zoom if column.close else whole(scene.image, plane, scene.focus.slices_mm)
    through = plane.axes[2]
    axis = "LPS"[through]
    image = scene.healthy if column.healthy and scene.healthy is not None else scene.image
    scale = px / scene.zoom_mm if column.close else px / max(scene.image.extent_mm)
    index = int(scene.focus.slices_mm[through] / scene.image.spacing_mm[through])
    return Panel(
        image=image,
        view=view,
        window=scene.window if column.close else overview_of(scene.window),
        px=px,
        px_per_mm=scale,
        lines=column.lines,
        letters=column.letters,
        frame=zoom if column.framed and scene.zoom_mm < _FRAMED * max(scene.image.extent_mm) else None,
        caption="" if column.close else f"{plane}  {axis} {index}",
    ).draw()


def _set(
    heads: Sequence[str],
    panels: Sequence[Sequence[Image.Image]],
    words: Words,
    *,
    note: str,
    keys: Sequence[tuple[str, Colour]],
) -> Image.Image:
    """Set panels (rows of columns) and words on one dark page."""
    px = panels[0][0].width
    left = _EDGE
    top = _HEAD + (_COLUMN_HEAD if heads else 4)
    grid_width = len(panels[0]) * (px + _GAP) - _GAP
    text_x = left + grid_width + _EDGE
    width = text_x + (_TEXT_WIDTH + _EDGE if words.lines else 0)
    height = max(top + len(panels) * (px + _GAP) - _GAP, _HEAD + _report_height(words.lines)) + _EDGE
    page = Image.new("RGB", (width, height), GROUND)
    pen = ImageDraw.Draw(page)
    pen.text((left, 16), spelled(words.title), font=font(26), fill=INK)
    pen.text((left, 50), spelled(words.subtitle), font=font(15), fill=PALE)
    _key(pen, (left + grid_width, 50), keys, note)
    for column, head in enumerate(heads):
        pen.text((left + column * (px + _GAP), _HEAD + 4), head, font=font(14), fill=PALE)
    for row, line in enumerate(panels):
        for column, panel in enumerate(line):
            page.paste(panel, (left + column * (px + _GAP), top + row * (px + _GAP)))
    _report(pen, (text_x, _HEAD + 4), words.lines)
    return page


def _key(pen: ImageDraw.ImageDraw, right: tuple[int, int], keys: Sequence[tuple[str, Colour]], note: str) -> None:
    """What the colours mean and how the window is set, right-aligned."""
    x, y = right
    x -= width_px(note, 14)
    pen.text((x, y), note, font=font(14), fill=PALE)
    for name, colour in reversed(keys):
        x -= width_px(name, 14) + 18
        pen.text((x, y), name, font=font(14), fill=INK)
        x -= 22
        pen.line([(x, y + 9), (x + 16, y + 9)], fill=colour, width=2)


def _report_height(lines: Sequence[tuple[str, str]]) -> int:
    return 4 + _COLUMN_HEAD + sum(32 + 21 * len(wrapped(value, 16, _TEXT_WIDTH)) for _, value in lines)


def _report(pen: ImageDraw.ImageDraw, at: tuple[int, int], lines: Sequence[tuple[str, str]]) -> None:
    if not lines:
        return
    x, y = at
    pen.text((x, y), "report", font=font(14), fill=PALE)
    y += _COLUMN_HEAD
    for name, value in lines:
        pen.line([(x, y), (x + _TEXT_WIDTH, y)], fill=FAINT, width=1)
        pen.text((x, y + 7), name, font=font(13), fill=PALE)
        y = paragraph(pen, (x, y + 25), value, size=16, colour=INK, limit_px=_TEXT_WIDTH) + 7


def case_tile(
    image: Volume, label: LabelMap, *, window: Window, healthy: Volume | None = None, panel_px: int = 256
) -> Image.Image:
    """Four axial panels in a square, for galleries: overview, healthy (else coronal), close-up, outlined close-up."""
    scene = scene_of(image, label, window=window, healthy=healthy)
    second = (
        (Plane.CORONAL, _Column(head="", close=True, letters=False))
        if healthy is None
        else (Plane.AXIAL, _Column(head="", healthy=True, close=True, letters=False))
    )
    places = (
        (Plane.AXIAL, _Column(head="", framed=True)),
        second,
        (Plane.AXIAL, _Column(head="", close=True, letters=False)),
        (Plane.AXIAL, _Column(head="", close=True, letters=False, lines=scene.lines)),
    )
    tile = Image.new("RGB", (2 * panel_px + 2, 2 * panel_px + 2), GROUND)
    for index, (plane, column) in enumerate(places):
        row, side = divmod(index, 2)
        tile.paste(_panel(scene, plane, column, panel_px), (side * (panel_px + 2), row * (panel_px + 2)))
    return tile
