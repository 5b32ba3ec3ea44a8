"""What is normal: volumes that drawn organs must stay within, with their sources."""

from collections.abc import Mapping
from types import MappingProxyType

# Outer limits of adults without disease of the organ, ml, by v1 label or group of labels. Sources in docs/why/phantom.md.
NORMAL_VOLUMES_ML: Mapping[str, tuple[frozenset[int], float, float]] = MappingProxyType(
    {
        # Geraghty et al. 2004: 1710 ml in men, 1411 in women; the small tail is ours, by body surface.
        "liver": (frozenset({5}), 720.0, 2400.0),
        # Prassopoulos et al. 1997: mean 215 ml, 107 to 315; wider here for small and large bodies.
        "spleen": (frozenset({1}), 60.0, 414.0),
        # Geraghty et al. 2004 (CT): 156 ml in women, 193 in men; J Clin Med 2024;13:769 (MR): less above 60 years.
        "kidney_right": (frozenset({2}), 80.0, 285.0),
        "kidney_left": (frozenset({3}), 80.0, 285.0),
        # Fasting; ICRP 89 gives 58 and 48 ml of bile at most. The lower limit is ours.
        "gallbladder": (frozenset({4}), 8.0, 65.0),
        # Saisho et al. 2007: 72 (SD 26) ml; 19 to 140 in Abdom Radiol 2019;44:958.
        "pancreas": (frozenset({10}), 38.0, 140.0),
        # ICRP 89: 7 and 6.5 g for both; each to 9 ml as coarse voxels count it (ours).
        "adrenal_gland_right": (frozenset({11}), 1.5, 9.0),
        "adrenal_gland_left": (frozenset({12}), 1.5, 9.0),
        # As scanned, fasted or with water: ours.
        "stomach": (frozenset({6}), 80.0, 800.0),
        # ICRP 89: wall 650 and 600 g, contents 350 and 280 g, longer loops than CT shows filled; outer limits ours.
        "small_bowel": (frozenset({55}), 200.0, 1900.0),
        # ICRP 89: wall 370 and 360 g, contents 300 and 320 g, and gas; outer limits ours.
        "colon": (frozenset({57}), 250.0, 1700.0),
        # As scanned: from just emptied to comfortably full.
        "urinary_bladder": (frozenset({104}), 40.0, 550.0),
        # Both sides, from a shallow breath to full inspiration. ICRP 89: total capacity 6.98 and 4.97 l.
        "lungs": (frozenset(range(13, 18)), 2200.0, 8000.0),
        # Cavities and myocardium; ICRP 89: 840 and 620 g with blood; the labels
        # leave out the thin walls and septa, a quarter of that.
        "heart": (frozenset(range(44, 49)), 300.0, 900.0),
        # From radii of Rogers et al. 2013 over 45 to 55 cm.
        "aorta": (frozenset({7}), 100.0, 350.0),
        "inferior_vena_cava": (frozenset({8}), 45.0, 140.0),
        "esophagus": (frozenset({42}), 20.0, 60.0),
        "trachea": (frozenset({43}), 18.0, 60.0),
    }
)
