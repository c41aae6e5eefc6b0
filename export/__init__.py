"""Export: a Qwen3 reranker checkpoint becomes a bundle (aatm_onnx.bundle) that needs no PyTorch."""
