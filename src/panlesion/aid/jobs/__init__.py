"""Work that outlives a request: a queue in the database, and the processes that work through it."""
