"""Operations name their plan; artifacts keep what their duration depends on, runs what their artifact will say.

Leases name the process of their holder.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operations", sa.Column("plan", sa.String(64), nullable=False, server_default=sa.text("''")))
    op.add_column("artifacts", sa.Column("measures", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("runs", sa.Column("filing", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("leases", sa.Column("process", sa.JSON, nullable=False, server_default="{}"))
