from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from server_made import serve

from panlesion.aid.db import open_engine
from panlesion.aid.tables import Base
from panlesion.aid.vocabulary import Role


def test_the_first_migration_makes_the_tables_that_the_code_knows(tmp_path):
    served = serve(tmp_path)
    with open_engine(served.settings.database).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_who_logs_in_is_known_until_they_log_out(tmp_path):
    served = serve(tmp_path)
    assert served.client().get("/api/session").status_code == 401
    client = served.client(Role.READER)
    assert client.get("/api/session").json()["user"]["role"] == "reader"
    assert client.post("/api/logout").status_code == 204
    assert client.get("/api/session").status_code == 401
