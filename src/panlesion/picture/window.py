"""Windows: which HU are black and which are white."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from panlesion.lesion.taxonomy import LesionType


@dataclass(frozen=True, kw_only=True)
class Window:
    """A display window; HU below `centre_hu - width_hu / 2` are black, above `centre_hu + width_hu / 2` white."""

    centre_hu: float
    width_hu: float

    def __post_init__(self) -> None:
        if not self.width_hu > 0:
            raise ValueError(f"width_hu is {self.width_hu}; it must be positive")

    def __str__(self) -> str:
        return f"{self.centre_hu:g}/{self.width_hu:g} HU"


# Level and width as radiology textbooks and scanner presets give them (lung, mediastinum, abdomen, bone: W. Herring,
# Learning Radiology, 4th ed. 2019, ch. 1 and usual vendor presets; narrow liver window: M. Prokop & M. Galanski,
# Spiral and Multislice CT of the Body, 2003). `stone` is ours: wide enough that 200 and 1500 HU differ.
WINDOWS: Mapping[str, Window] = MappingProxyType(
    {
        "lung": Window(centre_hu=-600, width_hu=1500),
        "mediastinum": Window(centre_hu=50, width_hu=350),
        "soft": Window(centre_hu=40, width_hu=400),
        "liver": Window(centre_hu=70, width_hu=180),
        "pancreas": Window(centre_hu=50, width_hu=250),
        "bone": Window(centre_hu=400, width_hu=1800),
        "stone": Window(centre_hu=250, width_hu=1100),
    }
)

WINDOW_OF_TYPE: Mapping[LesionType, str] = MappingProxyType(
    {
        LesionType.LUNG_TUMOR: "lung",
        LesionType.LIVER_TUMOR: "liver",
        LesionType.LIVER_CYST: "liver",
        LesionType.GALLBLADDER_CANCER: "pancreas",
        LesionType.GALLSTONE: "soft",
        LesionType.PANCREAS_TUMOR: "pancreas",
        LesionType.PANCREAS_CYST: "pancreas",
        LesionType.ESOPHAGEAL_CANCER: "mediastinum",
        LesionType.GASTRIC_CANCER: "soft",
        LesionType.COLORECTAL_CANCER: "soft",
        LesionType.KIDNEY_TUMOR: "soft",
        LesionType.KIDNEY_CYST: "soft",
        LesionType.KIDNEY_STONE: "stone",
        LesionType.BLADDER_CANCER: "pancreas",
        LesionType.BONE_METASTASIS: "bone",
    }
)


def window_for(type: LesionType | None) -> Window:
    """The window a lesion of that type is usually looked for in; the soft-tissue window where no type is known."""
    return WINDOWS["soft"] if type is None else WINDOWS[WINDOW_OF_TYPE[type]]


def overview_of(window: Window) -> Window:
    """The window for the whole body beside close-ups in `window`: soft tissue, unless that would hide the lungs."""
    return window if window.centre_hu < -200 else WINDOWS["soft"]


def parse_window(text: str) -> Window:
    """A preset's name, or "centre/width" in HU, e.g. "40/400".

    Raises:
        ValueError: neither.
    """
    if text in WINDOWS:
        return WINDOWS[text]
    centre, slash, width = text.partition("/")
    try:
        if not slash:
            raise ValueError
        return Window(centre_hu=float(centre), width_hu=float(width))
    except ValueError:
        raise ValueError(
            f"window is {text!r}; it must be one of {', '.join(WINDOWS)}, or centre/width such as 40/400"
        ) from None


def apply_window(hu: NDArray, window: Window) -> NDArray[np.uint8]:
    """Grey values 0 to 255 of the same shape."""
    low = window.centre_hu - window.width_hu / 2
    grey = (np.asarray(hu, dtype=np.float32) - np.float32(low)) * np.float32(255.0 / window.width_hu)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
