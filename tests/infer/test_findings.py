from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from panlesion.ct.body import body_mask
from panlesion.ct.modality import Modality
from panlesion.ct.volume import Volume, standard_grid
from panlesion.errors import GeometryError
from panlesion.infer.findings import Prediction, body_box, find, parted, predict_scan
from panlesion.nets.classes import LESIONS, Classes, ClassGroup, pan_tumour_classes
from panlesion.nets.engines import TorchEngine
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset
from panlesion.nets.restore import Restorer
from panlesion.nets.sliding import predict_logits

TINY = Preset(name="tiny", channels=(4, 8), decoder_convs=1, features_from=1)


def model_of(classes):
    torch.manual_seed(0)
    return Model(ModelInfo(preset=TINY, classes=classes, spacing_mm=2.5, patch_voxels=16)).eval()


def body(shape=(40, 30, 20), margin=0):
    hu = np.full(shape, -1000, dtype=np.int16)
    inner = tuple(slice(margin, n - margin) for n in shape)
    hu[inner] = np.random.default_rng(0).normal(40, 200, hu[inner].shape)
    return Volume(hu=hu, grid=standard_grid(shape, 2.5))


def prediction(types, probability=None, anatomy=None):
    types = np.asarray(types, dtype=np.uint8)
    return Prediction(
        grid=standard_grid(types.shape, 2.0),
        types=types,
        probability=np.asarray((types > 0) * 0.9 if probability is None else probability, dtype=np.float32),
        anatomy=np.zeros_like(types) if anatomy is None else anatomy,
        lesion_names=("none", "liver_cyst", "liver_tumor", "kidney_cyst", "other_mass"),
        anatomy_names=("background", "liver"),
    )


def test_the_prediction_is_that_of_the_logits():
    model, ct = model_of(pan_tumour_classes()), body()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = torch.from_numpy(predict_logits(model, ct, overlap=0.25))
    found = predict_scan(model, ct)
    lesions = logits[model.info.classes.channels(LESIONS)]
    assert np.array_equal(found.types, lesions.argmax(0))
    assert np.allclose(found.probability, 1 - lesions.softmax(0)[0], atol=1e-5)
    assert np.array_equal(found.anatomy, logits[:16].argmax(0))
    assert len(np.unique(found.anatomy)) > 1


def test_air_around_the_body_is_none_and_costs_nothing():
    model, windows = model_of(pan_tumour_classes()), []
    wide = body((80, 30, 20), margin=0)
    hu = wide.hu.copy()
    hu[20:] = -1000
    found = predict_scan(model, replace(wide, hu=hu), progress=lambda *n: windows.append(n[1]))
    assert not found.types[30:].any()
    assert not found.probability[30:].any()
    everywhere = []
    predict_scan(model, wide, progress=lambda *n: everywhere.append(n[1]))
    assert windows[0] < everywhere[0]
    nothing = predict_scan(model, replace(wide, hu=np.full_like(hu, -1000)))
    assert not nothing.types.any()
    assert find(nothing)[1] == []


def test_of_an_mr_all_is_predicted_since_dark_tissue_looks_like_air():
    model, ct = model_of(pan_tumour_classes()), body((40, 40, 20), margin=0)
    dark = replace(ct, hu=np.full_like(ct.hu, -990))
    windows = []
    for modality in Modality:
        model.info = replace(model.info, modality=modality)
        done = [0]
        predict_scan(model, dark, skip_air=True, progress=lambda *n, done=done: done.append(n[1]))
        windows.append(done[-1])
    assert windows[0] == 0 < windows[1]


def test_air_that_is_skipped_is_none_and_nothing_changes_in_the_body():
    model, ct = model_of(pan_tumour_classes()), body((80, 80, 20), margin=0)
    hu = ct.hu.copy()
    hu[25:, 25:] = hu[:5] = hu[:, :5] = hu[70:] = hu[:, 70:] = -1000
    ct, windows = replace(ct, hu=hu), []
    every, some = (predict_scan(model, ct, skip_air=skip, progress=lambda *n: windows.append(n)) for skip in (False, True))
    inside = body_mask(ct)
    assert not some.types[~inside].any()
    assert some.probability[~inside].max() < 1e-6
    assert every.types[~inside].any()
    for name in ("types", "probability", "anatomy"):
        assert np.array_equal(getattr(some, name)[inside], getattr(every, name)[inside])
    done = [number for number, total in windows if number == total]
    assert done[1] < done[0]


def test_an_engine_predicts_and_who_watches_sees_the_logits_of_the_box():
    model, ct = model_of(pan_tumour_classes()), body((40, 30, 20), margin=5)
    restorer = Restorer(model.classes, ct.crop(body_box(ct)).grid, ct.grid)
    found = predict_scan(model, ct, engine=TorchEngine(model, bf16=False), watch=restorer.add)
    assert np.array_equal(restorer.maps["lesions"], found.types)
    assert np.array_equal(restorer.maps["anatomy"], found.anatomy)
    assert np.allclose(restorer.probability, found.probability, atol=1e-3)
    in_bf16 = predict_scan(model, ct)
    assert 0 < np.abs(in_bf16.probability - found.probability).max() < 0.1


def test_a_network_without_anatomy_predicts_lesions():
    model = model_of(Classes(groups=(ClassGroup(name=LESIONS, classes=("none", "sarcoma")),)))
    found = predict_scan(model, body())
    assert not found.anatomy.any()
    assert found.anatomy_names == ("background",)
    assert found.types.any()


def test_another_grid_is_refused():
    ct = body()
    with pytest.raises(GeometryError, match="standardise"):
        predict_scan(model_of(pan_tumour_classes()), Volume(hu=ct.hu, grid=standard_grid(ct.hu.shape, 3.0)))


def test_findings_agree_with_scipy_part_by_part():
    rng = np.random.default_rng(1)
    smooth = ndimage.gaussian_filter(rng.normal(size=(30, 25, 20)), 1.5)
    types = np.where(smooth > np.quantile(smooth, 0.85), rng.integers(1, 3, smooth.shape), 0)
    probability = rng.random(smooth.shape).astype(np.float32)
    anatomy = rng.integers(0, 2, smooth.shape).astype(np.uint8)
    made = prediction(types, probability, anatomy)
    labels, found = find(made)
    numbers = range(1, len(found) + 1)
    assert len(found) == ndimage.label(types > 0, np.ones((3, 3, 3)))[1] > 3
    assert [one.score for one in found] == pytest.approx(ndimage.mean(probability, labels, numbers))
    assert [one.peak for one in found] == pytest.approx(ndimage.maximum(probability, labels, numbers))
    middles = made.grid.to_xyz(np.array(ndimage.center_of_mass(labels > 0, labels, numbers)))
    assert np.allclose([one.centre_xyz for one in found], middles)
    for n, one in zip(numbers, found, strict=True):
        assert one.type == made.lesion_names[np.bincount(types[labels == n]).argmax()]
        assert one.anatomy == made.anatomy_names[np.bincount(anatomy[labels == n]).argmax()]
        assert one.volume_ml == pytest.approx(np.count_nonzero(labels == n) * 0.008)


def test_types_of_one_organ_that_touch_are_one_finding():
    types = np.zeros((9, 5, 5))
    types[2:4], types[4:7] = 1, 2
    _, found = find(prediction(types))
    assert [(one.type, one.voxels) for one in found] == [("liver_tumor", 125)]


def test_types_of_two_organs_and_masses_that_touch_are_findings_of_their_own():
    types = np.zeros((9, 5, 5))
    types[2:4], types[4:7], types[7:] = 2, 3, 4
    labels, found = find(prediction(types))
    assert [(one.type, one.voxels) for one in found] == [("liver_tumor", 50), ("kidney_cyst", 75), ("other_mass", 50)]
    assert [int(labels[i, 0, 0]) for i in (1, 2, 4, 7)] == [0, 1, 2, 3]


def test_two_parts_of_one_type_are_two_findings():
    types = np.zeros((9, 5, 5))
    types[1:3], types[5:7] = 3, 3
    assert [one.voxels for one in find(prediction(types))[1]] == [50, 50]


def test_findings_that_touch_are_parted_at_the_neck_and_stay_as_probable():
    at = np.indices((40, 24, 24))
    one, two = (sum((a - c) ** 2 for a, c in zip(at, centre, strict=True)) <= 36 for centre in ((9, 12, 12), (22, 12, 12)))
    seen = prediction(np.where(one | two, 1, 0))
    labels, found = find(seen)
    assert len(found) == 1
    found = [replace(found[0], probability=0.7)]
    fresh, both = parted(seen, labels, found)
    assert [part.probability for part in both] == [0.7, 0.7] and {part.score for part in both} == {found[0].score}
    assert np.array_equal(fresh > 0, labels > 0)
    assert sum(part.voxels for part in both) == found[0].voxels
    assert abs(both[0].centre_xyz[0] - both[1].centre_xyz[0]) == pytest.approx(13 * 2.0, abs=2.0)
    alone = parted(seen, np.where(one, labels, 0), found)
    assert len(alone[1]) == 1 and np.array_equal(alone[0] > 0, one)
