"""Ways to find the 50 names most similar to a query: this package's index, SQLite's FTS5, tantivy."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aatm_onnx.vocabulary import Concept, Vocabulary, build_vocabulary
from aatm_onnx.vocabulary.grams import fold

FOUND = 50
Search = Callable[[str], list[int]]  # places of at most FOUND names, best first


class Ours:
    """The vocabulary's own index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "vocabulary"

    def build(self, names: Sequence[str]) -> None:
        build_vocabulary((Concept(str(i), name) for i, name in enumerate(names)), self.folder)

    def opened(self) -> Search:
        vocabulary = Vocabulary(self.folder)
        return lambda query: [int(match.concept.id) for match in vocabulary.search(query, FOUND)]


class Sqlite:
    """FTS5: any of the query's rarest terms, ordered by BM25."""

    tokenizer, terms = "unicode61 remove_diacritics 2", 4

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fts.db"

    def split(self, query: str) -> list[str]:
        return fold(query).split()

    def build(self, names: Sequence[str]) -> None:
        with sqlite3.connect(self.path) as database:
            database.execute(f"CREATE VIRTUAL TABLE t USING fts5(name, tokenize='{self.tokenizer}')")
            database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, 'row')")
            database.executemany("INSERT INTO t(rowid, name) VALUES (?, ?)", enumerate(map(fold, names)))
            database.execute("INSERT INTO t(t) VALUES ('optimize')")

    def opened(self) -> Search:
        database = sqlite3.connect(self.path)

        def search(query: str) -> list[int]:
            terms = sorted(set(self.split(query)))
            marks = ",".join("?" * len(terms))
            rows = database.execute(f"SELECT term, doc FROM v WHERE term IN ({marks}) ORDER BY doc", terms)
            rare = [term for term, _ in rows][: self.terms]
            if not rare:
                return []
            match = " OR ".join(f'"{term}"' for term in rare)
            found = database.execute("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT ?", (match, FOUND))
            return [row for (row,) in found]

        return search


class SqliteTrigrams(Sqlite):
    """The same by trigrams."""

    tokenizer, terms = "trigram", 8

    def split(self, query: str) -> list[str]:
        folded = fold(query)
        return [folded[i : i + 3] for i in range(len(folded) - 2)]


class SqliteAllTrigrams(SqliteTrigrams):
    """By any trigram."""

    terms = 1000


class Tantivy:
    """Tantivy: words, or n-grams of 3 and 4 characters, any of them, ordered by BM25."""

    def __init__(self, folder: Path, grams: bool = False) -> None:
        self.path, self.grams = folder / "tantivy", grams

    def index(self) -> Any:
        import tantivy as t

        schema = t.SchemaBuilder()
        schema.add_text_field("name", tokenizer_name="grams", index_option="freq")
        schema.add_integer_field("row", stored=True)
        built = t.Index(schema.build(), str(self.path))
        tokenizer = t.Tokenizer.ngram(3, 4, False) if self.grams else t.Tokenizer.simple()
        built.register_tokenizer("grams", t.TextAnalyzerBuilder(tokenizer).filter(t.Filter.lowercase()).build())
        return built

    def build(self, names: Sequence[str]) -> None:
        import tantivy as t

        self.path.mkdir()
        writer = self.index().writer(heap_size=200_000_000, num_threads=1)
        for row, name in enumerate(names):
            writer.add_document(t.Document(name=[f" {fold(name)} "], row=[row]))
        writer.commit()
        writer.wait_merging_threads()

    def opened(self) -> Search:
        import tantivy as t

        index = self.index()
        searcher = index.searcher()

        def search(query: str) -> list[int]:
            text = f" {fold(query)} "
            parts = {text[i : i + n] for n in (3, 4) for i in range(len(text) - n + 1)} if self.grams else text.split()
            terms = [(t.Occur.Should, t.Query.term_query(index.schema, "name", part)) for part in sorted(parts)]
            hits = searcher.search(t.Query.boolean_query(terms), FOUND).hits
            return [searcher.doc(address)["row"][0] for _, address in hits]

        return search


WAYS: dict[str, Callable[[Path], "Ours | Sqlite | Tantivy"]] = {
    "ours": Ours,
    "fts5 words": Sqlite,
    "fts5 8 rare trigrams": SqliteTrigrams,
    "fts5 all trigrams": SqliteAllTrigrams,
    "tantivy words": Tantivy,
    "tantivy 3- and 4-grams": lambda folder: Tantivy(folder, grams=True),
}
