"""Contrast phases of a CT."""

from enum import StrEnum


class Phase(StrEnum):
    """When after contrast injection the body was scanned."""

    NON_CONTRAST = "non-contrast"
    ARTERIAL = "arterial"
    PORTAL = "portal"
    DELAYED = "delayed"

    @property
    def enhanced(self) -> bool:
        return self is not Phase.NON_CONTRAST
