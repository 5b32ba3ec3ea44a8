"""Numbers from voxels."""
