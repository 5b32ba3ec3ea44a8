"""`Host`: a healthy CT ready to receive lesions; `Site`: the same, seen from one lesion type."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import VERTEBRA_LABELS
from panlesion.ct.phase import Phase
from panlesion.ct.volume import LabelMap, Volume
from panlesion.lesion.taxonomy import LesionType
from panlesion.measure.host import HostFacts, measure_host
from panlesion.synth.place import Survey, survey
from panlesion.synth.plan import Plan

# Two lesions of one case stay this far apart, so that each keeps its own margin and report.
APART_MM = 8.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Host:
    """A healthy CT, its organ map (v1 numbering) on the same grid, and what was measured of it."""

    id: str
    ct: Volume
    organs: LabelMap
    facts: HostFacts
    surveys: dict[LesionType, Survey] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, id: str, ct: Volume, organs: LabelMap) -> "Host":
        """Measure a CT and make a host of it."""
        return cls(id=id, ct=ct, organs=organs, facts=measure_host(ct, organs))

    def survey(self, type: LesionType) -> Survey:
        """Where a lesion of that type could grow; made on first use and kept."""
        if type not in self.surveys:
            self.surveys[type] = survey(self.ct, self.organs, type)
        return self.surveys[type]


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """A host seen from one lesion type; `others` are the lesions it has been given already.

    A `draft` is drawn on coarse voxels only: for training patches, whose readings nobody verifies.
    """

    host: Host
    type: LesionType
    others: tuple[Plan, ...] = ()
    draft: bool = False

    @cached_property
    def survey(self) -> Survey:
        return self.host.survey(self.type)

    @property
    def phase(self) -> Phase:
        return self.host.facts.phase

    @cached_property
    def midline_x(self) -> float:
        """The body's middle in RAS+ mm: the spine where the map has one, else the middle of the field of view."""
        spine = self.host.organs.labels[::4, ::4, ::4]
        found = np.argwhere((spine >= min(VERTEBRA_LABELS)) & (spine <= max(VERTEBRA_LABELS))) * 4
        grid = self.host.organs.grid
        middle = found.mean(axis=0) if len(found) else np.asarray(grid.shape) / 2
        return float(grid.to_xyz(middle)[0])

    def taken(self, diameter_mm: float) -> NDArray[np.bool_]:
        """Bool (N,): which of the survey's voxels are too near another lesion for one of that diameter."""
        taken = np.zeros(self.survey.label.shape, dtype=bool)
        for other in self.others:
            away = np.linalg.norm(self.survey.xyz - np.asarray(other.spec.centre_xyz), axis=1)
            taken |= away < (diameter_mm + other.spec.diameter_mm) / 2 + APART_MM
        return taken

    def in_seat(self, seat: str) -> NDArray[np.bool_]:
        """Bool (N,): which of the survey's voxels lie in a seat as `measure.location` names it."""
        found = np.zeros(self.survey.label.shape, dtype=bool)
        for label in np.unique(self.survey.label):
            seats = self.host.facts.atlas.seats(int(label))
            if seat not in seats:
                continue
            mine = np.flatnonzero(self.survey.label == label)
            ijk = self.host.organs.grid.to_ijk(self.survey.xyz[mine])
            found[mine] = self.host.facts.atlas.seat_indices(int(label), ijk) == seats.index(seat)
        return found
