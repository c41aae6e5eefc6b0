"""The default model's recipe: an honest split, rows that are what they say, and a network that is transformers' own."""

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Qwen3ForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))

from recipe.batches import Encoder
from recipe.calibrate import calibrate, last_states
from recipe.checkpoint import Config, save_checkpoint
from recipe.make import SPELLING, spelling_kept, token_counts
from recipe.means import Words, likeness, make_bags
from recipe.ontologies import apart_from, different, without_words
from recipe.pool import Question
from recipe.rows import Draw, Row, make_terminology
from recipe.sources import Concept, fold, held_out_strings, load_hpo, split_of, training_concepts
from recipe.tokenizer import train_tokenizer
from recipe.wired import CONSTANT, DOCUMENT_BLANKS, EDGE, QUERY_BLANKS, SCORE, WIDTH, Learned, wired_weights
from reliability import reliability_plot

WORDS = ["renal", "calculus", "stone", "kidney", "left", "failure", "acute", "chronic", "of", "the", "ear", "Pain"]
TERMS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(train_tokenizer([" ".join(WORDS)] * 3, 800))


def test_no_held_out_string_is_learned() -> None:
    concepts = load_hpo()
    forbidden = {fold(text) for text in held_out_strings(concepts)}
    kept = training_concepts(concepts, forbidden)
    strings = {fold(text) for c in kept for text in (c.name, *(s for s, _ in c.synonyms))}
    assert strings and not strings & forbidden
    assert {split_of(c) for c in kept} == {"train"}


@given(st.lists(TERMS, min_size=1, max_size=6), TERMS)
def test_a_concept_is_left_out_for_a_held_out_string_in_any_order(names: list[str], held_out: str) -> None:
    concepts = [Concept(str(i), name) for i, name in enumerate(names)]
    left = {c.name for c in apart_from(concepts, {" ".join(reversed(held_out.split()))})}
    assert left == {name for name in names if sorted(fold(name).split()) != sorted(fold(held_out).split())}


def test_a_concept_with_a_drug_in_its_name_is_left_out() -> None:
    concepts = [
        Concept("a", "Vincristine sulfate"),
        Concept("b", "x", [("poly(VINCRISTINE)", "EXACT")]),
        Concept("c", "Vinca"),
    ]
    assert without_words(concepts, {"vincristine"}) == concepts[2:]


def test_synonyms_say_it_in_other_words() -> None:
    found = different(
        "Abdominal Injuries", ["Injuries, Abdominal", "Belly wound", "Wound, belly", "abdominal injuries"]
    )
    assert found == [("Belly wound", "EXACT")]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_rows_hold_the_right_answer_once(seed: int) -> None:
    concepts = [Concept(str(i), f"{a} {b} {c}", [(f"{c} {a}", "EXACT")]) for i, (a, b, c) in enumerate(combinations())]
    draw = Draw([source := make_terminology(concepts)], [1.0], candidates=6)
    rows = draw.rows(4, seed)
    assert rows == draw.rows(4, seed)  # equal seeds, equal rows
    for row in rows:
        assert len(row.candidates) == 6 and row.candidates[0] not in row.candidates[1:]
        assert 0 <= row.label[1] < len(source.concepts)


def combinations() -> list[tuple[str, str, str]]:
    """Names enough for pools of 50."""
    return [(a, b, c) for a in WORDS[:5] for b in WORDS[5:9] for c in WORDS[8:]]


def learned(vocabulary: int, units: int = 40) -> Learned:
    """As after a training, at random."""
    draw = np.random.default_rng(0)
    shapes = ((vocabulary, WIDTH), (vocabulary, 2 * EDGE), (units, EDGE), (units, EDGE), (WIDTH, units))
    return Learned(*(draw.standard_normal(shape).astype(np.float32) * 0.5 for shape in shapes))


def network_likeness(encoder: Encoder, words: Learned, item: Question) -> np.ndarray:
    """What the network makes of every candidate, up to a factor, shape (candidates,)."""
    config = Config(encoder.tokenizer.get_vocab_size())
    states = last_states(wired_weights(config, words, encoder.tokenizer), config, encoder, [item])
    return (states[:, SCORE] / states[:, CONSTANT]).numpy()


def test_the_network_scores_as_the_training_did(encoder: Encoder) -> None:
    words = learned(encoder.tokenizer.get_vocab_size())
    item = Question("acute renal failure", sorted({" ".join(words) for words in combinations()})[:40], 0)
    with torch.inference_mode():
        query = Words(words).means(make_bags(encoder.ids([item.query])), QUERY_BLANKS)
        names = Words(words).means(make_bags(encoder.ids(item.candidates)), DOCUMENT_BLANKS)
        expected = likeness(query, names[None])[0].numpy()
    found = network_likeness(encoder, words, item)
    factor = (found @ expected) / (expected @ expected)
    assert found / factor == pytest.approx(expected, abs=0.02)  # scores from 0 to 1
    assert np.ptp(expected) > 0.3


@settings(deadline=None, max_examples=10)
@given(st.lists(TERMS, min_size=2, max_size=5, unique_by=lambda text: " ".join(sorted(text.lower().split()))))
def test_nothing_is_more_like_a_term_than_itself(encoder: Encoder, names: list[str]) -> None:
    found = network_likeness(encoder, learned(encoder.tokenizer.get_vocab_size()), Question(names[0], names, 0))
    assert found.argmax() == 0


def test_letters_that_meet_where_a_word_is_cut_count(encoder: Encoder) -> None:
    words = learned(encoder.tokenizer.get_vocab_size())
    whole, cut = Words(words), Words(replace(words, edges=0 * words.edges))
    pieces = encoder.ids(["kidney renal"])[0]
    bags = make_bags([pieces, pieces[::-1]])
    with torch.inference_mode():
        assert torch.allclose(*cut.means(bags, 1), atol=1e-4)
        assert not torch.allclose(*whole.means(bags, 1), atol=1e-2)


def test_what_training_seldom_saw_keeps_its_spelling(encoder: Encoder) -> None:
    words = learned(encoder.tokenizer.get_vocab_size())
    first = replace(words, vectors=np.ones_like(words.vectors))
    rows = [Row("kidney", ["kidney stone", "ear"], (0, 0))]
    counts = token_counts(encoder, rows)
    often, never = encoder.ids(["kidney"])[0][0], encoder.ids(["ear"])[0][0]
    assert counts[often] > 0 == counts[never]
    added = spelling_kept(words, first, counts).vectors - words.vectors
    assert added[never, -SPELLING:] == pytest.approx(1) and np.all(added[often, -SPELLING:] < 0.5)
    assert not added[:, :-SPELLING].any()


def test_a_calibrated_checkpoint_answers_in_transformers(encoder: Encoder, tmp_path: Path) -> None:
    config = Config(encoder.tokenizer.get_vocab_size())
    names = sorted({" ".join(words) for words in combinations()})
    items = [Question(name, [name, *names[:i], *names[i + 1 :]][:40], 0) for i, name in enumerate(names[:20])]
    weights = calibrate(wired_weights(config, learned(config.vocab_size), encoder.tokenizer), config, encoder, items)
    save_checkpoint(weights, config, encoder.tokenizer, tmp_path)
    model = Qwen3ForCausalLM.from_pretrained(tmp_path).eval()
    yes, no = (encoder.tokenizer.token_to_id(word) for word in ("yes", "no"))
    scores = []
    for prompt in (ids for item in items for ids in encoder.prompts(item)):
        with torch.no_grad():
            logits = model(torch.tensor([prompt])).logits[0, -1]
        scores.append(float((logits[yes] - logits[no]).sigmoid()))
    right = np.array([i == 0 for item in items for i in range(len(item.candidates))])
    likely = np.argsort(scores)[-len(scores) // 10 :]
    assert np.mean(np.array(scores)[likely]) == pytest.approx(right[likely].mean(), abs=0.05)
    assert np.mean(np.array(scores)[right]) > 2 * np.mean(np.array(scores)[~right])


def test_the_plot_is_a_picture_with_every_bin() -> None:
    bins = [(0.1, 0.2, 100), (0.9, 0.8, 10)]
    root = ElementTree.fromstring(reliability_plot({"HPO": bins, "ICD-10-CM": bins[:1]}))
    assert len([e for e in root if e.tag.endswith("circle")]) == 3
