"""Rerank what OntoAligner's retriever proposes: `pip install 'aatm-onnx[cpu]' ontoaligner`."""

from ontoaligner.base.rerank import Rerank

from aatm_onnx.integrations.ontoaligner import OnnxRerank, OnnxReranking

source = [{"iri": "local:1", "text": "kidney stones"}]
target = [{"iri": "C1", "text": "Gallstones"}, {"iri": "C2", "text": "Nephrolithiasis"}]
proposed = [{"source": "local:1", "target-cands": ["C1", "C2"], "score-cands": [0.9, 0.8]}]

# As the `reranker` of an AlignerPipeline, which calls this:
print(OnnxReranking(top_k=2).generate([source, target, proposed]))

# The older hook:
reranker: Rerank = OnnxRerank(top_n=1)
texts = [{concept["iri"]: concept["text"] for concept in side} for side in (source, target)]
print(reranker.rerank_retrieval_outputs(proposed, *texts))
