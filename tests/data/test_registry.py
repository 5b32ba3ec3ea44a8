import gc
import re
import tracemalloc
import weakref

import pytest
from sources_made import tiny

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.data.sources.registry import SOURCES, source_of
from panlesion.data.standins.nifti import write_nnunet
from panlesion.errors import StoreError

MANY = 1000


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_source_says_what_a_reader_of_the_list_needs(name):
    source = SOURCES[name]
    assert source.id == name
    assert set(source.lesions) <= set(source.classes)
    assert len(set(source.classes)) == len(source.classes)  # a set without masks has none
    assert all((source.title, source.licence, source.get, source.layout))


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_wrong_folder_is_refused_with_what_it_should_look_like(tmp_path, name):
    (tmp_path / "holiday.jpg").touch()
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreError) as caught:
            SOURCES[name].find(root)
        message = str(caught.value)
        assert str(root) in message
        assert any(part in message for part in re.split(r"[/\s]+", SOURCES[name].layout) if len(part) > 3)


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        SOURCES["x"] = SOURCES["sts"]


def test_a_source_is_found_by_its_id_and_a_folder_of_nnunet_by_itself(tmp_path):
    assert source_of("sts", tmp_path) is SOURCES["sts"]
    write_nnunet(tmp_path, tiny(("liver",), 1), classes=("liver",))
    assert source_of("nnunet", tmp_path).classes == ("liver",)
    with pytest.raises(ValueError, match=r"no source is called 'kits19'; there are msd_lung, .*nnunet"):
        source_of("kits19", tmp_path)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """KiTS23 with so many cases, all the same two files."""
    import json

    root = tmp_path_factory.mktemp("many")
    (drawn,) = tiny(SOURCES["kits23"].classes, 1)
    write_volume(root / "imaging.nii.gz", drawn.ct)
    write_labels(root / "segmentation.nii.gz", drawn.label)
    for number in range(MANY):
        folder = root / "dataset" / f"case_{number:05d}"
        folder.mkdir(parents=True)
        for file in ("imaging.nii.gz", "segmentation.nii.gz"):
            (folder / file).symlink_to(root / file)
    rows = [{"case_id": f"case_{number:05d}"} for number in range(MANY)]
    (root / "dataset" / "kits23.json").write_text(json.dumps(rows))
    return root


def test_a_thousand_cases_never_sit_in_memory(many):
    alive, seen, most = [], 0, 0
    for case in SOURCES["kits23"].stream(many):
        alive = [ref for ref in alive if ref() is not None] + [
            weakref.ref(case.ct.hu.base),
            weakref.ref(case.label.labels.base),
        ]
        seen, most = seen + 1, max(most, len(alive))
    del case
    gc.collect()
    assert seen == MANY
    assert most <= 4  # this case's arrays and, while they are replaced, the last one's
    assert not [ref for ref in alive if ref() is not None]


def test_memory_does_not_grow_with_the_cases_read(many):
    stream = SOURCES["kits23"].stream(many)
    next(stream)
    tracemalloc.start()
    try:
        peaks = []
        for _ in range(3):
            tracemalloc.reset_peak()
            for _, _case in zip(range(20), stream, strict=False):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert max(peaks) < 1.2 * min(peaks)
