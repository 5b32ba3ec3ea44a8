"""Made sources and lesion-free scans; in a file of its own, so that tests of several files share them."""

import weakref
from pathlib import Path

import numpy as np

from panlesion.ct.modality import Modality
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source

SHAPE, SPACING_MM = (16, 14, 12), 3.0


def made_case(id, values=(1, 2)):
    """An organ (1) with a lesion (2) in it, brighter where the case's number is higher."""
    grid = standard_grid(SHAPE, SPACING_MM)
    label = np.zeros(SHAPE, dtype=np.uint8)
    rng = np.random.default_rng(int("".join(c for c in id if c.isdigit()) or 0))
    if 1 in values:
        label[2:12, 2:12, 2:10] = 1
    if 2 in values:
        a = int(rng.integers(3, 6))
        label[a : a + 5, a : a + 5, 3:8] = 2
    hu = (40 * (label > 0) + 60 * (label == 2) + rng.normal(0, 10, SHAPE)).astype(np.int16)
    return LabelledCT(id=id, patient=id, ct=Volume(hu=hu, grid=grid), label=LabelMap(labels=label, grid=grid))


class Tracked:
    """How many cases that were read are alive at once, and which were read."""

    def __init__(self):
        self.alive, self.most, self.read = set(), 0, []

    def note(self, case):
        self.read.append(case.id)
        self.alive.add(case.id)
        weakref.finalize(case, self.alive.discard, case.id)
        self.most = max(self.most, len(self.alive))
        return case


def made_source(count=6, *, tracked=None, values=None, unlabelled=(), mr=(), lesions=("tumor",), per_patient=1):
    """A source of `count` cases; `values` maps a case to the values its label has."""

    def find(root):
        return [
            FoundCase(
                id=f"case_{n:04d}", patient=f"p{n // per_patient}", image=Path(root) / "x",
                label=None if n in unlabelled else Path(root) / "y", modality=Modality.MR if n in mr else Modality.CT,
            )
            for n in range(count)
        ]  # fmt: skip

    def read(found):
        case = made_case(found.id, (values or {}).get(int(found.id[-4:]), (1, 2)))
        return tracked.note(case) if tracked else case

    return Source(
        id="made", title="Made", classes=("organ", "tumor"), lesions=lesions, licence="none", get="nothing", layout="made/",
        find=find, read=read,
    )  # fmt: skip
