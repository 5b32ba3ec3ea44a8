from panlesion.data.card import write_card

RECIPE = {
    "version": "1.2.3",
    "hosts": "phantom",
    "types": ["liver_tumor", "kidney_stone"],
    "seed": 7,
    "spacing_mm": 1.0,
    "size_voxels": 280,
    "format": "full",
}
ROWS = [{"type": "liver_tumor", "host": "h1"}, {"type": "liver_tumor", "host": "h2"}]


def test_the_card_tells_version_seed_counts_and_licence(tmp_path):
    write_card(tmp_path, RECIPE, ROWS)
    text = (tmp_path / "README.md").read_text()
    for part in (
        "1.2.3",
        "seed: 7",
        "hosts: 2",
        "280×280×280",
        "| liver_tumor | Liver/Tumor | 2 |",
        "licence of the host CTs applies",
    ):
        assert part in text, part
    assert "| kidney_stone | Kidney/Stone | 0 |" in text
    assert "img.nii.gz" in text


def test_the_card_of_a_delta_cohort_says_how_to_expand_it(tmp_path):
    write_card(tmp_path, RECIPE | {"format": "delta", "size_voxels": 0}, ROWS)
    text = (tmp_path / "README.md").read_text()
    assert "panlesion data expand" in text
    assert "delta.npz" in text
    assert "whole field of view" in text
