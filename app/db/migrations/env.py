"""How does Alembic reach the database? (Through the connection that app.db.migrate hands it.)"""

from alembic import context

from app.db import models

connection = context.config.attributes["connection"]
metadata = models.Player.metadata
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
