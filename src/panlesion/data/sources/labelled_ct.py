"""`LabelledCT`: one annotated CT of a dataset, as every reader of this folder gives it."""

from dataclasses import dataclass

from panlesion.ct.volume import LabelMap, Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledCT:
    """A CT and its annotation on the same grid. Splits are by `patient`."""

    id: str
    patient: str
    ct: Volume
    label: LabelMap
