"""`Stage`: the body under construction. It knows the frame, what space is taken, and the canvas."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from panlesion.phantom.anatomy.canvas import Canvas
from panlesion.phantom.anatomy.lattice import OUTSIDE_MM, Array, Field, Lattice, Points
from panlesion.phantom.anatomy.physique import Frame
from panlesion.phantom.anatomy.solids import Coordinates, Curve, smooth_min


class Stage:
    """One body being built: organs are placed in order, each yields to what was placed before it."""

    def __init__(self, frame: Frame, canvas: Canvas, coarse_mm: float, fine_mm: float) -> None:
        self.frame = frame
        self.canvas = canvas
        self.coarse_mm = coarse_mm
        self.fine_mm = fine_mm
        half = 235.0 * max(1.0, frame.physique.breadth)
        corners = np.array(
            [[-half, -190, -355 * frame.physique.length], [half, 235 * frame.physique.visceral, 322 * frame.physique.length]]
        )
        self.whole = Lattice.covering(corners, 12.0, 1.5 * coarse_mm)
        self.xyz = frame.coordinates(self.whole)
        self.fields: dict[str, Field] = {}
        self._space = Lattice.covering(corners, 12.0, coarse_mm)
        self._taken = np.full(self._space.shape, OUTSIDE_MM, dtype=np.float32)

    def lattice(self, body_points: NDArray, margin_mm: float, step_mm: float | None = None) -> tuple[Lattice, Coordinates]:
        """A lattice around body points and its body coordinates."""
        lattice = Lattice.covering(self.frame.to_world(np.asarray(body_points)), margin_mm, step_mm or self.fine_mm)
        return lattice, self.frame.coordinates(lattice)

    def on(self, name: str, lattice: Lattice) -> Array:
        """A stored field on another lattice."""
        return self.fields[name].on(lattice)

    def claim(self, field: Field, name: str | None = None) -> Field:
        """Mark the field's inside as taken, and store it under a name."""
        if name is not None:
            self.fields[name] = field
        window = self._window_of(field.lattice)
        if window is not None:
            where, part = window
            np.minimum(self._taken[where], field.on(part), out=self._taken[where])
        return field

    def taken(self, lattice: Lattice) -> Array:
        """Distance to what has been placed so far."""
        return Field(lattice=self._space, values=self._taken).on(lattice)

    def _window_of(self, lattice: Lattice) -> tuple[tuple[slice, slice, slice], Lattice] | None:
        ratio = lattice.step_mm / self._space.step_mm
        start, shape, where = [], [], []
        for axis in range(3):
            a = int(np.ceil(lattice.start[axis] * ratio))
            b = int(np.floor((lattice.start[axis] + lattice.shape[axis] - 1) * ratio)) + 1
            low = max(a, self._space.start[axis])
            high = min(b, self._space.start[axis] + self._space.shape[axis])
            if high <= low:
                return None
            start.append(low)
            shape.append(high - low)
            where.append(slice(low - self._space.start[axis], high - self._space.start[axis]))
        part = Lattice(start=(start[0], start[1], start[2]), shape=(shape[0], shape[1], shape[2]), step_mm=self._space.step_mm)
        return (where[0], where[1], where[2]), part

    def sweep(self, lattice: Lattice, tube: Curve, margin_mm: float = 10.0) -> tuple[Array, Array]:
        """Tube around a curve: signed distance, and arc length of the nearest curve point (both per lattice point)."""
        distance = np.full(lattice.shape, OUTSIDE_MM, dtype=np.float32)
        along = np.zeros(lattice.shape, dtype=np.float32)
        self._sweep_into(distance, along, lattice, tube, margin_mm)
        return distance, along

    def _sweep_into(self, distance: Array, along: Array | None, lattice: Lattice, tube: Curve, margin_mm: float) -> None:
        # Distances are taken in the world, where the lattice's axes are straight: sums of one-dimensional terms.
        world = self.frame.to_world(tube.points) * (-1.0, -1.0, 1.0)
        radii, lengths = tube.radii_mm.astype(np.float32), tube.along_mm.astype(np.float32)
        reach = np.maximum(tube.radii_mm[1:], tube.radii_mm[:-1])[:, None] + margin_mm
        low = np.floor((np.minimum(world[1:], world[:-1]) - reach) / lattice.step_mm).astype(int) - lattice.start
        high = np.ceil((np.maximum(world[1:], world[:-1]) + reach) / lattice.step_mm).astype(int) - lattice.start + 1
        low, high = np.clip(low, 0, lattice.shape), np.clip(high, 0, lattice.shape)
        axes = [x.astype(np.float32) for x in lattice.axes_lps_mm()]
        for n in np.flatnonzero((high > low).all(axis=1)):
            window = tuple(slice(int(a), int(b)) for a, b in zip(low[n], high[n], strict=True))
            a = world[n].astype(np.float32)
            d = (world[n + 1] - world[n]).astype(np.float32)
            x, y, z = (axes[k][window[k]] - a[k] for k in range(3))
            length2 = np.float32(max(float(d @ d), 1e-6))
            dot = (x * d[0])[:, None, None] + (y * d[1])[:, None] + z * d[2]
            t = np.minimum(np.maximum(dot * np.float32(1 / length2), 0), 1)
            dot *= -2
            dot += t * length2
            dot *= t
            dot += (x * x)[:, None, None] + (y * y)[:, None] + z * z
            away = np.sqrt(np.maximum(dot, 0, out=dot), out=dot)
            away -= radii[n] + t * (radii[n + 1] - radii[n])
            part = distance[window]
            if along is None:
                np.minimum(part, away, out=part)
                continue
            nearer = away < part
            np.copyto(part, away, where=nearer)
            np.copyto(along[window], lengths[n] + t * (lengths[n + 1] - lengths[n]), where=nearer)

    def join(
        self,
        values: Array,
        lattice: Lattice,
        xyz: Coordinates,
        points: NDArray,
        reach_mm: float,
        solid: Callable[[Coordinates], Array],
        fillet_mm: float,
    ) -> None:
        """Add a solid to a field in place, evaluated only within `reach_mm` of the body points that span it."""
        window = lattice.window(self.frame.to_world(points), reach_mm + fillet_mm)
        part = values[window]
        if part.size:
            part[...] = smooth_min(part, solid((xyz[0][window], xyz[1][window], xyz[2][window])), fillet_mm)

    def tube_field(self, tubes: Sequence[Curve], margin_mm: float = 8.0, step_mm: float | None = None) -> Field:
        """The union of tubes on a lattice of its own."""
        points = np.concatenate([t.points for t in tubes])
        reach = max(float(t.radii_mm.max()) for t in tubes) + margin_mm
        lattice = Lattice.covering(self.frame.to_world(points), reach, step_mm or self.fine_mm)
        values = np.full(lattice.shape, OUTSIDE_MM, dtype=np.float32)
        for tube in tubes:
            self._sweep_into(values, None, lattice, tube, margin_mm)
        return Field(lattice=lattice, values=values)

    def body_points(self, reference: NDArray | Sequence[Sequence[float]]) -> Points:
        """Body mm of reference points."""
        return self.frame.place(np.asarray(reference, dtype=np.float64))

    def organ_points(self, reference: NDArray | Sequence[Sequence[float]]) -> Points:
        """Body mm of reference points of organs that breathe."""
        return self.frame.breathed(np.asarray(reference, dtype=np.float64))
