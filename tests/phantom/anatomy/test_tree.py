import numpy as np

from panlesion.phantom.anatomy.tree import grow, scatter

TRUNK = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 10.0]])


def test_a_tree_reaches_its_targets_and_thins_out():
    targets = np.random.default_rng(0).uniform((-40, -40, 20), (40, 40, 100), (60, 3))
    ends, radii = grow(TRUNK, targets, 6.0, 0.8)
    for target in targets:
        assert np.linalg.norm(ends[:, 1] - target, axis=1).min() < 2.5
    assert radii.max() <= 6.0 * 1.36
    assert radii.min() >= 0.79
    assert radii[0, 1] > 4.0


def test_every_branch_starts_where_another_ends():
    ends, _ = grow(TRUNK, np.random.default_rng(1).uniform(-30, 30, (25, 3)), 5.0, 1.0)
    known = np.concatenate([TRUNK[:1], ends[:, 1]])
    for start in ends[:, 0]:
        assert np.linalg.norm(known - start, axis=1).min() < 1e-9


def test_scattered_points_lie_deep_inside():
    axis = np.linspace(-20, 20, 41, dtype=np.float32)
    xyz = tuple(np.meshgrid(axis, axis, axis, indexing="ij"))
    field = np.sqrt(sum(c * c for c in xyz)) - 15.0
    points = scatter(field, xyz, 80, 5.0, 3)
    assert len(points) == 80
    assert np.linalg.norm(points, axis=1).max() < 10.0
    assert scatter(field, xyz, 80, 50.0, 3).shape == (0, 3)
