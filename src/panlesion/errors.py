"""The exception tree, drawn once.

Errors of the caller's data are a `PanlesionError`; errors of the caller's arguments are `ValueError`; broken invariants of
ours are `assert`. Every message says which field or file, its value, the rule it broke and what to do about it.

    PanlesionError
    ├── ReadError            a file or folder cannot be read as what it claims to be
    │   ├── NotCTError       it can be read, but is no CT (wrong modality, RGB, values that cannot be HU)
    │   ├── NotMRError       it can be read, but is no MR whose values are brightness
    │   ├── GeometryError    slices or affine do not describe one regular grid
    │   └── OrganMapError    a label map or mask folder breaks its numbering or does not fit its CT
    ├── SpecError            a lesion specification contradicts itself or its type
    ├── PlacementError       the host has no room for the lesion asked for
    ├── VerifyError          a finished case's report is not true of its voxels
    ├── StoreError           a dataset folder is incomplete, foreign or inconsistent
    ├── CheckpointError      a file of weights is damaged, changed, hostile or does not fit the network
    ├── TrainingError        a run cannot go on: no data, a loss that is no number, another recipe in its folder
    ├── AccountError         an account cannot be made or changed so
    └── MissingExtraError    an optional dependency or external program is not installed
"""

from collections.abc import Iterator
from contextlib import contextmanager


class PanlesionError(Exception):
    """Something is wrong with the caller's data; the message says what, where and what to do."""


class ReadError(PanlesionError):
    """A file or folder cannot be read as what it claims to be."""


class NotCTError(ReadError):
    """Readable, but no CT in HU."""


class NotMRError(ReadError):
    """Readable, but no MR whose values are brightness."""


class GeometryError(ReadError):
    """Slices or affine do not describe one regular, right-angled grid."""


class OrganMapError(ReadError):
    """A label map breaks its numbering or does not fit its CT."""


class SpecError(PanlesionError):
    """A lesion specification contradicts itself or its type."""


class PlacementError(PanlesionError):
    """The host has no room for the lesion asked for."""


class VerifyError(PanlesionError):
    """A finished case's report is not true of its voxels."""


class StoreError(PanlesionError):
    """A dataset folder is incomplete, foreign or inconsistent."""


class CheckpointError(PanlesionError):
    """A file of weights is damaged, changed, hostile or does not fit the network."""


class TrainingError(PanlesionError):
    """A training run cannot begin or go on."""


class AccountError(PanlesionError):
    """An account of the reading room cannot be made or changed so."""


class MissingExtraError(PanlesionError):
    """An optional dependency or external program is not installed."""


@contextmanager
def about(case_id: str) -> Iterator[None]:
    """Prefix any `PanlesionError` raised inside with the case it concerns, keeping its class."""
    try:
        yield
    except PanlesionError as error:
        message = str(error)
        if not message.startswith(f"{case_id}: "):
            error.args = (f"{case_id}: {message}",)
        raise
