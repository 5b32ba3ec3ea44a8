"""`Atlas`: the parts of every organ of one map, worked out when first asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import V1_NAMES
from panlesion.ct.volume import LabelMap, Vector3
from panlesion.errors import OrganMapError
from panlesion.measure.location.bowel import ColonSeats, StomachSeats
from panlesion.measure.location.hollow import BladderSeats, GallbladderSeats, OesophagusSeats
from panlesion.measure.location.landmarks import Landmarks, Points
from panlesion.measure.location.liver import LiverSeats
from panlesion.measure.location.solid import KidneySeats, PancreasSeats, WholeSeat


class Seats(Protocol):
    """The parts of one organ: their names, and which one a world point belongs to."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def index(self, xyz: Points) -> NDArray[np.int64]: ...


# Organs with parts, by v1 label; every other structure is one seat under its own name.
_RULES: Mapping[int, Callable[[Landmarks], Seats]] = MappingProxyType(
    {
        2: partial(KidneySeats.of, label=2),
        3: partial(KidneySeats.of, label=3),
        4: GallbladderSeats.of,
        5: LiverSeats.of,
        6: StomachSeats.of,
        10: PancreasSeats.of,
        42: OesophagusSeats.of,
        57: ColonSeats.of,
        104: BladderSeats.of,
    }
)


@dataclass(frozen=True, eq=False)
class Atlas:
    """Names the part of an organ a point lies in.

    The names of an organ are the same in every map; which voxels they cover follows from the landmarks of this one. Points need
    not lie in the organ: the rules reach as far as a lesion may protrude.
    """

    organs: LabelMap
    _known: dict[int, Seats] = field(default_factory=dict, repr=False)

    @cached_property
    def landmarks(self) -> Landmarks:
        return Landmarks(organs=self.organs)

    def seat(self, organ_label: int, xyz: Vector3 | NDArray) -> str:
        """The part at a point in RAS+ world mm.

        Raises:
            OrganMapError: the map has no such organ.
        """
        seats = self._of(organ_label)
        return seats.names[int(seats.index(np.asarray(xyz, dtype=np.float64).reshape(1, 3))[0])]

    def seats(self, organ_label: int) -> tuple[str, ...]:
        """All parts of an organ, whether or not this map shows them all."""
        return self._of(organ_label).names

    def seat_indices(self, organ_label: int, ijk: NDArray) -> NDArray[np.int64]:
        """Position in `seats(organ_label)` of voxels (N, 3) of the map, any number at once."""
        return self._of(organ_label).index(self.organs.grid.to_xyz(np.asarray(ijk).reshape(-1, 3)))

    def _of(self, label: int) -> Seats:
        if label not in self._known:
            if label not in V1_NAMES:
                raise ValueError(f"organ_label is {label}; it must be a label of the v1 numbering, 1 to 104")
            if not self.landmarks.found(label):
                raise OrganMapError(
                    f"label {label} ({V1_NAMES[label]}) has no voxel in this organ map; choose an organ it holds"
                )
            rule = _RULES.get(label)
            self._known[label] = WholeSeat.of(label) if rule is None else rule(self.landmarks)
        return self._known[label]
