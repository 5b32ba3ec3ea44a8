"""Paint: the HU of every tissue of one patient in one phase, and the fine texture of each."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.phase import Phase
from panlesion.ct.volume import Grid
from panlesion.phantom.attenuation import ATTENUATION
from panlesion.phantom.field import SmoothField
from panlesion.phantom.tissue import Tissue

_PHASES = tuple(Phase)
_BLOOD = frozenset(
    {
        Tissue.ARTERIAL_BLOOD,
        Tissue.SYSTEMIC_VENOUS_BLOOD,
        Tissue.PORTAL_BLOOD,
        Tissue.PULMONARY_BLOOD,
        Tissue.HEART_BLOOD,
    }
)
_EXCRETED = frozenset({Tissue.RENAL_PELVIS, Tissue.URINE})
_LUNG_GRADIENT_HU_PER_MM = (0.25, 0.75)  # posterior lung is denser when supine: Verschakelen 1993, AJR 161:713; slope ours

_MEAN_OF_SEPTA = np.float32(0.0992)  # of max(0, 1 − 4 |x|) for a standard normal x


class Pattern(StrEnum):
    """What a texture's smooth field is turned into."""

    GRAIN = "grain"  # the field itself
    SEPTA = "septa"  # thin sheets where the field crosses zero: septa in fat, fat between muscle bundles and lobules; zero mean
    BUBBLES = "bubbles"  # the field's peaks: gas in stool


@dataclass(frozen=True, kw_only=True)
class Texture:
    """One field shared by all tissues, in a strength of its own for each; `hu` is indexed by `Tissue`."""

    pattern: Pattern
    scale_mm: float
    seed: int
    hu: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Paint:
    """HU of every tissue (indexed by `Tissue`), textures, and the lung's gradient towards the back; JSON-able."""

    phase: Phase
    age: int
    steatosis_hu: float
    hu: tuple[float, ...]
    textures: tuple[Texture, ...]
    lung_gradient_hu_per_mm: float


# HU of one SD of a grain, or of the middle of a septum or bubble. Ours: set by eye against real CTs and below what noise
# hides, except marrow (trabecular texture grows with density) and stool.
_FINE = {Tissue.LUNG: 18.0, Tissue.STOOL: 14.0, Tissue.SPINAL_CANAL: 3.0, Tissue.PANCREAS: 5.0}
_MIDDLE = {
    Tissue.LUNG: 10.0,
    Tissue.STOOL: 18.0,
    Tissue.FAT: 6.0,
    Tissue.MUSCLE: 6.0,
    Tissue.LIVER: 2.0,
    Tissue.PANCREAS: 5.0,
    Tissue.DISC: 8.0,
    Tissue.PROSTATE_UTERUS: 6.0,
    Tissue.GUT_FLUID: 4.0,
    Tissue.CARTILAGE: 10.0,
}
_COARSE = {Tissue.LUNG: 12.0, Tissue.FAT: 4.0, Tissue.MUSCLE: 3.0, Tissue.LIVER: 2.0, Tissue.GUT_FLUID: 6.0}


def _hu_of(tissue: Tissue, phase: Phase, timing: float, dose: float) -> float:
    """Mean HU when the scan is early (`timing` < 0) or late (> 0) by that share of the way to the neighbouring phase."""
    row = ATTENUATION[tissue]
    at = _PHASES.index(phase)
    value = row[at]
    neighbour = at + (1 if timing > 0 else -1)
    if phase.enhanced and tissue not in _EXCRETED and 1 <= neighbour < len(_PHASES):
        value += abs(timing) * (row[neighbour] - value)
    return row.plain + (value - row.plain) * dose


def draw_paint(phase: Phase, rng: np.random.Generator, *, age: int = 50) -> Paint:
    """Draw one patient's HU and textures.

    Tissues move together: dose of iodine per body weight scales every enhancement (SD 12 %), the timing of the scan moves
    all of them towards the neighbouring phase (SD 12 % of the way), haematocrit moves all blood; what is left is drawn per
    tissue. A quarter of livers are fatty (prevalence: Younossi et al. 2016, Hepatology 64:73), exponentially much.
    """
    timing = float(np.clip(rng.normal(0.0, 0.12), -0.3, 0.3))
    dose = float(np.exp(np.clip(rng.normal(0.0, 0.12), -0.3, 0.3)))
    blood = float(rng.normal(0.0, ATTENUATION[Tissue.ARTERIAL_BLOOD].sd))
    own = np.clip(rng.standard_normal((len(Tissue), 2)), -2.2, 2.2)
    steatosis = float(min(rng.exponential(14.0), 55.0)) if rng.random() < 0.25 else 0.0
    hu = np.zeros(len(Tissue))
    for tissue in Tissue:
        row = ATTENUATION[tissue]
        mean = _hu_of(tissue, phase, timing, dose)
        spread = blood if tissue in _BLOOD else own[tissue, 0] * row.sd
        hu[tissue] = mean + spread + own[tissue, 1] * (0.25 if tissue in _EXCRETED else 0.05) * (mean - row.plain)
    # Cortex and medulla of one kidney are one tissue without contrast.
    hu[Tissue.KIDNEY_MEDULLA] += own[Tissue.KIDNEY_CORTEX, 0] * ATTENUATION[Tissue.KIDNEY_CORTEX].sd
    hu[Tissue.KIDNEY_MEDULLA] -= own[Tissue.KIDNEY_MEDULLA, 0] * ATTENUATION[Tissue.KIDNEY_MEDULLA].sd
    hu[Tissue.LIVER] -= steatosis
    hu[Tissue.MARROW] = max(40.0, hu[Tissue.MARROW] - 2.5 * (age - 50))
    return Paint(
        phase=phase,
        age=age,
        steatosis_hu=steatosis,
        hu=tuple(hu.round(2).tolist()),
        textures=_draw_textures(phase, age, hu[Tissue.MARROW], rng),
        lung_gradient_hu_per_mm=float(rng.uniform(*_LUNG_GRADIENT_HU_PER_MM)),
    )


def _table(values: dict[Tissue, float]) -> tuple[float, ...]:
    return tuple(values.get(tissue, 0.0) for tissue in Tissue)


def _draw_textures(phase: Phase, age: int, marrow_hu: float, rng: np.random.Generator) -> tuple[Texture, ...]:
    def texture(pattern: Pattern, scale_mm: float, values: dict[Tissue, float]) -> Texture:
        return Texture(pattern=pattern, scale_mm=scale_mm, seed=int(rng.integers(2**31)), hu=_table(values))

    trabecular = float(rng.uniform(0.07, 0.15)) * marrow_hu
    mottled = float(rng.uniform(8, 22)) if phase is Phase.ARTERIAL else 1.0  # the spleen's arterial stripes: Miles 1995
    corticomedullary = float(rng.uniform(2, 6)) if phase.enhanced else 0.5
    fatty = float(rng.uniform(0.3, 1.0)) * np.clip((age - 25) / 50, 0.1, 1.0)  # muscle and pancreas turn fatty with age
    middle = _MIDDLE | {Tissue.SPLEEN: mottled, Tissue.MARROW: 0.6 * trabecular, Tissue.KIDNEY_MEDULLA: corticomedullary}
    return (
        texture(Pattern.GRAIN, float(rng.uniform(0.6, 0.9)), _FINE | {Tissue.MARROW: trabecular}),
        texture(Pattern.GRAIN, float(rng.uniform(2.2, 3.2)), middle),
        texture(Pattern.GRAIN, float(rng.uniform(14.0, 22.0)), _COARSE | {Tissue.MARROW: 0.08 * marrow_hu}),
        texture(
            Pattern.SEPTA,
            float(rng.uniform(3.5, 5.0)),
            {Tissue.FAT: float(rng.uniform(18, 45)), Tissue.MUSCLE: -75.0 * fatty, Tissue.PANCREAS: -70.0 * fatty},
        ),
        texture(Pattern.BUBBLES, float(rng.uniform(1.1, 1.8)), {Tissue.STOOL: -float(rng.uniform(250, 700))}),
    )


def _patterned(slab: NDArray[np.float32], pattern: Pattern) -> NDArray[np.float32]:
    if pattern is Pattern.SEPTA:
        return np.maximum(0.0, 1.0 - np.abs(slab) * np.float32(4.0)) - _MEAN_OF_SEPTA
    if pattern is Pattern.BUBBLES:
        return np.clip((slab - np.float32(0.9)) * np.float32(3.0), 0.0, 1.0)
    return slab


def _lookup(hu: tuple[float, ...]) -> NDArray[np.float32]:
    table = np.zeros(256, dtype=np.float32)
    table[: len(hu)] = hu
    return table


def _rows_with(sheet: NDArray) -> slice:
    """From the first to the last row (J) with anything in it."""
    rows = np.flatnonzero(sheet.any(axis=1))
    return slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else slice(0, 0)


def render_paint(paint: Paint, tissues: NDArray[np.uint8], grid: Grid) -> NDArray[np.float32]:
    """Ideal HU (I, J, K), float32, before any scanner; `tissues` holds `Tissue` values on an isotropic L,P,S `grid`."""
    spacing_mm = grid.spacing_mm[0]
    base, *strengths = (_lookup(hu) for hu in (paint.hu, *(texture.hu for texture in paint.textures)))
    fields = [SmoothField(grid.shape, spacing_mm, texture.scale_mm, texture.seed) for texture in paint.textures]
    layers = list(zip(paint.textures, strengths, fields, strict=True))
    out = np.empty(grid.shape, dtype=np.float32)
    for i in range(grid.shape[0]):
        # Rows of nothing but air hold no texture: half of a torso's grid.
        part = _rows_with(tissues[i] != Tissue.AIR)
        out[i] = base[Tissue.AIR]
        at = tissues[i, part].astype(np.intp)
        sheet = base.take(at)
        for texture, strength, field in layers:
            much = strength.take(at)
            rows = _rows_with(much)
            if rows.stop:
                slab = field.slab(i, slice(part.start + rows.start, part.start + rows.stop))
                sheet[rows] += much[rows] * _patterned(slab, texture.pattern)
        out[i, part] = sheet
    lung = tissues == Tissue.LUNG
    if lung.any():
        j = np.arange(grid.shape[1])
        height = j - np.average(j, weights=np.count_nonzero(lung, axis=(0, 2)))
        slope = (paint.lung_gradient_hu_per_mm * spacing_mm * height).astype(np.float32)[:, None]
        for plane in np.flatnonzero(lung.any(axis=(1, 2))):
            out[plane] += lung[plane] * slope
    return out
