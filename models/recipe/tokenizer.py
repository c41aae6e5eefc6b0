"""A small byte-level BPE in Qwen3's form: special tokens and word splitting its own, lower-cased, a short prompt."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from aatm_onnx.prompt import DEFAULT_PREFIX, DEFAULT_SUFFIX, DEFAULT_TASK

QWEN3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
# The prompt's constant ends are one token each way, but for <|im_end|>, which closes the document and is kept apart.
PROMPT_ENDS = [DEFAULT_PREFIX, DEFAULT_SUFFIX.removeprefix("<|im_end|>")]
HEAD = f"<Instruct>: {DEFAULT_TASK}\n<Query>:"
TEMPLATE_WORDS = ["\n<Document>: ", "\n<Query>: ", "<Instruct>: ", DEFAULT_TASK]


def train_tokenizer(texts: list[str], size: int) -> Tokenizer:
    """BPE over `texts`, each seen as it stands in the prompt: after a space."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN3_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL) - len(PROMPT_ENDS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fixed = ["yes", "no", *TEMPLATE_WORDS] * 10_000
    tokenizer.train_from_iterator([f" {text}" for text in texts] + fixed, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL + PROMPT_ENDS])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json and what transformers wants beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 1024,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")


def query_text(query: str) -> str:
    """The part of the prompt between the constant head and the document. Word splitting never joins across its ends."""
    return f" {query}\n<Document>:"
