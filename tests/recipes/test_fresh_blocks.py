import numpy as np
import pytest

from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.classes import ANATOMY_LABELS, OTHER_MASS, lesion_class
from panlesion.recipes.fresh_blocks import FreshBlocks
from panlesion.train.losses import IGNORE

SMALL = {"seed": 3, "spacing_mm": (4.0, 4.0), "size_voxels": 40, "scans": 1, "healthy_per_scan": 1, "masses_per_scan": 1}
BONE = 1 + list(ANATOMY_LABELS).index("bone")


@pytest.fixture(scope="module")
def torso():
    blocks = FreshBlocks(**SMALL, lesions_per_scan=3, limb_share=0.0, types=(LesionType.LIVER_CYST, LesionType.KIDNEY_STONE))
    return blocks, blocks.make(0)


@pytest.fixture(scope="module")
def limbs():
    blocks = FreshBlocks(**SMALL, lesions_per_scan=4, limb_share=1.0)
    return blocks, blocks.make(0)


@pytest.mark.parametrize("which", ["torso", "limbs"])
def test_a_block_has_the_patches_it_promises(which, request):
    blocks, made = request.getfixturevalue(which)
    assert made.hu.shape == (blocks.patches, 40, 40, 40)
    assert made.targets.shape == (blocks.patches, 2, 40, 40, 40)
    assert len(made.rows) == blocks.patches


@pytest.mark.parametrize("which", ["torso", "limbs"])
def test_rows_say_what_the_targets_show(which, request):
    _, made = request.getfixturevalue(which)
    for row, (_, lesions) in zip(made.rows, made.targets, strict=True):
        found = set(np.unique(lesions).tolist()) - {0}
        kind = row["type"]
        wanted = set() if kind is None else {lesion_class(None if kind == OTHER_MASS else LesionType(kind))}
        assert found == wanted


def test_limbs_have_bone_of_bone_density_and_no_anatomy_under_a_mass(limbs):
    _, made = limbs
    anatomy, lesions = made.targets[:, 0], made.targets[:, 1]
    assert made.hu[anatomy == BONE].mean() > made.hu[(anatomy != BONE) & (made.hu > -300)].mean() + 100
    assert (anatomy[lesions > 0] == IGNORE).all()
    assert (anatomy[lesions == 0] != IGNORE).all()


def test_the_same_number_gives_the_same_block(limbs):
    blocks, made = limbs
    again, other = blocks.make(0), blocks.make(1)
    assert np.array_equal(made.hu, again.hu)
    assert np.array_equal(made.targets, again.targets)
    assert made.rows == again.rows
    assert not np.array_equal(made.hu, other.hu)
