"""The intensity map of PASTA's networks and its inverse: HU ↔ 0 … 1, piecewise linear."""

import numpy as np
from numpy.typing import NDArray

HU_KNOTS = (-1000.0, -200.0, 200.0, 1000.0)
NETWORK_KNOTS = (0.0, 0.2, 0.9, 1.0)
"""The knots of LWHYC/PASTA's public code: soft tissue (-200 … 200 HU) gets 70 % of the range."""

# Every int16 as it is stored, so that a whole scan is one look-up: entry 0 is 0 HU, entry 65535 is -1 HU.
_TABLE = np.interp(np.arange(65536, dtype=np.uint16).view(np.int16), HU_KNOTS, NETWORK_KNOTS).astype(np.float32)


def to_network(hu: NDArray) -> NDArray[np.float32]:
    """Network input, 0 … 1, of HU of any shape; below -1000 and above 1000 HU it is clipped."""
    hu = np.asarray(hu)
    if hu.dtype == np.int16:
        return _TABLE[hu.view(np.uint16)]
    return np.interp(hu, HU_KNOTS, NETWORK_KNOTS).astype(np.float32)


def to_hu(x: NDArray) -> NDArray[np.float32]:
    """HU of network values of any shape; the inverse of `to_network` between -1000 and 1000 HU."""
    return np.interp(np.asarray(x), NETWORK_KNOTS, HU_KNOTS).astype(np.float32)
