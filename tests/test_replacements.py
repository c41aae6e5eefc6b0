"""What a normalizer may put in place of what: no text without end, and none that depends on another word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers

from aatm_onnx.replacements import check_growth, looks_beyond_words, normalizer_parts

LETTERS = st.sampled_from(["a", "b", "ab", "[ab]", r"\p{L}", r"[^a\P{L}]"])
MATCHED = st.one_of(
    LETTERS, LETTERS.map("({})".format), st.tuples(LETTERS, LETTERS).map("(?:{0[0]}|{0[1]})".format), st.just("")
)
LOOKS = st.one_of(
    st.sampled_from(["", r"\b", "(?<=a)", r"(?<!b|\p{L}a)", "(?=a(?:b|a)?)"]),
    st.tuples(st.sampled_from(["(?=", "(?!"]), LETTERS).map(lambda look: f"{look[0]}{look[1]})"),
)
PATTERNS = st.lists(st.tuples(LOOKS, MATCHED, MATCHED, LOOKS).map("".join), min_size=1, max_size=3).map("|".join)
REPLACEMENTS = st.tuples(PATTERNS, st.sampled_from(["", "a", "ab", "bba", "abababab"]))


def with_replacements(replacements: list[tuple[str, str]]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE({}, []))
    parts = [normalizers.Replace(Regex(pattern), content) for pattern, content in replacements]
    tokenizer.normalizer = normalizers.Sequence(parts)
    return tokenizer


@settings(deadline=None, max_examples=400)
@given(st.lists(REPLACEMENTS, min_size=1, max_size=12), st.text("ab é", min_size=1, max_size=30))
def test_what_is_taken_makes_no_text_sixteen_times_as_long(replacements: list[tuple[str, str]], text: str) -> None:
    tokenizer = with_replacements(replacements)
    try:
        check_growth(tokenizer)
    except ValueError:
        return
    assert len(tokenizer.normalizer.normalize_str(text).encode()) < 16 * (len(text.encode()) + 1)


@settings(deadline=None, max_examples=200)
@given(REPLACEMENTS, st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_a_replacement_within_words_is_the_same_on_both_sides_of_a_space(
    replacement: tuple[str, str], one: str, other: str
) -> None:
    tokenizer = with_replacements([replacement])
    if looks_beyond_words(normalizer_parts(tokenizer)[0]):
        return
    normalized = tokenizer.normalizer.normalize_str
    assert normalized(f"{one}c {other}") == normalized(f"{one}c") + normalized(f" {other}")


@pytest.mark.parametrize("pattern", ["", "a|", "(?=a)", r"\b", "a{0}", "(a|)", "(?!a)|b", "a*", ".?", "(?:a(b))"])
def test_forty_patterns_that_may_match_nothing_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="longer without bound"):
        check_growth(with_replacements([(pattern, "a")] * 40))


@pytest.mark.parametrize("pattern", [r"(?<=\p{L}{2})our\b", "ph(?=a)|(?<=a)ph", r"(?:ab|ba)", r"(?<=b)([ab])a(?=\1b)"])
def test_forty_that_match_as_much_as_they_write_are_taken(pattern: str) -> None:
    check_growth(with_replacements([(pattern, "or")] * 40))
