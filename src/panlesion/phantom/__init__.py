"""A drawn human torso with its organ map."""
