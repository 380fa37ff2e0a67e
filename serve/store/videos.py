"""Uploaded videos: whose they are, what was found out about them, and how they go.

Does: keep and find videos, forget them with everything about them.
Does not: look inside (the isolated probe does) or store bytes (media_folder).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from mllm_affect.files import sha256_json
from mllm_affect.media.types import Source
from serve.store.database import MEDIA_LOCK, Database, now_s
from serve.store.media_folder import Incoming, MediaFolder
from serve.store.tables import analyses, events, segments, videos, webhook_outbox

UNFINISHED = ("queued", "running")
CLOCK_SLACK_S = 60.0
MOST_AT_ONCE = 500


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
            if not _uploaded_again(connection, video_id):
                connection.execute(
                    insert(videos).values(
                        id=video_id, owner=owner, sha256=source.sha256, facts=json.dumps(facts),
                        segments=segment_count, created_s=now_s(), uploaded_s=now_s(),
                    )
                )  # fmt: skip
            return self._made(_row(connection, video_id))

    def get(self, owner: str, video_id: str) -> StoredVideo | None:
        """Return an owner's video, None where there is none."""
        with self._database.reading() as connection:
            row = _row(connection, video_id)
        return self._made(row) if row is not None and row.owner == owner else None

    def uploaded_again(self, owner: str, sha256: str) -> StoredVideo | None:
        """Return an owner's video with these bytes, None where it is not here as a whole.

        It is kept for as long as if it had been uploaded now.
        """
        video_id = video_id_of(owner, sha256)
        with self._database.writing() as connection:
            self._database.lock(connection, MEDIA_LOCK)
            if not self._media.path(sha256).is_file():
                return None
            if not _uploaded_again(connection, video_id):
                return None
            return self._made(_row(connection, video_id))

    def erase(self, owner: str, video_id: str) -> bool:
        """Forget a video, its analyses and, if nobody else has it, its bytes."""
        with self._database.writing() as connection:
            self._database.lock(connection, MEDIA_LOCK)
            # Whoever asks for an analysis now waits, and finds no video (see Analyses.ask).
            row = _row(connection, video_id, change=True)
            if row is None or row.owner != owner:
                return False
            about = select(analyses.c.id).where(analyses.c.video_id == video_id)
            gone = connection.execute(about.with_for_update()).scalars().all()
            forget_analyses(connection, gone)
            self._forget(connection, row)
        return True

    def expire(self, seconds: float) -> int:
        """Forget videos uploaded longer ago that no unfinished analysis needs; return how many.

        Results stay (see Analyses.expire).  A time to come, of a clock that was set back since,
        counts as now.
        """
        ahead = videos.c.uploaded_s > now_s() + CLOCK_SLACK_S
        old = select(videos.c.id).where(videos.c.uploaded_s < now_s() - seconds)
        with self._database.writing() as connection:
            connection.execute(update(videos).where(ahead).values(uploaded_s=now_s()))
            found = connection.execute(old).scalars().all()
        return sum(self._expire(video_id, seconds) for video_id in found)

    def _expire(self, video_id: str, seconds: float) -> bool:
        needed = select(analyses.c.id).where(
            and_(analyses.c.video_id == video_id, analyses.c.status.in_(UNFINISHED))
        )
        still = select(videos).where(
            and_(videos.c.id == video_id, videos.c.uploaded_s < now_s() - seconds)
        )
        with self._database.writing() as connection:
            self._database.lock(connection, MEDIA_LOCK)
            row = connection.execute(still.with_for_update()).first()
            # Looked for after the row was locked: nobody can ask about it any more.
            if row is None or connection.execute(needed.limit(1)).first() is not None:
                return False
            self._forget(connection, row)
        return True

    def remove_unowned(self, sha256: str) -> None:
        """Remove what is here of a video that nobody has any more."""
        with self._database.writing() as connection:
            self._database.lock(connection, MEDIA_LOCK)
            self._remove_unowned(connection, sha256)

    def sweep(self) -> int:
        """Remove files that no video owns, left by processes that were killed; return how many."""
        self._media.sweep_incoming()
        self._media.sweep_clips()
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
        self._remove_unowned(connection, row.sha256)

    def _remove_unowned(self, connection: Connection, sha256: str) -> None:
        owned = select(videos.c.id).where(videos.c.sha256 == sha256).limit(1)
        if connection.execute(owned).first() is None:
            self._media.remove(sha256)

    def _made(self, row: Row[Any] | None) -> StoredVideo:
        assert row is not None
        facts = json.loads(row.facts)
        source = Source.from_json(facts, self._media.path(row.sha256))
        return StoredVideo(row.id, row.owner, source, row.segments, row.created_s)


def video_id_of(owner: str, sha256: str) -> str:
    """Return the id of a video; it tells nothing about the same video of another owner."""
    return sha256_json({"owner": owner, "sha256": sha256})[:32]


def forget_analyses(connection: Connection, ids: Sequence[str]) -> None:
    """Delete analyses and everything about them.

    The analyses go first: whoever writes a segment or an event holds the row of its analysis, so
    that none can come after them.
    """
    for start in range(0, len(ids), MOST_AT_ONCE):
        some = ids[start : start + MOST_AT_ONCE]
        connection.execute(delete(analyses).where(analyses.c.id.in_(some)))
        for table in (segments, events, webhook_outbox):
            connection.execute(delete(table).where(table.c.analysis_id.in_(some)))


def _uploaded_again(connection: Connection, video_id: str) -> bool:
    """Begin a video's time anew; return whether there is one."""
    changed = connection.execute(
        update(videos).where(videos.c.id == video_id).values(uploaded_s=now_s())
    )
    return bool(changed.rowcount)


def _row(connection: Connection, video_id: str, change: bool = False) -> Row[Any] | None:
    wanted = select(videos).where(videos.c.id == video_id)
    return connection.execute(wanted.with_for_update() if change else wanted).first()
