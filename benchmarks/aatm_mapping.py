"""`make bench-aatm`: one mapping by aatm's own TerminologyMapper, with aatm's torch reranker and with this package's.

Each runs in a process of its own over aatm's ChromaDB retriever with 10 candidates a concept. The 0.6B checkpoint has
random weights: time and memory depend on the sizes alone. Memory is the process's own peak, aatm's imports included.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from process_memory import kibibytes

import aatm_onnx  # noqa: F401  # before anything else can import ONNX Runtime: no telemetry

ROOT = Path(__file__).parent.parent
MODEL = "Qwen/Qwen3-Reranker-0.6B"
sys.path[:0] = [str(ROOT / "tests" / "aatm_whole"), str(ROOT / "benchmarks")]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=Path(".cache/bench"), help="where models and database are kept")
    parser.add_argument("--concepts", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=2, help="concepts at once; aatm's torch path needs it small")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    folder = options.folder.absolute()
    if options.only:
        print(json.dumps(mapping(folder, options.only, options.concepts, options.batch_size)))
        return
    prepare(folder)
    print(
        "| reranker | importing aatm, s | loading, s | mapping, s | ms a pair | peak, MB |\n|---|---|---|---|---|---|"
    )
    for name in ("none", "qwen3-reranker-0.6b", "onnx-qwen3-reranker-0.6b", "onnx-default"):
        command = [sys.executable, __file__, "--only", name, "--folder", str(folder)]
        command += ["--concepts", str(options.concepts), "--batch-size", str(options.batch_size)]
        environment = os.environ | {
            "HF_HUB_CACHE": str(folder / "hub"),
            "HF_HUB_OFFLINE": "1",
            "AATM_ONNX_CACHE": str(folder / "bundles"),
        }
        done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, text=True)
        taken = json.loads(done.stdout.splitlines()[-1])
        print(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in taken.values()) + " |", flush=True)
    for title, environment_folder in (("aatm whole", ".venv-aatm"), ("aatm-onnx[cpu] alone", ".venv-demo")):
        if (ROOT / environment_folder).exists():
            print(f"{title}: {_megabytes(ROOT / environment_folder):,.0f} MB installed")


def mapping(folder: Path, reranker: str, concepts: int, batch_size: int) -> dict[str, float]:
    """One mapping in this process: seconds of its parts, and the process's peak memory."""
    os.chdir(folder / "aatm")
    marks = [time.perf_counter()]
    import hashing
    from aatm.terminology_mapper import TerminologyMapper

    import aatm_onnx.aatm  # noqa: F401

    marks.append(time.perf_counter())
    mapper = TerminologyMapper(
        retriever=hashing.NAME, reranker=None if reranker == "none" else reranker, batch_size=batch_size
    )
    marks.append(time.perf_counter())
    mapper.map([term["query"] for term in _terms()[:concepts]], save_to_disk=False)
    marks.append(time.perf_counter())
    imported, loaded, mapped = (after - before for before, after in itertools.pairwise(marks))
    peak = kibibytes("VmHWM") * 1024 / 1e6
    return {"import": imported, "load": loaded, "map": mapped, "pair": 1e3 * mapped / concepts / 10, "peak": peak}


def prepare(folder: Path) -> None:
    """Checkpoint, bundle and database, where they are not there from another run."""
    from aatm_onnx_export.export import export_checkpoint
    from make_checkpoint import SIZES, write_checkpoint

    repository = folder / "hub" / f"models--{MODEL.replace('/', '--')}"
    snapshot = repository / "snapshots" / "0"
    if not snapshot.exists():
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text("0")
        write_checkpoint(snapshot, SIZES["0.6B"], seed=0, shard_bytes=2_000_000_000)
    bundle = folder / "bundles" / MODEL.split("/")[1]
    if not bundle.exists():  # random weights score all candidates much alike; their order means nothing
        export_checkpoint(str(snapshot), bundle, precision="int8", graph="fused", min_tau=-1.0)
    if not (folder / "aatm").exists():
        _build_database(folder / "aatm")


def _build_database(folder: Path) -> None:
    import hashing
    import pandas as pd
    from aatm.local_database_utils import build_local_vector_database

    names = sorted({name for term in _terms() for name in term["candidates"]})
    concepts = pd.DataFrame({"expression": names, "expression_concept_id": range(len(names))}).assign(
        std_concept_id=range(len(names)),
        std_concept_name=names,
        std_vocabulary_id="SNOMED",
        std_vocabulary_code="0",
        std_domain_id="Condition",
    )
    (folder / ".aatm" / "datasets").mkdir(parents=True)
    concepts.to_csv(folder / ".aatm" / "datasets" / "standard_concept.csv", index=False)
    os.chdir(folder)
    build_local_vector_database(hashing.NAME)


def _terms() -> list[dict[str, list[str]]]:
    return [json.loads(line) for line in (ROOT / "examples" / "terms.jsonl").read_text("utf-8").splitlines()]


def _megabytes(folder: Path) -> float:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink()) / 1e6


if __name__ == "__main__":
    main()
