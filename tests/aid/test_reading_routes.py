from signed_made import read_study

from panlesion.measure.size import measure_size


def test_a_reader_decides_paints_and_sees_it_measured(tmp_path):
    read = read_study(tmp_path)
    first = read.get()
    assert first["state"] == "ready" and first["version"] == 1
    assert [one["decision"] for one in first["findings"]] == ["open"] * 3
    answer = read.change({"op": "decide", "number": 1, "decision": "accepted"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "draft" and answer.json()["version"] == 2
    labels = read.mask().copy()
    labels[8:15, 4:12, 2] = 1
    painted = read.paint(labels[:, :, 2:3], 2)
    assert painted.status_code == 200, painted.text
    (one,) = (one for one in painted.json()["findings"] if one["number"] == 1)
    size = measure_size(labels == 1, read.ct.volume.grid)
    assert one["size"]["volume_ml"] == size.volume_ml and one["mask_edited"]
    assert one["size"]["long"]["length_mm"] == size.axial_long.length_mm
    hu = read.ct.volume.hu[labels == 1]
    assert abs(one["size"]["mean_hu"] - hu.mean(dtype=float)) < 1e-9
    assert (read.mask() == labels).all()
    assert (read.mask(original=True) != labels).any()
