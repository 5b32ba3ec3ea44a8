"""What kind of scan an image is."""

from enum import StrEnum


class Modality(StrEnum):
    """CT, whose numbers are HU, or MR, whose numbers mean nothing by themselves (see `ct.mr`)."""

    CT = "ct"
    MR = "mr"
