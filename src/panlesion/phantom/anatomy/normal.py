"""What is normal: volumes that drawn organs must stay within, with their sources."""

from collections.abc import Mapping
from types import MappingProxyType

# Outer limits of adults without disease of the organ, ml, by v1 label or group of labels. Sources in docs/why/phantom.md.
NORMAL_VOLUMES_ML: Mapping[str, tuple[frozenset[int], float, float]] = MappingProxyType(
    {
        # Geraghty et al. 2004: 1710 (SD 300) ml in men, 1411 (SD 265) in women; ± 2.3 SD.
        "liver": (frozenset({5}), 800.0, 2400.0),
        # Prassopoulos et al. 1997: 107 to 315 ml; Kaneko et al. 2002: 37 to 414 ml.
        "spleen": (frozenset({1}), 60.0, 414.0),
        # Cheong et al. 2007 (MR): 154 (SD 33) ml in women, 202 (SD 36) in men; Wang et al. 2014: less in the old.
        "kidney_right": (frozenset({2}), 80.0, 285.0),
        "kidney_left": (frozenset({3}), 80.0, 285.0),
        # Caroli-Bosc et al. 1998: fasting 8 to 65 ml.
        "gallbladder": (frozenset({4}), 8.0, 65.0),
        # Saisho et al. 2007: 72 (SD 26) ml, 40 to 140.
        "pancreas": (frozenset({10}), 38.0, 140.0),
        # Carsin-Vu et al. 2016: 2 to 7 ml each, to 9 with CT's blurring.
        "adrenal_gland_right": (frozenset({11}), 1.5, 9.0),
        "adrenal_gland_left": (frozenset({12}), 1.5, 9.0),
        # As scanned, fasted or with water: ours.
        "stomach": (frozenset({6}), 80.0, 800.0),
        # Schiller et al. 2005 (MR): small bowel fluid aside, loops 250 to 1600 ml; ours up to 1900 ml with contents.
        "small_bowel": (frozenset({55}), 200.0, 1900.0),
        # Pritchard et al. 2014 (MR): 760 (SD 350) ml ascending to descending; with sigmoid and rectum to 1700 ml.
        "colon": (frozenset({57}), 250.0, 1700.0),
        # As scanned: from just emptied to comfortably full.
        "urinary_bladder": (frozenset({104}), 40.0, 550.0),
        # In inspiration, both sides: Gierada et al. 2001, CT total lung capacity 3.5 to 8 l, less in shallow breath.
        "lungs": (frozenset(range(13, 18)), 2200.0, 8000.0),
        # Cavities and myocardium; ICRP 89: 620 and 840 g with blood; Sarma et al. 2015: 400 to 1000 ml.
        "heart": (frozenset(range(44, 49)), 330.0, 1000.0),
        # From radii of Rogers et al. 2013 over 45 to 55 cm.
        "aorta": (frozenset({7}), 100.0, 350.0),
        "inferior_vena_cava": (frozenset({8}), 45.0, 140.0),
        "esophagus": (frozenset({42}), 20.0, 60.0),
        "trachea": (frozenset({43}), 18.0, 60.0),
    }
)
