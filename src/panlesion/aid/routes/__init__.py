"""Routes, one file per topic, listed in `registry.py`."""
