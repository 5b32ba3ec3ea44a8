"""One panel of a figure: a view in grey with outlines, orientation letters, a scale bar, a frame around what is enlarged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from panlesion.ct.volume import Volume
from panlesion.picture.contour import Colour, outline, over
from panlesion.picture.lettering import INK, font, width_px
from panlesion.picture.planes import Turned, View, cut
from panlesion.picture.window import Window, apply_window

_BARS_MM = (1, 2, 5, 10, 20, 50, 100)
_TEXT_PX, _LINE_PX = 13, 1.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """A mask whose outline is drawn in a colour."""

    mask: Turned
    colour: Colour


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """A square picture of `px` pixels showing `view` at `px_per_mm`, centred on black.

    Letters are `text_px` high; outlines and the scale bar grow with them, for pictures that are shown smaller than drawn.
    """

    image: Turned
    view: View
    window: Window
    px: int
    px_per_mm: float
    lines: Sequence[Line] = ()
    frame: View | None = None
    caption: str = ""
    letters: bool = True
    text_px: int = _TEXT_PX

    def draw(self) -> Image.Image:
        rgb = self._pixels()
        square = Image.new("RGB", (self.px, self.px))
        left, top = (self.px - rgb.shape[1]) // 2, (self.px - rgb.shape[0]) // 2
        square.paste(Image.fromarray(rgb), (left, top))
        pen = ImageDraw.Draw(square)
        if self.frame is not None:
            self._frame(pen, left, top)
        if self.letters:
            self._letters(pen)
        if self.caption:
            _shadowed(pen, (8, 6), self.caption, INK, size=self.text_px)
        self._bar(pen)
        return square

    def _pixels(self) -> NDArray[np.uint8]:
        hu = cut(self.image, self.view, self.px_per_mm, fill=Volume.AIR_HU, smooth=True)
        grey = apply_window(hu, self.window)
        rgb = np.repeat(grey[..., None], 3, axis=2)
        width = _LINE_PX * self.text_px / _TEXT_PX
        for line in self.lines:
            rgb = over(rgb, outline(line.mask, self.view, self.px_per_mm, width), line.colour)
        return rgb

    def _frame(self, pen: ImageDraw.ImageDraw, left: int, top: int) -> None:
        """Four corners around the part of the view that another panel enlarges."""
        assert self.frame is not None
        across, down, _ = self.view.plane.axes
        x = self.frame.centre_mm[across] - self.frame.width_mm / 2 - (self.view.centre_mm[across] - self.view.width_mm / 2)
        upwards = -1.0 if down == 2 else 1.0
        middle = upwards * (self.frame.centre_mm[down] - self.view.centre_mm[down]) + self.view.height_mm / 2
        y = middle - self.frame.height_mm / 2
        x0, y0 = left + x * self.px_per_mm, top + y * self.px_per_mm
        x1, y1 = x0 + self.frame.width_mm * self.px_per_mm, y0 + self.frame.height_mm * self.px_per_mm
        arm = max(4.0, (x1 - x0) / 6)
        for cx, dx in ((x0, arm), (x1, -arm)):
            for cy, dy in ((y0, arm), (y1, -arm)):
                corner = [(cx + dx, cy), (cx, cy), (cx, cy + dy)]
                pen.line(corner, fill=(0, 0, 0), width=3)
                pen.line(corner, fill=INK, width=1)

    def _letters(self, pen: ImageDraw.ImageDraw) -> None:
        left, right, top, bottom = self.view.plane.letters
        middle, size = self.px // 2, self.text_px
        _shadowed(pen, (6, middle), left, INK, anchor="lm", size=size)
        _shadowed(pen, (self.px - 6, middle), right, INK, anchor="rm", size=size)
        _shadowed(pen, (middle, 6), top, INK, anchor="ma", size=size)
        _shadowed(pen, (middle, self.px - 6), bottom, INK, anchor="md", size=size)

    def _bar(self, pen: ImageDraw.ImageDraw) -> None:
        length_mm = max((mm for mm in _BARS_MM if mm * self.px_per_mm <= self.px / 3), default=_BARS_MM[0])
        length = round(length_mm * self.px_per_mm)
        y, x1, thick = self.px - 10, self.px - 10, round(self.text_px / _TEXT_PX)
        pen.rectangle([x1 - length - 1, y - 1 - thick, x1 + 1, y + 1 + thick], fill=(0, 0, 0))
        pen.rectangle([x1 - length, y - thick, x1, y + thick], fill=INK)
        text, size = f"{length_mm} mm", self.text_px - 1
        x = min(x1 - length / 2, self.px - 8 - width_px(text, size) / 2)
        _shadowed(pen, (x, y - 4 - thick), text, INK, anchor="md", size=size)


def _shadowed(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: Colour, *, anchor: str = "la", size: int = 13
) -> None:
    """Text that stays readable on bright tissue."""
    pen.text(at, text, font=font(size), fill=colour, anchor=anchor, stroke_width=1, stroke_fill=(0, 0, 0))
