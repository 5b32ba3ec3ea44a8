"""Models without storage, to be filled with weights that are read from a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWS = frozenset({"normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_"})


class _Undrawn(TorchFunctionMode):
    """Leaves tensors as they are where an initialisation would draw them."""

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_storage() -> Iterator[None]:
    """Modules made inside have shapes only: no memory is taken and no random number drawn.

    Drawing on the meta device would do nothing either, but loads torch's symbolic algebra for it: 3 s on the first call.
    """
    with torch.device("meta"), _Undrawn():
        yield
