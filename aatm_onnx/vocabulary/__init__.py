"""A vocabulary that finds candidates: indexed once, searched from files, without a server."""

from .concept import Concept, Filters, Match, Synonym
from .damage import Damage
from .index import Vocabulary, build_vocabulary
from .retriever import VocabularyRetriever
from .sources import read_sources
from .tables import Columns

__all__ = [
    "Columns",
    "Concept",
    "Damage",
    "Filters",
    "Match",
    "Synonym",
    "Vocabulary",
    "VocabularyRetriever",
    "build_vocabulary",
    "read_sources",
]
