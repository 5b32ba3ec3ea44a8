"""The Orthanc of the tests is one: what goes in comes out."""

from dicom_made import complete
from dicom_making import SLICES, write_series
from orthanc_made import running_orthanc


def test_what_is_uploaded_is_listed_and_fetched_whole(tmp_path):
    write_series(tmp_path / "ct", change=lambda _, ds: complete(ds))
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        orthanc.upload_folder(tmp_path / "ct")
        (study,) = orthanc.study_uids()
        found = orthanc.instances(study)
        assert len(found) == SLICES
        kept = {orthanc.fetch(uid) for uid in found}
        assert kept == {path.read_bytes() for path in (tmp_path / "ct").iterdir()}
        orthanc.clear()
        assert orthanc.study_uids() == []
