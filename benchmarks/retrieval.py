"""Ways to find 50 candidates: recall on real terminologies, then recall, time, size and memory on ever longer lists.

    python benchmarks/retrieval.py                     recall@50, then 10^4, 10^5, 10^6 and 6 * 10^6 names
    ... --sizes 6000000 --only ours                    other sizes, one way alone

Recall is first of the protocol of models/evaluate.py: 1,000 (of the unseen: 500) synonyms, an index of the names. Then
the lists are real names, and real names varied; a query is a synonym that the list lacks, and it is found if its
concept's name is among the 50. "the n-gram pool" compares every name. A way that takes more than 50 ms a query at 10^6
names is left out of longer lists.
"own MB" is what the searching process holds; its peak also counts mapped files, which the system takes back at need.
Needs what `make .venv/eval-ready` installs, for its data and torch for the pools, and tantivy.
Times are of the processor, since other work may share the machine.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from process_memory import kibibytes  # noqa: E402
from retrieval_ways import FOUND, WAYS, Search  # noqa: E402

QUESTIONS = 500
SLOW, LONG = 50, 1_000_000  # ms a query, names


def recall(only: list[str]) -> None:
    """Print recall@50 of every way on the terminologies of the model card."""
    from recipe.asked import asked_synonyms
    from recipe.learning import HELD_OUT
    from recipe.lists import LISTS, tested
    from recipe.pool import NgramIndex, questions

    columns = {}
    for name, load in LISTS.items():
        concepts = load()
        names = [concept.name for concept in concepts]
        splits, count = tested(name), 1000 if name in HELD_OUT else 500
        items, answers = questions(concepts, NgramIndex(names), splits, count), asked_synonyms(concepts, splits, count)
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


def child(way: str, task: str, folder: Path) -> None:
    """Build or search in a process of its own and print figures as JSON."""
    built = WAYS[way](folder / "index")
    with (folder / "names.txt").open(encoding="utf-8") as stream:
        if task == "build":
            begun = time.process_time()
            built.build([line.rstrip("\n") for line in stream])
            figures = {"build_s": time.process_time() - begun}
        else:
            figures = timed(built.opened(), json.loads((folder / "questions.json").read_text()))
    print(json.dumps({**figures, "peak_mb": kibibytes("VmHWM") / 1024, "own_mb": kibibytes("RssAnon") / 1024}))


def timed(search: Search, queries: list[tuple[str, int]]) -> dict[str, float]:
    """Milliseconds of a query and the share of the names that were found."""
    for query, _ in queries[:20]:
        search(query)
    spent, found = [], 0
    for query, row in queries:
        begun = time.process_time()
        rows = search(query)
        spent.append((time.process_time() - begun) * 1000)
        found += row in rows
    return {
        "ms": float(np.median(spent)),
        "ms_95": float(np.percentile(spent, 95)),
        "ms_max": float(np.max(spent)),
        "found": found / len(queries),
    }


def sizes(counts: list[int], only: list[str]) -> None:
    """Print recall, time, size and memory of every way at every size."""
    from every_name import nearest_of_all
    from long_list import write_long_list

    heads = ("index s", "disk MB", "peak MB", "ms", "95 %", "max", "peak MB", "own MB", "found", "of pool's")
    print(f"\n{'':<26}{'names':>9}" + "".join(f"{head:>10}" for head in heads))
    slow: set[str] = set()
    (ROOT / ".cache").mkdir(exist_ok=True)  # on the disk, not in a /tmp that may be memory
    for count in counts:
        with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as place:
            folder = Path(place)
            questions = write_long_list(count, QUESTIONS, folder / "names.txt")
            (folder / "questions.json").write_text(json.dumps(questions))
            pool = nearest_of_all(folder / "names.txt", [query for query, _ in questions], FOUND)
            there = float(np.mean([row in rows for (_, row), rows in zip(questions, pool, strict=True)]))
            print(f"{'the n-gram pool':<26}{count:>9}{there:>90.3f}", flush=True)
            for way in only:
                if way in slow and count > LONG:
                    continue
                (folder / "index").mkdir()
                made, searched = (measured(way, task, folder) for task in ("build", "search"))
                size = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file()) / 1e6
                figures = [made["build_s"], size, made["peak_mb"]]
                figures += [searched[name] for name in ("ms", "ms_95", "ms_max", "peak_mb", "own_mb")]
                shares = (searched["found"], searched["found"] / there)
                line = "".join(f"{figure:>10.1f}" for figure in figures) + "".join(f"{each:>10.3f}" for each in shares)
                print(f"{way:<26}{count:>9}{line}", flush=True)
                if count >= LONG and searched["ms"] > SLOW:
                    slow.add(way)
                shutil.rmtree(folder / "index")


def measured(way: str, task: str, folder: Path) -> dict[str, float]:
    """The figures of one child."""
    command = [sys.executable, __file__, "--child", way, task, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--sizes", nargs="*", type=int, default=[10_000, 100_000, 1_000_000, 6_000_000])
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
