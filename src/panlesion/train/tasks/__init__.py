"""One file per thing a network is trained for."""
