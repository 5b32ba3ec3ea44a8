import numpy as np
import pytest
from sources_made import relabel, tiny

from panlesion.ct.modality import Modality
from panlesion.ct.standardise import standardise_labels
from panlesion.data.sources.sts import STS, STS_MR, read_sts
from panlesion.data.standins.nifti import write_sts
from panlesion.errors import ReadError, StoreError


def test_ct_and_mr_are_two_sources_of_one_folder(tmp_path):
    write_sts(tmp_path, tiny(STS.classes))
    write_sts(tmp_path, tiny(STS.classes, modality=Modality.MR), stem="mr_t1")
    ct, mr = STS.find(tmp_path), STS_MR.find(tmp_path)
    assert [case.patient for case in ct] == [case.patient for case in mr] == ["STS_001", "STS_002"]
    assert {case.modality for case in ct} == {Modality.CT}
    assert {case.modality for case in mr} == {Modality.MR}


def test_the_standard_frame_is_what_standardising_the_source_gives(tmp_path):
    write_sts(tmp_path, tiny(STS.classes))
    for standard, own in zip(read_sts(tmp_path, spacing_mm=4.0), STS.stream(tmp_path), strict=True):
        assert standard.id == own.id
        np.testing.assert_array_equal(standard.label.labels, standardise_labels(own.label, 4.0).labels)


def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(tmp_path):
    with pytest.raises(StoreError, match=r"holds no STS_\*; there is nothing\. It should look like: STS_001/ct.nii.gz"):
        STS.find(tmp_path)
    write_sts(tmp_path, tiny(STS.classes))
    with pytest.raises(StoreError, match=r"STS_001, STS_002 lack mr_t1.nii.gz"):
        STS_MR.find(tmp_path)
    (tmp_path / "STS_002" / "ct_gtv.nii.gz").unlink()
    with pytest.raises(StoreError, match=r"STS_002 lack ct_gtv.nii.gz"):
        STS.find(tmp_path)


def test_an_unknown_value_is_refused(tmp_path):
    write_sts(tmp_path, tiny(STS.classes))
    relabel(tmp_path / "STS_001" / "ct_gtv.nii.gz", 2)
    with pytest.raises(ReadError, match=r"STS_001: .*label value 2; this set has 0 background, 1 sarcoma"):
        next(STS.stream(tmp_path))


@pytest.mark.realdata
@pytest.mark.parametrize("source", [STS, STS_MR], ids=lambda source: source.id)
def test_the_real_patients_all_have_a_tumour(shared_data, source):
    tumours = [int(np.count_nonzero(case.label.labels)) for case in source.stream(shared_data / "sts")]
    assert len(tumours) == 26
    assert min(tumours) > 0
