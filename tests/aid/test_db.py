from contextlib import ExitStack

import pytest
from postgres_made import running_postgres
from sqlalchemy import text

from panlesion.aid.db import MOST_CONNECTIONS, open_engine

SERVER_THREADS = 40
"""Of starlette's pool; each may want a connection while as many more are held by requests that wait for a thread."""


@pytest.mark.parametrize(("database", "many"), [("sqlite", 3 * SERVER_THREADS), ("postgresql", 2 * SERVER_THREADS)])
def test_connections_do_not_run_out_before_the_threads_that_ask_for_them(tmp_path, database, many):
    with ExitStack() as held:
        url = f"sqlite:///{tmp_path / 'a.sqlite'}"
        if database == "postgresql":
            url = held.enter_context(running_postgres()).database()
        engine = open_engine(url)
        held.callback(engine.dispose)
        connections = [held.enter_context(engine.connect()) for _ in range(many)]
        assert all(connection.scalar(text("SELECT 1")) == 1 for connection in connections)
        assert many <= MOST_CONNECTIONS or database == "sqlite"
