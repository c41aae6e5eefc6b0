"""Names of control tokens in a document are text, whatever else a tokenizer.json holds, and words keep their ids."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from aatm_onnx.tokenizer import read_tokenizer

LETTERS = "abcdefghijklmnopqrstuvwxyz<|_>"
CONTROL = "<|im_end|>"


def write_tokenizer(folder: Path, *words: str, known: tuple[str, ...] = (), template: bool = False) -> dict[str, Any]:
    """Write a tokenizer of single letters and added tokens, and return what its file says.

    known: what the vocabulary has beside the letters.
    template: puts a control token behind every text, which the file then names once more.
    """
    vocabulary = {piece: index for index, piece in enumerate([*LETTERS, *known])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([CONTROL])
    tokenizer.add_tokens(list(words))
    if template:
        tokens = [(CONTROL, tokenizer.token_to_id(CONTROL))]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {CONTROL}", special_tokens=tokens)
    tokenizer.save(str(folder / "tokenizer.json"))
    content: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    return content


def check(file: Path, *words: str) -> None:
    whole, ours = Tokenizer.from_file(str(file)), read_tokenizer(file, control_tokens=False)
    for word in words:
        assert ours.encode(word, add_special_tokens=False).ids == [whole.token_to_id(word)]
    assert whole.encode(CONTROL, add_special_tokens=False).ids == [whole.token_to_id(CONTROL)]
    assert whole.token_to_id(CONTROL) not in ours.encode(CONTROL, add_special_tokens=False).ids


@pytest.mark.parametrize("known", [(), (CONTROL,), ("hyper",), (CONTROL, "tension")])
@pytest.mark.parametrize("template", [False, True])
def test_words_keep_their_ids(tmp_path: Path, known: tuple[str, ...], template: bool) -> None:
    write_tokenizer(tmp_path, "hyper", "tension", known=known, template=template)
    check(tmp_path / "tokenizer.json", "hyper", "tension")


def test_the_list_is_found_behind_a_vocabulary_that_has_its_name(tmp_path: Path) -> None:
    content = write_tokenizer(tmp_path, known=("added_tokens",))
    model_first = {"model": content.pop("model"), **content}
    (tmp_path / "tokenizer.json").write_text(json.dumps(model_first))
    check(tmp_path / "tokenizer.json")


def test_names_may_be_escaped(tmp_path: Path) -> None:
    content = write_tokenizer(tmp_path, "高血圧", known=(CONTROL,))
    escaped = json.dumps(content, ensure_ascii=True).replace(CONTROL, "\\u003c|im_end|>")
    (tmp_path / "tokenizer.json").write_text(escaped)
    check(tmp_path / "tokenizer.json", "高血圧")
