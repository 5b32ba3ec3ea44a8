"""Whole runs as functions, smallest first: where synthesis and training meet."""
