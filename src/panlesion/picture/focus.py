"""Where to look: the slices through a lesion and the box around it."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from panlesion.ct.volume import Box, Vector3
from panlesion.picture.planes import Plane, Turned, View


class FewerLesionsError(ValueError):
    """A lesion was asked for by a number that the mask does not reach."""


@dataclass(frozen=True, kw_only=True)
class Focus:
    """One connected lesion in a `Turned` mask, in mm from the array's corner along L, P, S.

    `slices_mm` is where each axis is cut: through the slice that shows most of the lesion, which for a lesion that
    surrounds a lumen is not the middle of its box. `number` counts from 1, the largest first.
    """

    centre_mm: Vector3
    slices_mm: Vector3
    extent_mm: Vector3
    number: int
    of: int

    def view(self, plane: Plane, width_mm: float, height_mm: float) -> View:
        """A view of that size around the lesion, cut where the plane shows most of it."""
        through = plane.axes[2]
        a, b, c = (self.slices_mm[axis] if axis == through else self.centre_mm[axis] for axis in range(3))
        return View(plane=plane, centre_mm=(a, b, c), width_mm=width_mm, height_mm=height_mm)


def focus_on(lesions: Turned, number: int = 1, near_mm: Vector3 | None = None) -> Focus | None:
    """The `number`-th largest connected lesion of a bool mask, or the one nearest to a point; None where the mask is empty.

    Raises:
        FewerLesionsError: the mask holds fewer lesions.
    """
    box = Box.of(lesions.array)
    if box.empty:
        return None
    components, count = ndimage.label(lesions.array[box.slices], structure=np.ones((3, 3, 3)))
    if not 1 <= number <= count:
        raise FewerLesionsError(f"lesion {number} was asked for; the mask holds {count}, counted from 1, the largest first")
    by_size = np.argsort(-np.bincount(components.ravel(), minlength=count + 1)[1:], kind="stable") + 1
    spacing = np.asarray(lesions.spacing_mm)
    if near_mm is not None:
        voxels = np.argwhere(components)
        distance = np.linalg.norm((voxels + box.start + 0.5) * spacing - near_mm, axis=1)
        nearest = components[tuple(voxels[np.argmin(distance)])]
        number = int(np.flatnonzero(by_size == nearest)[0]) + 1
    one = components == by_size[number - 1]
    tight = Box.of(one).shifted(box.start)
    most = [int(np.argmax(one.sum(axis=tuple(a for a in range(3) if a != axis)))) for axis in range(3)]
    slices = (np.asarray(box.start) + most + 0.5) * spacing
    centre = (np.asarray(tight.start) + np.asarray(tight.stop)) / 2 * spacing
    extent = np.asarray(tight.shape) * spacing
    return Focus(centre_mm=_vector(centre), slices_mm=_vector(slices), extent_mm=_vector(extent), number=number, of=count)


def middle(turned: Turned) -> Focus:
    """The middle of an array, for volumes without a lesion."""
    a, b, c = (extent / 2 for extent in turned.extent_mm)
    return Focus(centre_mm=(a, b, c), slices_mm=(a, b, c), extent_mm=turned.extent_mm, number=1, of=1)


def _vector(array: np.ndarray) -> Vector3:
    a, b, c = array.tolist()
    return (a, b, c)
