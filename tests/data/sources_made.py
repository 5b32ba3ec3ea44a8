"""Tiny cases for the tests of the readers, and ways to spoil their files."""

import gzip

import numpy as np

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import read_labels, write_labels
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.standins.drawn import draw_case

SHAPE = (14, 16, 12)


def tiny(classes, count=2, *, modality=Modality.CT):
    return [draw_case(f"c{seed}", classes, seed, shape=SHAPE, spacing_mm=5.0, modality=modality) for seed in range(count)]


def relabel(path, value, at=(0, 0, 0)):
    """Give one voxel of a label file another value."""
    label = read_labels(path)
    labels = label.labels.copy()
    labels[at] = value
    write_labels(path, LabelMap(labels=labels, grid=label.grid))


def move(path, by_mm=7.0):
    """Put a label file elsewhere in the world."""
    label = read_labels(path)
    affine = label.grid.affine.copy()
    affine[:3, 3] += by_mm
    write_labels(path, LabelMap(labels=label.labels, grid=Grid(shape=label.grid.shape, affine=affine)))


def crop(path):
    """Take the last slice away."""
    label = read_labels(path)
    i, j, k = label.grid.shape
    write_labels(
        path,
        LabelMap(
            labels=np.ascontiguousarray(label.labels[:, :, :-1]), grid=Grid(shape=(i, j, k - 1), affine=label.grid.affine)
        ),
    )


def turn(path):
    """Flip a label file's array and its affine: the same voxels in the world."""
    label = read_labels(path)
    affine = label.grid.affine.copy()
    affine[:3, 3] += affine[:3, 0] * (label.grid.shape[0] - 1)
    affine[:3, 0] *= -1
    write_labels(
        path, LabelMap(labels=np.ascontiguousarray(label.labels[::-1]), grid=Grid(shape=label.grid.shape, affine=affine))
    )


def halve(path):
    """What a download that was cut leaves."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def foreign(path):
    """A gzip of something else."""
    path.write_bytes(gzip.compress(b"<html>please log in</html>" * 40))


def empty(path):
    path.write_bytes(b"")


def gone(path):
    path.unlink()
