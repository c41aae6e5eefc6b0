"""Rerankers in the shapes that other frameworks call: one module each, which imports its framework when imported.

`cross_encoder` (the shape of sentence-transformers' CrossEncoder) needs no framework.
"""
