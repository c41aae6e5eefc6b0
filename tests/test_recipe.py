"""The default model's recipe: an honest split, rows that are what they say, and a network that is transformers' own."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))

from recipe.batches import Encoder
from recipe.network import Config
from recipe.ontologies import apart_from, different
from recipe.pool import Question
from recipe.rows import Draw, make_terminology
from recipe.sources import Concept, fold, held_out_strings, load_hpo, split_of, training_concepts
from recipe.tokenizer import train_tokenizer
from recipe.train import answers, ask, open_checkpoint, save_checkpoint
from reliability import reliability_plot

WORDS = ["renal", "calculus", "stone", "kidney", "left", "failure", "acute", "chronic", "of", "the", "ear", "Pain"]
TERMS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(train_tokenizer([" ".join(WORDS)] * 3, 400))


def test_no_held_out_string_is_learned() -> None:
    concepts = load_hpo()
    forbidden = {fold(text) for text in held_out_strings(concepts)}
    learned = training_concepts(concepts, forbidden)
    strings = {fold(text) for c in learned for text in (c.name, *(s for s, _ in c.synonyms))}
    assert strings and not strings & forbidden
    assert {split_of(c) for c in learned} == {"train"}


@given(st.lists(TERMS, min_size=1, max_size=6), TERMS)
def test_a_concept_is_left_out_for_a_held_out_string_in_any_order(names: list[str], held_out: str) -> None:
    concepts = [Concept(str(i), name) for i, name in enumerate(names)]
    left = {c.name for c in apart_from(concepts, {" ".join(reversed(held_out.split()))})}
    assert left == {name for name in names if sorted(fold(name).split()) != sorted(fold(held_out).split())}


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


def test_the_packed_network_is_transformers_own(encoder: Encoder, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = Config(encoder.plain.get_vocab_size(), 64, 96, 2, 4, 2, 16)
    model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**vars(config), tie_word_embeddings=True))
    weights = {
        n: torch.randn_like(t) * 0.1 + (t.ndim == 1) for n, t in model.state_dict().items() if n != "lm_head.weight"
    }
    save_checkpoint(weights, config, encoder.plain, tmp_path)
    read, same, tokenizer = open_checkpoint(tmp_path)
    assert same == config and tokenizer.to_str() == encoder.plain.to_str()
    items = [
        Question("renal stone", ["kidney stone", "pain of the left ear"], 0),
        Question("ear", ["ear Pain", "left"], 0),
    ]
    yes, no = answers(tokenizer)
    model = transformers.Qwen3ForCausalLM.from_pretrained(tmp_path).eval()
    for item, row in zip(items, ask(read, config, encoder, items, torch.float32), strict=True):
        for candidate, score in zip(item.candidates, row, strict=True):
            ids = [*encoder.head, *encoder.ids([f" {item.query}\n<Document>:"])[0]]
            ids += encoder.ids([f" {candidate}"])[0] + encoder.suffix
            with torch.no_grad():
                logits = model(torch.tensor([ids])).logits[0, -1]
            assert score == pytest.approx(float(logits[yes] - logits[no]), abs=1e-4)


def test_the_plot_is_a_picture_with_every_bin() -> None:
    bins = [(0.1, 0.2, 100), (0.9, 0.8, 10)]
    root = ElementTree.fromstring(reliability_plot({"HPO": bins, "ICD-10-CM": bins[:1]}))
    assert len([e for e in root if e.tag.endswith("circle")]) == 3
