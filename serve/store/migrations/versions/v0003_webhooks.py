"""Completion webhooks: where an analysis reports its end, and the deliveries to send."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add a column and a table; nothing that is there changes."""
    op.add_column("analyses", sa.Column("webhook_url", sa.Text, nullable=True))
    op.create_table(
        "webhook_outbox",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("analysis_id", sa.String(32), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_s", sa.Float, nullable=False),
        sa.Column("next_try_s", sa.Float, nullable=True),
        sa.Column("last_status", sa.Integer, nullable=True),
        sa.Column("last_error", sa.String(64), nullable=True),
        sa.Column("lease", sa.String(64), nullable=True),
        sa.Column("lease_s", sa.Float, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_outbox"),
        sa.UniqueConstraint("analysis_id", name="uq_webhook_outbox_analysis_id"),
    )
    op.create_index("ix_webhook_outbox_state_next_try_s", "webhook_outbox", ["state", "next_try_s"])
