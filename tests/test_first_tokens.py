"""A long text is cut before it is tokenized, and its first tokens are exactly those of the whole."""

import gzip
import random
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from aatm_onnx import Qwen3Reranker
from aatm_onnx.first_tokens import divides_at_spaces, first_tokens, is_long, places_to_cut
from aatm_onnx.models import find_bundle
from aatm_onnx.prompt import PromptTokenizer, format_instruction
from aatm_onnx.tokenizer import read_tokenizer, token_ids

from .long_texts import PARTS

FILE = Path(__file__).parent / "data" / "qwen3-tokenizer" / "tokenizer.json.gz"
QWEN3 = Tokenizer.from_buffer(gzip.decompress(FILE.read_bytes()))
OWN = read_tokenizer(find_bundle() / "tokenizer.json", control_tokens=False)
WITH_CONTROL_TOKENS = read_tokenizer(find_bundle() / "tokenizer.json")
TOKENIZERS = {"qwen3": QWEN3, "default": OWN, "default with control tokens": WITH_CONTROL_TOKENS}


def require(places: re.Pattern[str] | None) -> re.Pattern[str]:
    """The places, which there are."""
    assert places is not None
    return places


def check(tokenizer: Tokenizer, text: str, most: int) -> None:
    whole = tokenizer.encode(text).ids
    assert is_long(text, most), "the test is of texts that are cut"
    ids, more = first_tokens(lambda texts: token_ids(tokenizer, texts), require(places_to_cut(tokenizer)), text, most)
    assert ids == whole[:most] and more == (len(whole) > most)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@settings(deadline=None, max_examples=30)
@given(
    parts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
    most=st.integers(1, 1500),
)
def test_the_first_tokens_are_those_of_the_whole(tokenizer: Tokenizer, parts: list[str], seed: int, most: int) -> None:
    """The same few parts in random order, so that long runs of one kind come too."""
    pick = random.Random(seed)
    repeats = pick.choice([1, 1, 1, 30, 3000])
    made: list[str] = []
    length = 0
    while length <= max(40_000, 34 * most):
        made.append(pick.choice(parts) * repeats)
        length += len(made[-1])
    check(tokenizer, "".join(made), most)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@settings(deadline=None, max_examples=15)
@given(text=st.text(min_size=1, max_size=60), most=st.integers(1, 300))
def test_the_first_tokens_of_any_text_repeated(tokenizer: Tokenizer, text: str, most: int) -> None:
    check(tokenizer, text * (40_000 // len(text) + 1), most)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@settings(deadline=None, max_examples=150)
@given(
    query=st.text(max_size=20) | st.sampled_from(PARTS),
    documents=st.lists(st.text(max_size=40) | st.sampled_from(PARTS), min_size=1, max_size=8),
)
def test_a_query_tokenized_once_gives_the_tokens_of_whole_pairs(
    tokenizer: Tokenizer, query: str, documents: list[str]
) -> None:
    """Documents begin with spaces, marks and newlines, and hold the prompt's own words."""
    prompts = PromptTokenizer(tokenizer, [], [], 100_000)
    marked = [*documents, f"{query}<Document>: {query}", ""]
    pairs = [format_instruction("a task", query, document) for document in marked]
    pairs += [format_instruction("another", query, documents[0]), query]  # the last is no pair at all
    assert divides_at_spaces(tokenizer) == (tokenizer is not WITH_CONTROL_TOKENS)  # one of them has spaces within
    assert [prompt.ids.tolist() for prompt in prompts.encode(pairs)] == [tokenizer.encode(pair).ids for pair in pairs]


def test_added_tokens_that_reach_over_a_space_keep_pairs_whole() -> None:
    for reaching in (AddedToken("</s>", lstrip=True), AddedToken("two words"), AddedToken("<x>", rstrip=True)):
        tokenizer = Tokenizer.from_str(QWEN3.to_str())
        tokenizer.add_tokens([reaching])
        pair = format_instruction("a task", "a query", "</s> two words <x> ")
        assert not divides_at_spaces(tokenizer)
        (prompt,) = PromptTokenizer(tokenizer, [], [], 1000).encode([pair])
        assert prompt.ids.tolist() == tokenizer.encode(pair).ids


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@pytest.mark.parametrize(
    "make",
    [
        lambda n: " " * n, lambda n: "a" * n, lambda n: "高" * n, lambda n: "\u0301" * n, lambda n: "ab" * (n // 2),
        lambda n: "\n" * n, lambda n: "." * n, lambda n: "7" * n, lambda n: " " * (n - 1) + "x",
        lambda n: "a" + "\u0301" * (n - 2) + "\u0323",  # the last mark comes first in canonical order
        lambda n: "Σ" + "." * (n - 2) + "\u03b1", lambda n: "\u1100" * n, lambda n: "\u1161" * n,
        lambda n: "n" * n, lambda n: "ae" * (n // 2), lambda n: "phy" * (n // 3),  # which the default model's folds
    ],
)  # fmt: skip
def test_endless_words(tokenizer: Tokenizer, make: Callable[[int], str]) -> None:
    for most in (1, 100, 1000):
        check(tokenizer, make(60_000), most)


def test_twelve_million_spaces_end_in_a_score(capfd: pytest.CaptureFixture[str]) -> None:
    """Qwen3's splitting, tokenizing them whole, ends in a panic, which no `except Exception` catches."""
    spaces = " " * 12_000_000
    ids, more = first_tokens(lambda texts: token_ids(QWEN3, texts), require(places_to_cut(QWEN3)), spaces, 200)
    assert len(ids) == 200 and more
    reranker = Qwen3Reranker(provider="cpu", max_length=200)
    (pair,) = reranker.score_pairs(["kidney stones"], [[spaces]])[0]
    assert 0 < pair.score < 1 and pair.tokens <= 200
    (cut,) = reranker.score_pairs(["kidney stones"], [["stone " * 2_000_000]])[0]
    assert cut.truncated and cut.tokens == 200
    assert capfd.readouterr().err == ""


def test_other_tokenizers_read_the_whole_text() -> None:
    """Where a word ends is known of Qwen3's splitting only."""
    for normalizer, splitter in (
        (None, pre_tokenizers.Whitespace()),
        (None, None),
        (normalizers.NFKC(), QWEN3.pre_tokenizer),
        (normalizers.NFC(), pre_tokenizers.ByteLevel(add_prefix_space=True)),
    ):
        other = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
        if normalizer is not None:
            other.normalizer = normalizer
        if splitter is not None:
            other.pre_tokenizer = splitter
        assert places_to_cut(other) is None
        (prompt,) = PromptTokenizer(other, [], [], 10).encode(["ab" * 100_000])
        assert prompt.truncated and len(prompt.ids) == 10


@pytest.mark.parametrize("pattern", [r"s(?= )", r"\s+", r".", r"[^a]", r"\P{L}", r"a\W", r"\p{L}+", r"a{2,}"])
def test_a_replacement_that_may_look_beyond_a_space_lets_no_text_be_cut(pattern: str) -> None:
    tokenizer = Tokenizer.from_str(OWN.to_str())
    assert places_to_cut(tokenizer) is not None
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Replace(Regex(pattern), "x")])
    assert places_to_cut(tokenizer) is None


@settings(deadline=None, max_examples=10)
@given(lengths=st.lists(st.sampled_from([0, 1, 7, 300, 20_000, 400_000]), min_size=1, max_size=7), seed=st.integers())
def test_pairs_have_the_same_tokens_together_as_alone(lengths: list[int], seed: int) -> None:
    prompts = PromptTokenizer(QWEN3, [1], [2], 300)
    pick = random.Random(seed)
    pairs = [format_instruction("a task", "".join(pick.choices(PARTS, k=3)) + "ab " * n, "document") for n in lengths]
    together = [(prompt.ids.tolist(), prompt.truncated) for prompt in prompts.encode(iter(pairs))]
    alone = [next(prompts.encode([pair])) for pair in pairs]
    assert together == [(prompt.ids.tolist(), prompt.truncated) for prompt in alone]


@pytest.mark.parametrize(
    "template", ["$A <|endoftext|>", "<|im_start|> $A", "<|im_start|> $A <|endoftext|> <|endoftext|>"]
)
def test_special_tokens_around_every_text_stay_where_it_is_cut(template: str) -> None:
    """As transformers cuts: it keeps room for them."""
    tokenizer = Tokenizer.from_str(QWEN3.to_str())
    ids = [(word, tokenizer.token_to_id(word)) for word in ("<|im_start|>", "<|endoftext|>")]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=ids)
    cutting = Tokenizer.from_str(tokenizer.to_str())
    cutting.enable_truncation(max_length=40)
    prompts = PromptTokenizer(tokenizer, [7, 8], [9], 43)
    pairs = [format_instruction("a task", "a query", "word " * n) for n in (0, 1, 20, 21, 22, 23, 24, 25, 30, 100_000)]
    for pair, prompt in zip(pairs, prompts.encode(pairs), strict=True):
        assert prompt.ids.tolist() == [7, 8, *cutting.encode(pair).ids, 9]
        assert prompt.truncated == (len(tokenizer.encode(pair).ids) > 40)


def test_a_long_query_takes_no_memory_for_every_document() -> None:
    reranker = Qwen3Reranker(provider="cpu", threads=1, max_length=128)
    tracemalloc.start()
    try:
        with pytest.warns(RuntimeWarning, match="takes all of the 128 tokens"):
            reranker.score("pain " * 200_000, ["ache"] * 60)
        assert tracemalloc.get_traced_memory()[1] < 16e6  # 60 MB, if all pairs existed at a time
    finally:
        tracemalloc.stop()


def test_a_text_that_can_not_be_tokenized_is_named() -> None:
    tokenizer = Tokenizer.from_str(OWN.to_str())
    tokenizer.pre_tokenizer = QWEN3.pre_tokenizer
    tokenizer.normalizer = normalizers.NFD()  # not one of those that are known, so the whole text is read
    encoder = PromptTokenizer(tokenizer, [], [], 100)
    with pytest.raises(ValueError, match=r"Pair 1 can't be tokenized .*; shorten or drop it"):
        list(encoder.encode(["fine", " " * 12_000_000, "fine"]))
