import numpy as np
import pytest
import torch
from tabled_made import scan
from uses_made import TINY, model_for

from panlesion.ct.modality import Modality
from panlesion.ct.region import frame
from panlesion.nets.case_answer import case_input
from panlesion.train.augment import Augment
from panlesion.train.cases import CaseSource, Cube, case_groups, gather_cases, outputs_of
from panlesion.train.readings import reading_augment
from panlesion.train.tasks.stage import Stage


def cubes(use, count=5, images=1):
    made = []
    for n in range(count):
        image, label = scan(n)
        framed = frame([image] * images, label, use.framing, spare=2)
        made.append(Cube(id=f"c{n}", hu=framed.hu, mask=framed.mask))
    return made


def source(model, some, vectors=None, batch=4, seed=0):
    look = model.heads[model.info.case.head].look
    targets = {"stage": np.arange(len(some)) % 3}
    return CaseSource(
        cubes=some, targets=targets, rows=np.arange(len(some)), look=look, seed=seed, batch=batch, vectors=vectors
    )


def test_a_plain_view_is_what_the_network_is_given_when_it_is_asked():
    model = model_for("stage")
    use = model.info.case
    image, label = scan(0)
    asked = case_input(frame([image], label, use.framing), model.intensity)
    assert (cubes(use)[0].plain(model.heads["stage"].look) == asked).all()


def test_images_of_one_case_are_turned_alike():
    model = model_for("stage", channels=(Modality.CT, Modality.CT))
    look = model.heads["stage"].look
    cube = cubes(model.info.case, 1, images=2)[0]
    for n in range(4):
        view = cube.drawn(look, Augment.pasta(), (0, n))
        assert view.shape == (3, 16, 16, 16)
        assert (view[0] == view[1]).all()
        assert (cube.drawn(look, Augment.pasta(), (0, n)) == view).all()
    assert not (cube.drawn(look, reading_augment(), (0, 1)) == cube.drawn(look, reading_augment(), (0, 2))).all()


def test_every_case_comes_once_before_any_comes_again():
    model = model_for("stage")
    drawn = source(model, cubes(model.info.case, 5), batch=3)
    ids = [drawn.sample(step, slot).id for step in range(5) for slot in range(3)]
    assert all(sorted(ids[n : n + 5]) == [f"c{k}" for k in range(5)] for n in (0, 5, 10))
    assert ids != [
        source(model, cubes(model.info.case, 5), batch=3, seed=1).sample(s, k).id for s in range(5) for k in range(3)
    ]


def test_gathered_vectors_answer_as_the_cubes_do():
    model = model_for("stage")
    some = cubes(model.info.case, 4)
    vectors = gather_cases(model, model.heads["stage"].look, some, views=3, seed=0)
    assert vectors.shape[:2] == (4, 3)
    rows = np.array([2, 0])
    direct = outputs_of(model, "stage", some, rows)
    assert torch.allclose(direct, outputs_of(model, "stage", some, rows, vectors), atol=1e-5)
    sample = source(model, some, vectors).sample(0, 0)
    row = int(sample.id[1:])
    assert any((sample.arrays["image"] == view).all() for view in vectors[row])
    assert sample.arrays["stage"] == row % 3


@pytest.mark.parametrize("moving", [False, True])
def test_gradients_reach_the_encoder_only_where_it_moves(moving):
    model = model_for("stage")
    groups = case_groups(model, model.info.case, moving=moving, encoder_scale=0.1)
    task = Stage(moving=moving)
    some = cubes(model.info.case, 3)
    x = torch.from_numpy(np.stack([cube.plain(model.heads["stage"].look) for cube in some]))
    task.loss(task.network(model)(x), {"stage": torch.tensor([0, 1, 2])}).backward()
    assert all(p.grad is not None for p in model.heads["stage"].parameters())
    assert all((p.grad is not None) == moving for p in model.unet.encoder.parameters())
    assert all(p.grad is None for part in (model.unet.decoder, model.unet.ups, model.unet.heads) for p in part.parameters())
    held = {id(p) for group in groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(groups) == 1 + moving
    assert TINY.features_from + 1 == len(model.unet.encoder)
