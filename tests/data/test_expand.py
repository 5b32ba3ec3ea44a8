import pytest
from cases_made import make_case_in, make_host, write_delta_cohort

from panlesion.data.case import write_case
from panlesion.data.expand import expand_cohort
from panlesion.data.manifest import write_cohort, write_failures
from panlesion.errors import StoreError

RECIPE = {
    "version": "1",
    "hosts": "phantom",
    "types": ["liver_tumor"],
    "seed": 1,
    "spacing_mm": 1.0,
    "size_voxels": 0,
    "format": "delta",
}


@pytest.fixture
def cohort(tmp_path):
    root = tmp_path / "delta"
    write_delta_cohort(root)
    write_cohort(root, RECIPE)
    write_failures(root, [])
    return root


def test_every_case_is_restored_bit_for_bit_with_hosts_and_tables(cohort, tmp_path):
    assert expand_cohort(cohort, tmp_path / "full") == []
    for number in range(2):
        case, _ = make_case_in(*make_host(seed=number), host=f"h{number + 1}", seed=number)
        write_case(tmp_path / "expected", case)
        for file in (tmp_path / "expected").iterdir():
            restored = tmp_path / "full" / "Liver" / "Tumor" / f"liver_tumor_{number:05d}" / file.name
            assert restored.read_bytes() == file.read_bytes()
            file.unlink()
        (tmp_path / "expected").rmdir()
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == [
        "Liver", "README.md", "cohort.json", "failures.csv", "hosts", "manifest.csv",
    ]  # fmt: skip


def test_an_interrupted_expansion_goes_on(cohort, tmp_path):
    expand_cohort(cohort, tmp_path / "full")
    case = tmp_path / "full" / "Liver" / "Tumor" / "liver_tumor_00000"
    before = {file.name: file.read_bytes() for file in case.iterdir()}
    for file in case.iterdir():
        file.unlink()
    case.rmdir()
    steps = []
    assert expand_cohort(cohort, tmp_path / "full", progress=lambda done, all_: steps.append((done, all_))) == []
    assert {file.name: file.read_bytes() for file in case.iterdir()} == before
    assert steps == [(1, 2), (2, 2)]


def test_a_case_that_cannot_be_restored_is_listed_and_the_others_are_made(cohort, tmp_path):
    (cohort / "Liver" / "Tumor" / "liver_tumor_00000" / "delta.npz").write_bytes(b"damaged")
    ((name, cause),) = expand_cohort(cohort, tmp_path / "full")
    assert name == "liver_tumor_00000"
    assert "cannot be read" in cause
    assert (tmp_path / "full" / "Liver" / "Tumor" / "liver_tumor_00001" / "img.nii.gz").exists()


def test_only_a_delta_cohort_can_be_expanded_and_not_into_itself(cohort, tmp_path):
    with pytest.raises(StoreError, match="lies inside"):
        expand_cohort(cohort, cohort / "full")
    write_cohort(cohort, RECIPE | {"format": "full"})
    with pytest.raises(StoreError, match="stored as 'full'"):
        expand_cohort(cohort, tmp_path / "full")
