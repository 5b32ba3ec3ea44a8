"""panlesion: lesions synthesised in healthy CT, a 3D network pretrained on them, and a reading room around it."""

__version__ = "0.1.0"
