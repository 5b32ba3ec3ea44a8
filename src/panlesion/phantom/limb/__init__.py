"""Limbs: thigh, knee, calf, arm, forearm, buttock and back, drawn apart from the torso."""
