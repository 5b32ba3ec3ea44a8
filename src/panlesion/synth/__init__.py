"""Spec + host → case → dataset folder."""
