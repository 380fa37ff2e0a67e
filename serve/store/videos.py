"""Uploaded videos: whose they are, what was found out about them, and how they go.

Does: keep and find videos, forget them with everything about them.
Does not: look inside (the isolated probe does) or store bytes (media_folder).
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, insert, select

from mllm_affect.files import sha256_json
from mllm_affect.media.types import Source
from serve.store.database import MEDIA_LOCK, Database, now_s
from serve.store.media_folder import Incoming, MediaFolder
from serve.store.tables import analyses, events, segments, videos

UNFINISHED = ("queued", "running")


@dataclass(frozen=True)
class StoredVideo:
    """One video of one owner; `segments` counts the spans that it is cut into."""

    id: str
    owner: str
    source: Source
    segments: int
    created_s: float


class Videos:
    """The videos of the store."""

    def __init__(self, database: Database, media: MediaFolder) -> None:
        self._database, self._media = database, media

    def keep(
        self, owner: str, incoming: Incoming, source: Source, segment_count: int
    ) -> StoredVideo:
        """Keep an upload that has been probed; the same bytes of an owner give the same video."""
        video_id = video_id_of(owner, source.sha256)
        facts = {**asdict(replace(source, path=Path())), "path": ""}
        with self._database.writing() as connection:
            self._database.lock(connection, MEDIA_LOCK)
            self._media.keep(incoming, source.sha256)
            if _row(connection, video_id) is None:
                connection.execute(
                    insert(videos).values(
                        id=video_id, owner=owner, sha256=source.sha256, facts=json.dumps(facts),
                        segments=segment_count, created_s=now_s(),
                    )
                )  # fmt: skip
            return self._made(_row(connection, video_id))

    def get(self, owner: str, video_id: str) -> StoredVideo | None:
        """Return an owner's video, None where there is none."""
        with self._database.reading() as connection:
            row = _row(connection, video_id)
        return self._made(row) if row is not None and row.owner == owner else None

    def with_content(self, owner: str, sha256: str) -> StoredVideo | None:
        """Return an owner's video with these bytes."""
        return self.get(owner, video_id_of(owner, sha256))

    def erase(self, owner: str, video_id: str) -> bool:
        """Forget a video, its analyses and, if nobody else has it, its bytes."""
        with self._database.writing() as connection:
            self._database.lock(connection, MEDIA_LOCK)
            row = _row(connection, video_id)
            if row is None or row.owner != owner:
                return False
            about = select(analyses.c.id).where(analyses.c.video_id == video_id)
            for table in (segments, events):
                connection.execute(delete(table).where(table.c.analysis_id.in_(about)))
            connection.execute(delete(analyses).where(analyses.c.video_id == video_id))
            self._forget(connection, row)
        return True

    def expire(self, seconds: float) -> int:
        """Forget videos kept longer than this that no unfinished analysis needs; return how many.

        Results stay (see Analyses.expire).
        """
        needed = exists().where(
            and_(analyses.c.video_id == videos.c.id, analyses.c.status.in_(UNFINISHED))
        )
        old = select(videos).where(and_(videos.c.created_s < now_s() - seconds, ~needed))
        with self._database.writing() as connection:
            self._database.lock(connection, MEDIA_LOCK)
            rows = connection.execute(old).all()
            for row in rows:
                self._forget(connection, row)
        return len(rows)

    def sweep(self) -> int:
        """Remove files that no video owns, left by processes that were killed; return how many."""
        self._media.sweep_incoming()
        removed = 0
        with self._database.writing() as connection:
            self._database.lock(connection, MEDIA_LOCK)
            known = set(connection.execute(select(videos.c.sha256)).scalars())
            for sha256 in set(self._media.hashes()) - known:
                self._media.remove(sha256)
                removed += 1
        return removed

    def _forget(self, connection: Connection, row: Row[Any]) -> None:
        connection.execute(delete(videos).where(videos.c.id == row.id))
        others = select(videos.c.id).where(videos.c.sha256 == row.sha256).limit(1)
        if connection.execute(others).first() is None:
            self._media.remove(row.sha256)

    def _made(self, row: Row[Any] | None) -> StoredVideo:
        assert row is not None
        facts = json.loads(row.facts)
        source = Source.from_json(facts, self._media.path(row.sha256))
        return StoredVideo(row.id, row.owner, source, row.segments, row.created_s)


def video_id_of(owner: str, sha256: str) -> str:
    """Return the id of a video; it tells nothing about the same video of another owner."""
    return sha256_json({"owner": owner, "sha256": sha256})[:32]


def _row(connection: Connection, video_id: str) -> Row[Any] | None:
    return connection.execute(select(videos).where(videos.c.id == video_id)).first()
