"""Rerank in a Haystack pipeline that goes through YAML: `pip install 'aatm-onnx[cpu]' haystack-ai`."""

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore

from aatm_onnx.integrations.haystack import OnnxRanker

store = InMemoryDocumentStore(index="terms")
names = {"C1": "Bladder stones", "C2": "Calculus of kidney", "C3": "Kidney cyst"}
store.write_documents([Document(code, name) for code, name in names.items()])

pipeline = Pipeline()
pipeline.add_component("retriever", InMemoryBM25Retriever(store))
pipeline.add_component("ranker", OnnxRanker(top_k=2))
pipeline.connect("retriever.documents", "ranker.documents")

pipeline = Pipeline.loads(pipeline.dumps(), allowed_modules=["aatm_onnx.integrations.haystack"])
query = "kidney stones"
for document in pipeline.run({"retriever": {"query": query}, "ranker": {"query": query}})["ranker"]["documents"]:
    print(f"{document.score:.3f} {document.id} {document.content}")
