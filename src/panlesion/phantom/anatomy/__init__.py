"""The anatomy of the drawn torso: one file per region or system."""
