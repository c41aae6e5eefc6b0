"""Rerank real, messy source terms with the default model and show each list before and after: `make demo`.

Each term's candidates are its 50 nearest names of the Human Phenotype Ontology (hp.obo 2025-01-16,
https://human-phenotype-ontology.org, free to use with attribution) by cosine of all-MiniLM-L6-v2, as an embedding
retriever finds them; terms whose answer it does not find are left out.
"""

import json
import time
from pathlib import Path

from aatm_onnx import Qwen3Reranker, RetrievedExpressionMetadata, RetrieverResults

SHOWN = 5

rows = [json.loads(line) for line in (Path(__file__).parent / "terms.jsonl").read_text("utf-8").splitlines()]
results = RetrieverResults(
    queries=[row["query"] for row in rows],
    results=[[RetrievedExpressionMetadata(text) for text in row["candidates"]] for row in rows],
)
before = [[candidate.expression for candidate in candidates] for candidates in results.results]

start = time.perf_counter()
reranker = Qwen3Reranker()
opened = time.perf_counter()
results | reranker  # scores and reorders in place
done = time.perf_counter()

for query, old, new in zip(results.queries, before, results.results, strict=True):
    print(f"\n{query}\n    {'retriever':<44}  reranked")
    for rank in range(min(SHOWN, len(old))):
        print(f"  {rank + 1} {old[rank][:44]:<44}  {new[rank].rerank_score:.2f}  {new[rank].expression}")
pairs = sum(map(len, before))
print(
    f"\n{pairs} pairs on {reranker.provider} in {done - opened:.2f} s, after {opened - start:.2f} s to open"
    f" {reranker.bundle.manifest.source.checkpoint}."
)
