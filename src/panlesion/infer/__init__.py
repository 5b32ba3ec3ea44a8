"""A checkpoint and a CT make findings."""
