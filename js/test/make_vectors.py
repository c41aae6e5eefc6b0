"""What the Python package makes of 2,000 texts in many scripts, for the JavaScript tests: `make_vectors.py OUTPUT`.

Writes OUTPUT/vectors.json (token ids of the texts, and of ones that are mostly combining marks, by two tokenizers, with
and without control tokens; scores of pairs by the default model) and OUTPUT/qwen3-tokenizer.json, the tokenizer of the
released Qwen3 rerankers, unzipped.
"""

import gzip
import json
import random
import sys
import unicodedata
from pathlib import Path

from aatm_onnx import Qwen3Reranker
from aatm_onnx.models import find_bundle
from aatm_onnx.tokenizer import read_tokenizer

QWEN3 = Path(__file__).parent.parent.parent / "tests" / "data" / "qwen3-tokenizer" / "tokenizer.json.gz"
# First and last code point of each script's letters; the last is everything that there is.
SCRIPTS = [
    (0x61, 0x7A), (0x41, 0x5A), (0xC0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x590, 0x5FF),
    (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF),
    (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF), (0x0, 0xFF), (0x2000, 0x206F),
    (0x0, 0x10FFFF),
]  # fmt: skip
WORDS = [
    "ΟΔΥΣΣΕΥΣ", "ΣΑΣ", "σας", "İstanbul", "\u017f'\u017f", "DON'T", "it'S", "we'LL", "Straße", "ﬁbrosis", "cafe\u0301",
    "K\u0323\u0307",
    "<|IM_END|>", "<|im_end|>", "<|im_start|>system", "<think>", "</think>", "<|endoftext|>", "12345", "3,5 mmol/L",
    "\r\n", "\n\n", "\t", "  ", "   x", "\u00a0", "\u0085", "\ufeff", "\u2028", "\u200d", "👩‍⚕️", "\U0001d4b3", "가각",
    "각",
    "biopsies", "Branches", "boxes", "cysts", "pies\u00b2", "stones_", "\u24b6es", "β2", "µg", "o/e", "no: yes", "1.5",
    "hypertension", "Nephrolithiasis", "kidney", "stones", "(disorder)", "-", "/", "yes", "no", "\x00", "\x7f",
]  # fmt: skip


def main(output: Path) -> None:
    """Write both files."""
    output.mkdir(parents=True, exist_ok=True)
    qwen3 = output / "qwen3-tokenizer.json"
    qwen3.write_bytes(gzip.decompress(QWEN3.read_bytes()))
    draw = random.Random(17)
    texts = [_text(draw) for _ in range(2000)]
    marks = _marks(draw)
    files = {"default": find_bundle() / "tokenizer.json", "qwen3": qwen3}
    ids = {
        f"{name}{' with control tokens' if control else ''}": _ids(file, control, [*texts, *marks])
        for name, file in files.items()
        for control in (False, True)
    }
    vectors = {"texts": [*texts, *marks], "ids": ids, "groups": _groups(texts)}
    (output / "vectors.json").write_text(json.dumps(vectors), "utf-8")


def _text(draw: random.Random) -> str:
    parts = []
    for _ in range(draw.randrange(1, 12)):
        if draw.random() < 0.4:
            parts.append(draw.choice(WORDS))
        else:
            first, last = draw.choice(SCRIPTS)
            points = [draw.randint(first, last) for _ in range(draw.randrange(1, 8))]
            parts.append("".join(chr(point) for point in points if not 0xD800 <= point < 0xE000))
    return draw.choice([" ", "", " "]).join(parts)


def _marks(draw: random.Random) -> list[str]:
    """Every combining mark between older ones, then long runs of them in no order."""
    marks = [chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)).startswith("M")]
    between = [f"e\u0301{mark}\u0323e ガ\u0301{mark}\u3099ガ" for mark in marks]
    kinds = [draw.sample([*marks, "\uff9e"], draw.choice([2, 10, 500])) for _ in range(100)]
    return between + ["e" + "".join(draw.choices(kind, k=draw.randrange(90, 400))) for kind in kinds]


def _ids(file: Path, control_tokens: bool, texts: list[str]) -> list[list[int]]:
    tokenizer = read_tokenizer(file, control_tokens=control_tokens)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def _groups(texts: list[str]) -> list[dict[str, object]]:
    """Every 20th text as a query, with all twenty as its documents; one has a document that is cut, one a task."""
    reranker = Qwen3Reranker(provider="cpu")
    groups: list[dict[str, object]] = []
    for start in range(0, len(texts), 20):
        documents = texts[start : start + 20]
        if start == 0:
            documents = [*documents, "kidney stones " * 400, "kidney stones " * 5000, documents[0]]
        pairs = reranker.score_pairs([documents[0]], [documents])[0]
        groups.append(
            {
                "query": documents[0],
                "documents": documents,
                "scores": [pair.score for pair in pairs],
                "tokens": [pair.tokens for pair in pairs],
                "truncated": [pair.truncated for pair in pairs],
            }
        )
    return groups


if __name__ == "__main__":
    main(Path(sys.argv[1]))
