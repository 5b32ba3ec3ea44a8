"""PASTA-AID: the reading room. A server, its workers and the page a radiologist reads with; needs the extra `aid`."""
