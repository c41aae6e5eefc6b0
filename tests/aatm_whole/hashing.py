"""A retriever for aatm's registry that needs no network: character trigrams hashed into vectors, in aatm's ChromaDB.

`aatm-onnx aatm --import hashing` brings it in, as a user brings in his own.
"""

import zlib
from typing import Any

import numpy as np
from aatm.registries.retrievers import CHROMADB_RETRIEVER_MODEL_REGISTRY, ChromaRetrieverModelSpec
from chromadb import Documents, EmbeddingFunction, Embeddings

NAME = "hashing"
DIMENSIONS = 256


class HashingEmbeddingFunction(EmbeddingFunction[Documents]):
    """Texts with many trigrams in common are near."""

    def __init__(self, model: str = "trigrams") -> None:
        self.model = model

    def __call__(self, input: Documents) -> Embeddings:
        return [embed(text) for text in input]

    @staticmethod
    def name() -> str:
        return "aatm-onnx-tests-hashing"

    def get_config(self) -> dict[str, Any]:
        return {"model": self.model}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "HashingEmbeddingFunction":
        return HashingEmbeddingFunction(config["model"])


def embed(text: str) -> np.ndarray:
    padded = f"  {text.lower()} "
    vector = np.zeros(DIMENSIONS, np.float32)
    for start in range(len(padded) - 2):
        vector[zlib.crc32(padded[start : start + 3].encode()) % DIMENSIONS] += 1
    return vector / np.linalg.norm(vector)


CHROMADB_RETRIEVER_MODEL_REGISTRY[NAME] = ChromaRetrieverModelSpec(NAME, "trigrams", HashingEmbeddingFunction)
