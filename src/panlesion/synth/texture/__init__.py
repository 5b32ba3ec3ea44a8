"""What a lesion looks like inside: its matter in HU and its share of the host's noise."""
