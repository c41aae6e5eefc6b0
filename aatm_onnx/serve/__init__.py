"""The rerank server (needs `pip install 'aatm-onnx[cpu,server]'`)."""
