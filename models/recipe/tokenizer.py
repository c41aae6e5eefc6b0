"""A small byte-level BPE whose words are the same wherever they stand and however they are spelt.

Special tokens are Qwen3's; the prompt's constant ends are one token each.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from aatm_onnx.prompt import DEFAULT_PREFIX, DEFAULT_SUFFIX, DEFAULT_TASK
from recipe.spelling import NORMALIZER, SPLITTER

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
# The prompt's constant ends are one token each; <|im_end|>, which closes the document, is kept apart.
PROMPT_ENDS = [DEFAULT_PREFIX, DEFAULT_SUFFIX.removeprefix("<|im_end|>")]
ANSWERS = ["yes", "no"]
TEMPLATE_WORDS = ["\n<Document>: ", "\n<Query>: ", "<Instruct>: ", DEFAULT_TASK]


def train_tokenizer(texts: list[str], size: int) -> Tokenizer:
    """BPE over `texts`, each seen as it stands in the prompt: after a space."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.normalizer = NORMALIZER
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [SPLITTER, pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL) - len(PROMPT_ENDS) - len(ANSWERS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fixed = TEMPLATE_WORDS * 10_000
    tokenizer.train_from_iterator([f" {text}" for text in texts] + fixed, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL + PROMPT_ENDS])
    add_answers(tokenizer)
    return tokenizer


def add_answers(tokenizer: Tokenizer) -> None:
    """Tokens for the two answers alone, as special ones: the words of a text never become them."""
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False, single_word=True) for t in ANSWERS])


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
