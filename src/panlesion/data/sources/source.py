"""`Source`: a public dataset as the bench sees it: where it is from, what its labels mean, how its cases are found and read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from panlesion.ct.modality import Modality
from panlesion.data.sources.labelled_ct import LabelledCT


@dataclass(frozen=True, kw_only=True)
class FoundCase:
    """One case that was found on disk; no voxel has been read yet.

    `image` is a NIfTI file or a folder of one DICOM series. `label` is what holds the annotation (a NIfTI file, a DICOM SEG or
    RTSTRUCT, a folder of masks); None where the dataset has none for this case, which then reads as all zero.
    `facts` are clinical values by their name in the dataset's own table.
    """

    id: str
    patient: str
    image: Path
    label: Path | None = None
    modality: Modality = Modality.CT
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class Source:
    """A dataset in its published layout. Value n + 1 of a label that `read` gives is `classes[n]`.

    `published` is how many annotated cases the set was published with; a tree may hold fewer.
    `find` gives the cases in a fixed order from names and tables alone, and raises `StoreError` that says which rule of the
    layout a wrong tree breaks; `read` opens one case. `lesions` names the classes that are lesions (the others are organs).
    """

    id: str
    title: str
    classes: tuple[str, ...]
    lesions: tuple[str, ...]
    licence: str
    get: str
    layout: str
    find: Callable[[Path], Sequence[FoundCase]]
    read: Callable[[FoundCase], LabelledCT]
    published: int | None = None

    def stream(self, root: Path) -> Iterator[LabelledCT]:
        """Every case below `root`, one in memory at a time.

        Raises:
            StoreError: The tree is not laid out as published.
            ReadError: A case's file is missing or damaged; the message has the case.
        """
        for case in self.find(root):
            yield self.read(case)
