"""What a network found beside what a reader drew: a row for each case, one overview and three close-ups with both outlines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from panlesion.ct.volume import LabelMap, Volume
from panlesion.picture.contour import LESION_COLOUR, ORGAN_COLOUR
from panlesion.picture.lettering import GROUND, INK, PALE, font, paragraph, spelled, width_px
from panlesion.picture.panel import Line, Panel
from panlesion.picture.planes import Plane, turn, whole
from panlesion.picture.sheet import LESION, Scene, scene_of
from panlesion.picture.window import Window, overview_of

TRUTH_COLOUR, FOUND_COLOUR = ORGAN_COLOUR, LESION_COLOUR

_EDGE, _GAP, _HEAD, _TEXT = 24, 6, 82, 190
_MARGIN = 1.35  # of the larger mask: both outlines fit whole


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """One case and class: bool masks `truth` and `found` on the image's grid, and what is written beside them."""

    image: Volume
    truth: NDArray[np.bool_]
    found: NDArray[np.bool_]
    title: str
    lines: Sequence[str] = ()


def comparison_sheet(
    rows: Sequence[Compared], *, title: str, window: Window, subtitle: str = "", panel_px: int = 260
) -> Image.Image:
    """All comparisons under one another; slices go through the largest part of the truth, or of what was found without one.

    Raises:
        ValueError: There are no rows, or a mask has another shape than its image.
    """
    if not rows:
        raise ValueError("rows is empty; there is nothing to compare")
    for row in rows:
        if not row.truth.shape == row.found.shape == row.image.grid.shape:
            shapes = f"{row.truth.shape} and {row.found.shape}, its image {row.image.grid.shape}"
            raise ValueError(f"{row.title}: masks have shapes {shapes}; they must be equal")
    columns = 1 + len(Plane)
    width = 2 * _EDGE + _TEXT + columns * (panel_px + _GAP)
    page = Image.new("RGB", (width, _HEAD + len(rows) * (panel_px + _GAP) + _EDGE), GROUND)
    pen = ImageDraw.Draw(page)
    pen.text((_EDGE, 16), spelled(title), font=font(26), fill=INK)
    pen.text((_EDGE, 52), spelled(subtitle), font=font(15), fill=PALE)
    _key(pen, width - _EDGE, f"overview {overview_of(window)}, enlarged {window}")
    for number, row in enumerate(rows):
        top = _HEAD + number * (panel_px + _GAP)
        below = paragraph(pen, (_EDGE, top + 4), row.title, size=17, colour=INK, limit_px=_TEXT - 12)
        for line in row.lines:
            below = paragraph(pen, (_EDGE, below + 4), line, size=14, colour=PALE, limit_px=_TEXT - 12)
        for column, panel in enumerate(_panels(row, window, panel_px)):
            page.paste(panel, (_EDGE + _TEXT + column * (panel_px + _GAP), top))
    return page


def _panels(row: Compared, window: Window, px: int) -> list[Image.Image]:
    shown = row.truth if row.truth.any() else row.found
    marked = LabelMap(labels=shown.astype(np.uint8) * np.uint8(LESION), grid=row.image.grid)
    scene = scene_of(row.image, marked, window=window)
    side = _side_mm(scene)
    lines = [
        Line(mask=turn(mask, row.image.grid), colour=colour)
        for mask, colour in ((row.truth, TRUTH_COLOUR), (row.found, FOUND_COLOUR))
        if mask.any()
    ]
    close = {plane: scene.focus.view(plane, side, side) for plane in Plane}
    overview = Panel(
        image=scene.image,
        view=whole(scene.image, Plane.AXIAL, scene.focus.slices_mm),
        window=overview_of(window),
        px=px,
        px_per_mm=px / max(scene.image.extent_mm[:2]),
        frame=close[Plane.AXIAL],
        caption="overview",
    )
    enlarged = (
        Panel(image=scene.image, view=view, window=window, px=px, px_per_mm=px / side, lines=lines, caption=plane.value)
        for plane, view in close.items()
    )
    return [overview.draw(), *(panel.draw() for panel in enlarged)]


def _side_mm(scene: Scene) -> float:
    return float(np.clip(_MARGIN * max(scene.focus.extent_mm), 50.0, max(50.0, *scene.image.extent_mm)))


def _key(pen: ImageDraw.ImageDraw, right: int, note: str) -> None:
    x = right - width_px(note, 14)
    pen.text((x, 52), note, font=font(14), fill=PALE)
    for name, colour in (("found", FOUND_COLOUR), ("annotated", TRUTH_COLOUR)):
        x -= width_px(name, 14) + 18
        pen.text((x, 52), name, font=font(14), fill=INK)
        x -= 22
        pen.line([(x, 61), (x + 16, 61)], fill=colour, width=2)
