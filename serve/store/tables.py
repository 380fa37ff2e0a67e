"""The tables of the store.

Does: name columns and keys.  Does not: change a database (see migrations, which a test holds to
these tables).  Times are seconds since 1970 on the database's own clock.
"""

from sqlalchemy import (
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

videos = Table(
    "videos",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("facts", Text, nullable=False),  # the probed Source as JSON, without its path
    Column("segments", Integer, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("uploaded_s", Float, nullable=False, index=True),  # when its bytes came last
)

analyses = Table(
    "analyses",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("video_id", String(64), nullable=False, index=True),
    Column("idempotency_key", String(255)),
    Column("request_hash", String(64), nullable=False),
    Column("model", String(255), nullable=False),
    Column("task", Text, nullable=False),  # the task as it was when it was asked, as JSON
    Column("context", Text),  # what was asked and said, as JSON; null: unknown
    Column("status", String(16), nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("started_s", Float),
    Column("finished_s", Float, index=True),
    Column("not_before_s", Float, nullable=False),
    Column("lease", String(64)),  # who works on it now; a new name each time it is taken
    Column("beats", Integer, nullable=False),  # grows as long as its worker lives
    Column("lease_s", Float),  # so long its worker may be silent before another takes it
    Column("stalls", Integer, nullable=False),  # how often its worker went without any progress
    Column("error_code", String(64)),
    Column("error_detail", Text),
    Column("answer", Text),
    Column("webhook_url", Text),  # told when the analysis ends; null: nobody
    UniqueConstraint("owner", "idempotency_key"),
    Index(None, "status", "not_before_s", "created_s"),
)

segments = Table(
    "segments",
    metadata,
    Column("analysis_id", String(32), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("answer", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("analysis_id", String(32), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("data", Text, nullable=False),
    sqlite_autoincrement=True,
)

webhook_outbox = Table(
    "webhook_outbox",
    metadata,
    Column("id", String(64), primary_key=True),  # the delivery's id, the same for every try
    Column("analysis_id", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),  # the JSON that is sent, the same for every try
    Column("state", String(16), nullable=False),  # pending, delivered or failed
    Column("tries", Integer, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("next_try_s", Float),  # null: no further try
    Column("last_status", Integer),
    Column("last_error", String(64)),
    Column("lease", String(64)),  # who sends it now; a new name each time it is taken
    Column("lease_s", Float),
    UniqueConstraint("analysis_id"),
    Index(None, "state", "next_try_s"),
)
