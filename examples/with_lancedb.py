"""Rerank a LanceDB search: `pip install 'aatm-onnx[cpu]' lancedb`."""

import tempfile

import lancedb

from aatm_onnx.integrations.lancedb import OnnxReranker

rows = [
    {"text": "Gallstones", "code": "C1", "vector": [1.0, 0.0]},
    {"text": "Nephrolithiasis", "code": "C2", "vector": [0.5, 0.5]},
    {"text": "Renal cyst", "code": "C3", "vector": [0.0, 1.0]},
]
with tempfile.TemporaryDirectory() as folder:
    table = lancedb.connect(folder).create_table("terms", rows)
    search = table.search([1.0, 0.0], query_type="vector").limit(10)  # your embedding of the query
    for row in search.rerank(OnnxReranker(), query_string="kidney stones").to_list():
        print(f"{row['_relevance_score']:.3f} {row['code']} {row['text']}")
