import json

import numpy as np
import pytest
from bench_sources_made import Tracked, made_source
from labelled_made import write_nnunet, write_pairs

from panlesion.bench.case_readers import NOT_ANNOTATED, CaseReader, OwnReader, SourceReader
from panlesion.bench.case_store import LeftOut
from panlesion.errors import StoreError


def test_only_the_classes_that_count_are_the_lesion(tmp_path):
    tumour, organ = (
        next(SourceReader(source=made_source(), keep=keep)(tmp_path, spacing_mm=3.0))
        for keep in (("tumor",), ("organ", "tumor"))
    )
    assert set(np.unique(tumour.label.labels)) == {0, 1}
    assert np.count_nonzero(tumour.label.labels) == 5 * 5 * 5
    assert np.count_nonzero(organ.label.labels) > np.count_nonzero(tumour.label.labels)


def test_cases_are_known_by_name_and_skipped_unread(tmp_path):
    tracked = Tracked()
    reader = SourceReader(source=made_source(4, tracked=tracked), keep=("tumor",))
    assert isinstance(reader, CaseReader)
    assert reader.ids(tmp_path) == ("case_0000", "case_0001", "case_0002", "case_0003")
    rest = list(reader.without({"case_0000", "case_0002"})(tmp_path, spacing_mm=3.0))
    assert [case.id for case in rest] == ["case_0001", "case_0003"] == tracked.read


def test_a_case_nobody_annotated_is_left_out(tmp_path):
    found = list(SourceReader(source=made_source(2, unlabelled={0}), keep=("tumor",))(tmp_path, spacing_mm=3.0))
    assert isinstance(found[0], LeftOut)
    assert (found[0].id, found[0].why) == ("case_0000", NOT_ANNOTATED)


@pytest.mark.parametrize("keep", [(), ("cyst",)])
def test_classes_the_source_lacks_are_refused(keep):
    with pytest.raises(ValueError, match="must name classes of made: organ, tumor"):
        SourceReader(source=made_source(), keep=keep)


def test_a_source_without_cases_says_how_they_lie(tmp_path):
    with pytest.raises(StoreError, match="holds no case of made; lay it out as made/"):
        SourceReader(source=made_source(0), keep=("tumor",)).ids(tmp_path)


def test_an_own_folder_without_names_counts_every_value(tmp_path):
    reader = OwnReader(lesion="gallstone")
    case = next(reader(write_pairs(tmp_path, 2), spacing_mm=2.0))
    assert set(np.unique(case.label.labels)) == {0, 1}
    assert reader.ids(tmp_path) == ("case_0", "case_1")
    assert [one.id for one in reader.without({"case_0"})(tmp_path, spacing_mm=2.0)] == ["case_1"]


def test_an_own_folder_with_names_counts_the_one_that_is_asked_for(tmp_path):
    write_nnunet(tmp_path, 1, labels={"background": 0, "gallstone": 1, "airy": 3})
    both = next(OwnReader(lesion="gallstone")(tmp_path, spacing_mm=2.0))
    airy = next(OwnReader(lesion="airy")(tmp_path, spacing_mm=2.0))
    assert not np.array_equal(both.label.labels, airy.label.labels)
    with pytest.raises(StoreError, match=r"names 1 gallstone, 3 airy, but no kidney_stone"):
        next(OwnReader(lesion="kidney_stone")(tmp_path, spacing_mm=2.0))


def test_an_own_folder_that_is_broken_or_half_annotated_is_refused(tmp_path):
    write_pairs(tmp_path / "a", 2)
    (tmp_path / "a" / "labels" / "case_1.nii.gz").unlink()
    with pytest.raises(StoreError, match="case_1"):
        OwnReader(lesion="gallstone").ids(tmp_path / "a")
    write_nnunet(tmp_path / "b", 1, labels={"background": 0, "gallstone": 1, "ignore": 3})
    with pytest.raises(StoreError, match="nobody annotated"):
        OwnReader(lesion="gallstone").ids(tmp_path / "b")
    assert json.loads((tmp_path / "b" / "dataset.json").read_text())["labels"]["ignore"] == 3
    with pytest.raises(StoreError, match="is no folder"):
        OwnReader(lesion="gallstone").ids(tmp_path / "c")
