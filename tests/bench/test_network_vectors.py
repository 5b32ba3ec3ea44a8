import numpy as np
import pytest
import torch
from runs_made import TINY

from panlesion.bench.network_vectors import CROP, LOOK, named, network_vectors, vector_columns
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.errors import CheckpointError, OrganMapError
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.heads import ATTRIBUTE_HEAD, attribute_head
from panlesion.nets.model import Model, ModelInfo

GRID = standard_grid((30, 30, 30), 2.0)


def tiny(*, head=True):
    torch.manual_seed(0)
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16))
    if head:
        model.heads[ATTRIBUTE_HEAD] = attribute_head(TINY)
    return model.eval()


def scan(hu=60):
    lesion = np.zeros(GRID.shape, dtype=np.uint8)
    lesion[12:18, 12:18, 12:18] = 1
    return Volume(hu=np.where(lesion, hu, -100).astype(np.int16), grid=GRID), LabelMap(labels=lesion, grid=GRID)


def test_vectors_are_repeatable_see_the_lesion_and_become_columns():
    model = tiny()
    one, again, other = network_vectors(model, *scan()), network_vectors(model, *scan()), network_vectors(model, *scan(300))
    assert one == again
    assert one != other
    assert len(one[CROP]) == TINY.feature_size
    columns = vector_columns([one, other, again])
    assert columns["crop 0"].tolist() == [one[CROP][0], other[CROP][0], one[CROP][0]]
    assert len(named(columns, CROP)) == len(one[CROP])
    assert set(columns) == {*named(columns, CROP), *named(columns, LOOK)}


def test_a_model_without_the_head_and_a_mask_without_a_voxel_are_refused():
    ct, lesion = scan()
    with pytest.raises(CheckpointError, match="no head"):
        network_vectors(tiny(head=False), ct, lesion)
    with pytest.raises(OrganMapError, match="empty"):
        network_vectors(tiny(), ct, LabelMap(labels=np.zeros(GRID.shape, dtype=np.uint8), grid=GRID))
