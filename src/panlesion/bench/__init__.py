"""The table of tasks, run and reported: every number with its n, its interval and the trivial baseline beside it."""
