"""What a lesion is; no voxels."""
