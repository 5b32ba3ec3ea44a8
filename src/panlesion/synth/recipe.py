"""What a cohort shall be: everything that decides its bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import panlesion
from panlesion.ct.organ_files import OrganNumbering
from panlesion.ct.phase import Phase
from panlesion.data.store import StoredAs
from panlesion.lesion.taxonomy import LesionType

PHANTOM = "phantom"


@dataclass(frozen=True, kw_only=True)
class Refining:
    """Which refiner redraws the lesions, and how much: see `synth.refine`.

    `weights` is where its file lies here, `sha256` what it is. `strength` is the time, 0 … 1, to which noise is added, `steps`
    in how many steps it is taken away.
    """

    weights: str
    sha256: str
    strength: float = 0.2
    steps: int = 6

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise ValueError(f"strength is {self.strength}; it must be above 0 and at most 1")
        if not 1 <= self.steps <= 100:
            raise ValueError(f"steps is {self.steps}; it must be from 1 to 100")

    def to_json(self) -> dict[str, Any]:
        """What decides bytes: not where the file lies."""
        return {"sha256": self.sha256, "strength": self.strength, "steps": self.steps}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the bytes of a cohort.

    `hosts` is "phantom" or a folder. `size_voxels` is the edge of each case's cube; 0 keeps the host's whole field of
    view. `lesions` is the smallest and the largest number of lesions of a case, None for as many as its type has.
    `phantoms` is how many are drawn. `phase` is that of all hosts, None to measure each. `refining` is off
    unless given.
    """

    hosts: str
    types: tuple[LesionType, ...]
    per_type: int
    seed: int
    organ_labels: OrganNumbering = OrganNumbering.V2
    spacing_mm: float = 1.0
    size_voxels: int = 280
    lesions: tuple[int, int] | None = None
    stored_as: StoredAs = StoredAs.FULL
    phantoms: int = 0
    phase: Phase | None = None
    refining: Refining | None = None

    def __post_init__(self) -> None:
        if not self.types:
            raise ValueError(f"types is empty; give at least one of {', '.join(LesionType)}")
        if len(set(self.types)) != len(self.types):
            raise ValueError(f"types names one type twice: {', '.join(self.types)}")
        if self.per_type < 1:
            raise ValueError(f"per_type is {self.per_type}; it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must not be negative")
        if not 0.3 <= self.spacing_mm <= 5.0:
            raise ValueError(f"spacing_mm is {self.spacing_mm}; it must be between 0.3 and 5")
        if self.size_voxels != 0 and self.size_voxels < 32:
            raise ValueError(f"size_voxels is {self.size_voxels}; it must be at least 32, or 0 for the host's whole field")
        if self.lesions is not None and not 1 <= self.lesions[0] <= self.lesions[1] <= 20:
            raise ValueError(f"lesions is {self.lesions}; it must be from 1 to 20, the smaller first")
        if self.phantoms < 0:
            raise ValueError(f"phantoms is {self.phantoms}; it must not be negative")
        if self.phase is not None and self.hosts == PHANTOM:
            raise ValueError(f"phase is {self.phase}, but hosts is {PHANTOM}; phantoms are drawn in all phases: leave it out")
        if self.phantoms and self.hosts != PHANTOM:
            raise ValueError(
                f"phantoms is {self.phantoms}, but hosts is {self.hosts}; phantoms are drawn where hosts is {PHANTOM}"
            )
        object.__setattr__(self, "types", tuple(type_ for type_ in LesionType if type_ in self.types))
        if self.hosts == PHANTOM and not self.phantoms:
            object.__setattr__(self, "phantoms", min(self.per_type, 24))

    def to_json(self, sources: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The resolved recipe, as `cohort.json` holds it; `sources` are the hosts found, by id."""
        return {
            "version": panlesion.__version__,
            "hosts": self.hosts if self.hosts == PHANTOM else Path(self.hosts).resolve().name,
            "types": [type_.value for type_ in self.types],
            "per_type": self.per_type,
            "seed": self.seed,
            "organ_labels": self.organ_labels.value,
            "spacing_mm": self.spacing_mm,
            "size_voxels": self.size_voxels,
            "lesions": None if self.lesions is None else list(self.lesions),
            "phase": None if self.phase is None else self.phase.value,
            "format": self.stored_as.value,
            "sources": {name: dict(source) for name, source in sources.items()},
            # Without a refiner the recipe reads as it did before there were any: those cohorts can go on.
            **({} if self.refining is None else {"refiner": self.refining.to_json()}),
        }
