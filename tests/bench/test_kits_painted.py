import pytest
import torch
from kits_made import mask, quickly, row, write_kits
from runs_made import TINY

from panlesion.bench import kits_features, kits_painted
from panlesion.bench.kits_features import measured_cases
from panlesion.bench.kits_painted import painted_vectors, run_kits_painted
from panlesion.bench.protocol import Asked, Choices
from panlesion.data.sources.kits_masks import read_clinical
from panlesion.errors import CheckpointError, StoreError
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.heads import ATTRIBUTE_HEAD, attribute_head
from panlesion.nets.model import Model, ModelInfo

STAGES = ("1a", "1b", "2a", "3")


def tiny(*, head=True, seed=0):
    torch.manual_seed(seed)
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16))
    if head:
        model.heads[ATTRIBUTE_HEAD] = attribute_head(TINY)
    return model.eval()


def silent(*_):
    pass


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.setattr(kits_features, "_measured", quickly)
    rows = [row(f"case_{n:03d}", stage=STAGES[n % 4], dead=n % 2 == 0, days=200.0 + n) for n in range(40)]
    shapes = [mask(6.0 + 2 * n) for n in range(4)]
    write_kits(tmp_path, rows, {one["case_id"]: shapes[n % 4] for n, one in enumerate(rows)})
    return tmp_path


def test_what_was_painted_is_not_painted_again_and_other_weights_are_refused(tree, tmp_path, monkeypatch):
    root = tree / "kits23"
    cases, _ = measured_cases(read_clinical(root), root, tmp_path / "out", silent, most=3)
    first = painted_vectors(cases[:2], tiny(), root, tmp_path / "out" / "painted", silent)
    painted = []
    real = kits_painted.paint_kidneys
    monkeypatch.setattr(kits_painted, "paint_kidneys", lambda masks, *, seed: painted.append(seed) or real(masks, seed=seed))
    more = painted_vectors(cases, tiny(), root, tmp_path / "out" / "painted", silent)
    assert painted == [2]
    assert more[:2] == first
    with pytest.raises(StoreError, match="another model"):
        painted_vectors(cases, tiny(seed=1), root, tmp_path / "out" / "painted", silent)


def test_a_model_without_the_head_is_refused_before_anything_is_painted(tree, tmp_path):
    save_checkpoint(tmp_path / "headless.safetensors", tiny(head=False))
    asked = Asked(root=tree, checkpoint=str(tmp_path / "headless.safetensors"), out=tmp_path / "out", choices=Choices())
    with pytest.raises(CheckpointError, match="no head"):
        run_kits_painted("kits23", asked, silent)
    assert not (tmp_path / "out").exists()


def test_a_run_says_that_images_are_painted_and_asks_every_endpoint(tree, tmp_path, monkeypatch):
    # what is painted has tests of its own; here vectors are a few numbers
    monkeypatch.setattr(kits_painted, "paint_kidneys", lambda masks, *, seed: (masks, seed))
    monkeypatch.setattr(
        kits_painted,
        "network_vectors",
        lambda _model, masks, seed: {"crop": [float(seed)], "look": [float((masks.labels == 2).sum()), seed]},
    )
    save_checkpoint(tmp_path / "tiny.safetensors", tiny())
    asked = Asked(
        root=tree, checkpoint=str(tmp_path / "tiny.safetensors"), out=tmp_path / "out",
        choices=Choices(seeds=1, arms=("network, crop around it",)),
    )  # fmt: skip
    about, *made = run_kits_painted("kits23", asked, silent)
    assert "carry no biology" in about.notes[0]
    assert [len(table.rows) for table in made] == [2] * 5
    assert made[0].scores[0].value == 1.0
