"""The tasks `panlesion bench` knows: where their data come from and what is asked."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from panlesion.data.sources import sts
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.nets.classes import OTHER_MASS


@dataclass(frozen=True, kw_only=True)
class BenchTask:
    """A segmentation task. `start_from` is the pretrained lesion class that its head starts from."""

    id: str
    title: str
    read: Callable[..., Iterator[LabelledCT]]
    folder: str
    classes: tuple[str, ...]
    start_from: str
    spacing_mm: float
    source: str

    def cases(self, root: Path) -> list[LabelledCT]:
        """All cases of the task below the folder that holds the datasets."""
        return list(self.read(root / self.folder, spacing_mm=self.spacing_mm))


TASKS: Mapping[str, BenchTask] = MappingProxyType(
    {
        "sts": BenchTask(
            id="sts",
            title="Soft-tissue sarcoma on plain CT",
            read=sts.read_sts,
            folder="sts",
            classes=sts.CLASSES,
            start_from=OTHER_MASS,
            spacing_mm=3.0,
            source="Vallières et al. 2015, TCIA Soft-tissue-Sarcoma, CC BY 3.0",
        )
    }
)
