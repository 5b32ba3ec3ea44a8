"""Alembic's way in; the URL comes from `db.migrate`."""

from alembic import context

from panlesion.aid.db import open_engine
from panlesion.aid.tables import Base

engine = open_engine(context.config.attributes["url"])
with engine.begin() as connection:
    if connection.dialect.name == "sqlite":
        # or each statement would be a transaction of its own, and a kill leave half of the tables
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    context.run_migrations()
engine.dispose()
