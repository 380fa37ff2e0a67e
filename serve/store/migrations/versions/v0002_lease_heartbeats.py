"""Leases without a time of day; when a video was uploaded last."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change the tables; whatever is worked on now is taken over once its worker is silent."""
    with op.batch_alter_table("videos") as videos:
        videos.add_column(sa.Column("uploaded_s", sa.Float, nullable=True))
    op.execute("UPDATE videos SET uploaded_s = created_s")
    with op.batch_alter_table("videos") as videos:
        videos.alter_column("uploaded_s", existing_type=sa.Float, nullable=False)
        videos.create_index("ix_videos_uploaded_s", ["uploaded_s"])
        videos.drop_index("ix_videos_created_s")
    with op.batch_alter_table("analyses") as analyses:
        analyses.add_column(sa.Column("beats", sa.Integer, nullable=False, server_default="0"))
        analyses.add_column(sa.Column("lease_s", sa.Float, nullable=True))
        analyses.drop_column("lease_until_s")
    with op.batch_alter_table("analyses") as analyses:
        analyses.alter_column("beats", existing_type=sa.Integer, server_default=None)
    op.execute("UPDATE analyses SET lease_s = 15 WHERE status = 'running'")
