import numpy as np

from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source


def test_a_source_reads_one_case_at_a_time(tmp_path):
    read = []

    def open_case(case):
        read.append(case.id)
        grid = Grid(affine=np.eye(4), shape=(2, 2, 2))
        return LabelledCT(
            id=case.id,
            patient=case.patient,
            ct=Volume(hu=np.zeros((2, 2, 2), np.int16), grid=grid),
            label=LabelMap(labels=np.zeros((2, 2, 2), np.uint8), grid=grid),
        )

    cases = [FoundCase(id=name, patient=name, image=tmp_path / name) for name in ("a", "b", "c")]
    source = Source(
        id="x", title="x", classes=(), lesions=(), licence="-", get="-", layout="-", find=lambda _root: cases, read=open_case
    )
    stream = source.stream(tmp_path)
    assert next(stream).id == "a"
    assert read == ["a"]
    assert [case.id for case in stream] == ["b", "c"]
