"""Readers of public datasets, one file each: where their files lie and what their labels mean."""
