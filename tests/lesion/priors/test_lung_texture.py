"""The three classes of nodules are ordered as their names say."""

from panlesion.lesion.priors.lung_texture import LUNG_TEXTURES
from panlesion.lesion.vocabulary import Feature


def test_solid_is_denser_than_part_solid_than_ground_glass() -> None:
    solid, part, glass = (LUNG_TEXTURES[f] for f in (Feature.SOLID, Feature.PART_SOLID, Feature.GROUND_GLASS))
    assert solid.core_hu > part.core_hu > glass.core_hu
    assert solid.edge_sigma_mm < part.edge_sigma_mm < glass.edge_sigma_mm
    assert part.inner_sd_hu > max(solid.inner_sd_hu, glass.inner_sd_hu)


def test_cores_lie_within_their_own_range() -> None:
    for texture in LUNG_TEXTURES.values():
        assert texture.core_range_hu[0] < texture.core_hu < texture.core_range_hu[1]
        assert texture.whole_hu < texture.core_hu
        assert texture.nodules > 0
