"""The answers about segments, as they were stored.

Does: read them page by page, in the order of time.  Does not: write (see queue, under a lease).
"""

from sqlalchemy import select

from mllm_affect.scoring.answers import SegmentAnswer
from serve.store.database import Database
from serve.store.tables import segments


class Results:
    """The segment results of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, analysis_id: str, start: int, limit: int) -> list[SegmentAnswer]:
        """Return at most `limit` answers from index `start` on."""
        wanted = (
            select(segments.c.answer)
            .where(segments.c.analysis_id == analysis_id, segments.c.place >= start)
            .order_by(segments.c.place)
            .limit(limit)
        )
        with self._database.reading() as connection:
            texts = connection.execute(wanted).scalars().all()
        return [SegmentAnswer.model_validate_json(text) for text in texts]

    def all(self, analysis_id: str) -> list[SegmentAnswer]:
        """Return every answer there is."""
        wanted = (
            select(segments.c.answer)
            .where(segments.c.analysis_id == analysis_id)
            .order_by(segments.c.place)
        )
        with self._database.reading() as connection:
            texts = connection.execute(wanted).scalars().all()
        return [SegmentAnswer.model_validate_json(text) for text in texts]
