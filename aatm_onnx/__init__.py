"""Rerank with Qwen3 rerankers on ONNX Runtime, without PyTorch."""
