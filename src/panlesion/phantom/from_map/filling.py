"""What a map does not say and has to be drawn: layers of the wall, what fills the hollow organs, where vessels grow."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Filling:
    """Every random number of the background of one painted map; JSON-able.

    `fat_*_mm`: subcutaneous fat in front, at the side and behind. `*_gas`: share of the lumen that is gas. The seeds grow
    trees and fields.
    """

    male: bool
    skin_mm: float
    fat_front_mm: float
    fat_side_mm: float
    fat_back_mm: float
    oblique_mm: float
    rectus_mm: float
    stomach_gas: float
    colon_gas: float
    colon_stool: float
    bowel_gas: float
    loop_mm: float
    calcified_aorta: float
    seed: int


def draw_filling(rng: np.random.Generator, *, age: int, male: bool) -> Filling:
    """Draw a filling.

    Thickness of subcutaneous fat in front 10–35 mm, of the lateral wall's three muscles together 12–22 mm and of the rectus
    6–12 mm: ours; order of the muscles: Rankin et al. 2006, Muscle Nerve 34:320 (three muscles: 20 mm in
    men, 16 mm in women). Shares of gas, fluid and stool are ours.
    """
    fat = float(np.clip(rng.lognormal(np.log(17.0 if male else 21.0), 0.35), 7.0, 45.0))
    calcified = max(0.0, age - 50) / 40 * rng.uniform(0.0, 1.0)
    return Filling(
        male=male,
        skin_mm=float(rng.uniform(1.5, 2.5)),
        fat_front_mm=fat,
        fat_side_mm=fat * float(rng.uniform(0.7, 0.95)),
        fat_back_mm=float(np.clip(fat * rng.uniform(0.5, 0.8), 6.0, 30.0)),
        oblique_mm=float(np.clip(rng.normal(19.0 if male else 16.0, 2.5), 11.0, 25.0)),
        rectus_mm=float(np.clip(rng.normal(11.0 if male else 9.0, 1.5), 6.0, 14.0)),
        stomach_gas=float(rng.uniform(0.15, 0.6)),
        colon_gas=float(rng.uniform(0.15, 0.5)),
        colon_stool=float(rng.uniform(0.5, 1.0)),
        bowel_gas=float(rng.uniform(0.0, 0.08)),
        loop_mm=float(rng.uniform(8.0, 11.0)),
        calcified_aorta=float(calcified),
        seed=int(rng.integers(2**31)),
    )
