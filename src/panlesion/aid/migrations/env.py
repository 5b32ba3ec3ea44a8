"""Alembic's way in; the URL comes from `db.migrate`."""

from alembic import context

from panlesion.aid.db import open_engine
from panlesion.aid.tables import Base

engine = open_engine(context.config.attributes["url"])
with engine.begin() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    context.run_migrations()
engine.dispose()
