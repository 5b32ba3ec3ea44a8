"""A CT that a dataset has no annotation of: it reads with a label of zeros."""

import numpy as np

from panlesion.ct.read import read_ct
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase


def no_label(case: FoundCase) -> LabelledCT:
    """The CT of a case, and a label of zeros.

    Raises:
        ReadError: As `read_ct`.
    """
    ct = read_ct(case.image)
    label = LabelMap(labels=np.zeros(ct.grid.shape, dtype=np.uint8), grid=ct.grid)
    return LabelledCT(id=case.id, patient=case.patient, ct=ct, label=label)
