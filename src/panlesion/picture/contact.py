"""Contact sheets: truth and prediction of many scans, three panels each, to see at a glance what fails.

`comparison` shows few cases in three planes; here a hundred fit on a page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from panlesion.ct.volume import Index3, Volume
from panlesion.picture.contour import LESION_COLOUR, ORGAN_COLOUR
from panlesion.picture.lettering import GROUND, INK, PALE, font, paragraph, spelled, width_px
from panlesion.picture.panel import Line, Panel
from panlesion.picture.planes import Plane, View, turn, turned_mm, whole
from panlesion.picture.window import Window, overview_of

TRUTH_COLOUR, PREDICTED_COLOUR = ORGAN_COLOUR, LESION_COLOUR
_GAP, _EDGE, _HEAD, _CAPTION = 4, 16, 64, 46
_CLOSE_MM = 80.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Spot:
    """A CT with true and predicted lesions (bool, of its shape), to be shown in the axial slice through `at_ijk`."""

    image: Volume
    truth: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    at_ijk: Index3
    window: Window
    caption: str
    close_mm: float = _CLOSE_MM


def spot_tile(spot: Spot, *, panel_px: int = 220) -> Image.Image:
    """Overview with outlines, close-up without and with them, side by side; the caption below.

    Raises:
        ValueError: A mask has another shape than the CT.
    """
    for name, mask in (("truth", spot.truth), ("predicted", spot.predicted)):
        if mask.shape != spot.image.hu.shape:
            raise ValueError(f"{name} has shape {mask.shape}, the CT {spot.image.hu.shape}; they must be equal")
    grid = spot.image.grid
    image, centre = turn(spot.image.hu, grid), turned_mm(spot.at_ijk, grid)
    pairs = ((spot.predicted, PREDICTED_COLOUR), (spot.truth, TRUTH_COLOUR))
    lines = [Line(mask=turn(mask, grid), colour=colour) for mask, colour in pairs]
    near = View(plane=Plane.AXIAL, centre_mm=centre, width_mm=spot.close_mm, height_mm=spot.close_mm)
    far = whole(image, Plane.AXIAL, centre)
    tile = Image.new("RGB", (3 * panel_px + 2 * _GAP, panel_px + _CAPTION), GROUND)
    for n, (view, drawn) in enumerate(((far, lines), (near, []), (near, lines))):
        panel = Panel(
            image=image,
            view=view,
            window=overview_of(spot.window) if view is far else spot.window,
            px=panel_px,
            px_per_mm=panel_px / max(view.width_mm, view.height_mm),
            lines=drawn,
            frame=near if view is far else None,
            letters=False,
        )
        tile.paste(panel.draw(), (n * (panel_px + _GAP), 0))
    paragraph(ImageDraw.Draw(tile), (2, panel_px + 4), spot.caption, size=14, colour=INK, limit_px=tile.width - 4, leading=1.25)
    return tile


def contact_sheet(tiles: Sequence[Image.Image], *, title: str, columns: int = 3) -> Image.Image:
    """Tiles of one size, row by row, below a title and the key of the colours.

    Raises:
        ValueError: There is no tile.
    """
    if not tiles:
        raise ValueError("there is no tile; a contact sheet needs at least one")
    width, height = tiles[0].size
    columns = min(columns, len(tiles))
    step_x, step_y = width + 3 * _GAP, height + _GAP
    rows = -(-len(tiles) // columns)
    page = Image.new("RGB", (2 * _EDGE + columns * step_x - 3 * _GAP, _HEAD + rows * step_y + _EDGE), GROUND)
    pen = ImageDraw.Draw(page)
    pen.text((_EDGE, 10), spelled(title), font=font(22), fill=INK)
    x = _EDGE
    for name, colour in (("true lesion", TRUTH_COLOUR), ("predicted", PREDICTED_COLOUR)):
        pen.line([(x, 50), (x + 18, 50)], fill=colour, width=2)
        pen.text((x + 24, 42), name, font=font(14), fill=PALE)
        x += 24 + width_px(name, 14) + 24
    for n, tile in enumerate(tiles):
        row, column = divmod(n, columns)
        page.paste(tile, (_EDGE + column * step_x, _HEAD + row * step_y))
    return page
