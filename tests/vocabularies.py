"""Vocabularies for tests that talk to a stand-in for a model server."""

from functools import cache

from mllm_affect.engine.vocabulary import Vocabulary
from mllm_affect.model.miniature import embedded_checkpoint


@cache
def miniature_vocabulary() -> Vocabulary:
    """The embedded miniature's."""
    return Vocabulary.of_checkpoint(embedded_checkpoint())
