"""Where in an organ a point lies, in the closed words of a report: lobe, segment, third, pole, wall, level, bone.

The rules need only the organ map, so they hold for real and drawn anatomy alike. Each is an approximation by landmarks and
says so, with its source, in the file of its organ.
"""

from panlesion.measure.location.atlas import Atlas

__all__ = ["Atlas"]
