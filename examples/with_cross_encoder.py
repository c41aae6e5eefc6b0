"""Where sentence-transformers' CrossEncoder is called, BEIR for one: `pip install 'aatm-onnx[cpu]' beir`."""

from beir.reranking import Rerank

from aatm_onnx.integrations.cross_encoder import CrossEncoder

model = CrossEncoder()
print(model.predict([("kidney stones", "Gallstones"), ("kidney stones", "Nephrolithiasis")]))
print(model.rank("kidney stones", ["Gallstones", "Nephrolithiasis"], top_k=1, return_documents=True))

corpus = {"C1": {"text": "Gallstones"}, "C2": {"text": "Nephrolithiasis"}, "C3": {"text": "Renal cyst"}}
retrieved = {"q1": {"C1": 0.9, "C2": 0.8, "C3": 0.7}}
print(Rerank(model).rerank(corpus, {"q1": "kidney stones"}, retrieved, top_k=3))
