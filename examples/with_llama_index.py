"""Rerank the nodes of a LlamaIndex retriever: `pip install 'aatm-onnx[cpu]' llama-index-core`."""

from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding  # stands for your embedding model
from llama_index.core.schema import TextNode

from aatm_onnx.integrations.llama_index import OnnxReranker

names = {"C1": "Gallstones", "C2": "Nephrolithiasis", "C3": "Renal cyst"}
nodes = [TextNode(text=name, id_=code) for code, name in names.items()]
retriever = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4)).as_retriever(similarity_top_k=3)

query = "kidney stones"
reranker = OnnxReranker(top_n=2)
for found in reranker.postprocess_nodes(retriever.retrieve(query), query_str=query):
    print(f"{found.score:.3f} {found.node.node_id} {found.node.get_content()}")
