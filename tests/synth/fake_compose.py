"""A composer that needs no anatomy: a dark ball at a random voxel of the organ. Importable by worker processes."""

import os
import signal
import time

import numpy as np

from panlesion.ct.volume import Box, LabelMap, Volume
from panlesion.data.publish import DiskFullError
from panlesion.errors import PlacementError
from panlesion.lesion.taxonomy import TYPES
from panlesion.synth.compose import Composed

RADIUS = 4


def compose(host, types, rng):
    labels = TYPES[types[0]].organ_labels
    own = host.organs.mask(labels)
    if not own.any():
        raise PlacementError(f"the crop of {host.id} holds no organ of {types[0]}")
    hu, organs = host.ct.hu.copy(), host.organs.labels.copy()
    lesion = np.zeros(own.shape, dtype=bool)
    rows = []
    for _ in types:
        centre = np.argwhere(own)[rng.integers(np.count_nonzero(own))]
        ball = np.linalg.norm(np.indices(own.shape).T - centre, axis=-1).T <= RADIUS
        hu[ball] -= rng.integers(20, 60, np.count_nonzero(ball)).astype(np.int16)
        lesion |= ball
        spec = {
            "organ_label": int(organs[tuple(centre)]),
            "seat": "somewhere",
            "diameter_mm": 2.0 * RADIUS,
            "features": ["b", "a"],
        }
        rows.append({"plan": {"spec": spec}, "measured": {"mean_hu": 12.0}, "draws": 1})
    label = own.astype(np.uint8)
    label[lesion] = 2
    report = {
        str(rows[0]["plan"]["spec"]["organ_label"]): {
            "Shape": "Round-like",
            "Density": "Hypodense",
            "Heterogeneity": "Homogeneous",
            "Surface": "Well-defined margin",
            "Invasion": "No close relationship with adjacent structures",
        }
    }
    return Composed(
        image=Volume(hu=hu, grid=host.ct.grid),
        label=LabelMap(labels=label, grid=host.ct.grid),
        organs=LabelMap(labels=organs, grid=host.ct.grid),
        report=report,
        record={"lesions": rows, "host_mean": float(host.ct.hu[own].mean())},
        box=Box.of(lesion),
    )


def slow_compose(host, types, rng):
    time.sleep(0.05)
    return compose(host, types, rng)


def picky_compose(host, types, rng):
    """Finds no room in nearly half of all hosts; so some cases find it in their second or third, some nowhere."""
    dice = rng.random()
    if dice < 0.45:
        raise PlacementError(f"no room for a {types[0]} in {host.id}")
    return compose(host, types, rng)


def fatal_compose(host, types, rng):
    """Some cases kill their worker, as the system does when memory ends."""
    if rng.random() < 0.2:
        os.kill(os.getpid(), signal.SIGKILL)
    return compose(host, types, rng)


def buggy_compose(host, types, rng):
    if rng.random() < 0.3:
        raise ZeroDivisionError("division by zero")
    return compose(host, types, rng)


def full_disk_compose(host, types, rng):
    if rng.random() < 0.3:
        raise DiskFullError("img.nii.gz: No space left on device; free some space")
    return compose(host, types, rng)
