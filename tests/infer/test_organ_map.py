import numpy as np
import pytest

from panlesion.ct.organs import V1_LABELS, V1_NAMES
from panlesion.ct.volume import standard_grid
from panlesion.infer.findings import Prediction
from panlesion.infer.organ_map import organ_map
from panlesion.infer.places import LEGEND
from panlesion.nets.classes import ANATOMY, ANATOMY_LABELS, pan_tumour_classes

NAMES = pan_tumour_classes().group(ANATOMY).classes


def predicted(**boxes):
    """Boxes (i, j, k slices) of anatomy classes."""
    anatomy = np.zeros((40, 30, 30), dtype=np.uint8)
    for name, places in boxes.items():
        for where in places:
            anatomy[where] = NAMES.index(name)
    return Prediction(
        grid=standard_grid(anatomy.shape, 2.5), types=np.zeros_like(anatomy), probability=np.zeros(anatomy.shape, np.float32),
        anatomy=anatomy, lesion_names=("none",), anatomy_names=NAMES,
    )  # fmt: skip


def test_every_class_has_a_label_of_its_own_structures():
    for name in NAMES[1:]:
        found = np.unique(organ_map(predicted(**{name: [np.s_[2:10, 2:10, 2:10]]})).labels)
        assert set(found.tolist()) - {0} <= ANATOMY_LABELS[name], name
        assert len(found) == 2  # a single part is one organ, wherever the midline runs


def test_kidneys_are_told_apart_by_the_spine_not_by_the_image():
    spine = np.s_[9:12, 20:25, :]
    found = organ_map(predicted(bone=[spine], kidney=[np.s_[2:6, 10:15, 10:15], np.s_[16:20, 10:15, 10:15]]))
    # the first axis runs to the patient's left
    assert found.labels[3, 12, 12] == V1_LABELS["kidney_right"]
    assert found.labels[17, 12, 12] == V1_LABELS["kidney_left"]


def test_lungs_that_touch_are_cut_at_the_midline():
    found = organ_map(predicted(bone=[np.s_[19:21, 25:, :]], lung=[np.s_[2:38, 2:20, 2:20]]))
    assert V1_NAMES[found.labels[5, 5, 5]].endswith("right") and V1_NAMES[found.labels[35, 5, 5]].endswith("left")


def test_without_bone_the_image_gives_the_middle():
    found = organ_map(predicted(lung=[np.s_[4:14, :10, :10], np.s_[20:32, :10, :10]]))
    assert V1_NAMES[found.labels[5, 5, 5]].endswith("right") and V1_NAMES[found.labels[25, 5, 5]].endswith("left")


def test_strays_of_single_organs_are_left_out_and_scattered_structures_kept():
    stray = np.s_[35:36, 1:2, 1:2]
    found = organ_map(predicted(liver=[np.s_[2:12, 2:12, 2:12], stray]))
    assert found.labels[35, 1, 1] == 0
    found = organ_map(predicted(bone=[np.s_[2:12, 2:12, 2:12], stray]))
    assert found.labels[35, 1, 1] == V1_LABELS["sacrum"]


def test_nothing_recognised_is_an_empty_map():
    assert not organ_map(predicted()).labels.any()


@pytest.mark.parametrize("label", LEGEND)
def test_labels_that_stand_for_more_are_in_the_legend(label):
    assert label in V1_NAMES and LEGEND[label]
