import numpy as np
import pytest
from hosts_made import write_hosts

from panlesion.ct.nifti import read_labels, read_volume, write_labels
from panlesion.ct.organ_files import OrganNumbering
from panlesion.ct.volume import LabelMap, standard_grid
from panlesion.errors import PanlesionError, ReadError
from panlesion.synth.hosts import find_hosts, kept_host, organ_volumes_ml, prepare_host

V2 = OrganNumbering.V2


def test_every_subfolder_is_a_host_sorted_by_name(tmp_path):
    write_hosts(tmp_path, count=2)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    found, failures = find_hosts(tmp_path, V2)
    assert [host.id for host in found] == ["h0", "h1"]
    assert failures == []


def test_a_folder_with_a_ct_is_one_host_itself(tmp_path):
    write_hosts(tmp_path, count=1)
    found, _ = find_hosts(tmp_path / "h0", V2)
    assert [host.id for host in found] == ["h0"]


def test_dicom_folders_and_mask_folders_are_taken(tmp_path):
    (tmp_path / "p1" / "ct").mkdir(parents=True)
    (tmp_path / "p1" / "ct" / "IM0001").write_bytes(b"12345")
    (tmp_path / "p1" / "organs").mkdir()
    ((host,), _) = find_hosts(tmp_path, V2)
    assert (host.ct.name, host.organs.name) == ("ct", "organs")
    assert host.source["ct"] == {"ct/ (1 files)": 5}


def test_incomplete_hosts_are_listed_with_what_they_lack(tmp_path):
    write_hosts(tmp_path, count=2)
    (tmp_path / "h0" / "organs.nii.gz").unlink()
    found, failures = find_hosts(tmp_path, V2)
    assert [host.id for host in found] == ["h1"]
    assert [failure.id for failure in failures] == ["h0"]
    assert "organs.nii.gz" in failures[0].cause


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_without_hosts_is_an_error(tmp_path, make):
    if make:
        (tmp_path / "hosts" / "empty").mkdir(parents=True)
    with pytest.raises(ReadError, match="hosts"):
        find_hosts(tmp_path / "hosts", V2)


def test_a_prepared_host_is_standardised_in_v1_numbering_with_its_facts(tmp_path):
    write_hosts(tmp_path / "in", count=1)
    ((source,), _) = find_hosts(tmp_path / "in", V2)
    assert kept_host(source, tmp_path / "out") is None
    card = prepare_host(source, out=tmp_path / "out", spacing_mm=2.0)
    assert kept_host(source, tmp_path / "out") == card
    ct = read_volume(tmp_path / "out" / "hosts" / "h0" / "ct.nii.gz")
    organs = read_labels(tmp_path / "out" / "hosts" / "h0" / "organs.nii.gz")
    assert ct.grid.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    assert ct.grid.axes == "LPS"
    assert ct.grid.shape == organs.grid.shape == card.shape
    assert 7 in np.unique(organs.labels)  # the aorta is 52 in v2 and 7 in v1
    assert card.volumes_ml == organ_volumes_ml(organs)
    assert card.volumes_ml[5] == pytest.approx(24 * 32 * 26 * 0.027, rel=0.05)


def test_a_broken_host_is_named(tmp_path):
    write_hosts(tmp_path / "in", count=1)
    (tmp_path / "in" / "h0" / "ct.nii.gz").write_bytes(b"no nifti")
    ((source,), _) = find_hosts(tmp_path / "in", V2)
    with pytest.raises(ReadError, match=r"^h0: "):
        prepare_host(source, out=tmp_path / "out", spacing_mm=2.0)
    assert not (tmp_path / "out" / "hosts" / "h0").exists()


def test_an_organ_map_of_another_ct_is_refused(tmp_path):
    write_hosts(tmp_path / "in", count=1)
    grid = standard_grid((10, 10, 10), 3.0)
    write_labels(tmp_path / "in" / "h0" / "organs.nii.gz", LabelMap(labels=np.ones((10, 10, 10), np.uint8), grid=grid))
    ((source,), _) = find_hosts(tmp_path / "in", V2)
    with pytest.raises(PanlesionError, match=r"^h0: "):
        prepare_host(source, out=tmp_path / "out", spacing_mm=2.0)


def test_volumes_count_every_label_but_the_background():
    labels = np.zeros((10, 10, 10), dtype=np.uint8)
    labels[:5], labels[9] = 5, 104
    volumes = organ_volumes_ml(LabelMap(labels=labels, grid=standard_grid((10, 10, 10), 2.0)))
    assert volumes == {5: 4.0, 104: 0.8}
