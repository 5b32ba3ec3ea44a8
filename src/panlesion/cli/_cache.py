"""Where converted networks are kept between commands."""

import os
from pathlib import Path

VARIABLE = "PANLESION_CACHE"


def engine_cache() -> Path | None:
    """The folder in $PANLESION_CACHE (empty: none), else `panlesion` in the user's cache folder (XDG base directories).

    Nothing of a patient goes there: converted weights, and how far they agree with the original.
    """
    told = os.environ.get(VARIABLE)
    if told is not None:
        return Path(told) / "engines" if told else None
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache") / "panlesion" / "engines"
    except RuntimeError:  # no home directory, as for users of services
        return None
