"""The default model's recipe: an honest split, rows that are what they say, and a network that is transformers' own."""

import random
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import Qwen3ForCausalLM

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))

from recipe.asked import listed_words, to_ask
from recipe.batches import Encoder, make_bags
from recipe.broader import make_broader, reached
from recipe.calibrate import Scale, fit_scale, found_by, with_scale
from recipe.checkpoint import Config, Weights, open_model, save_checkpoint
from recipe.composed import joined, load_composed
from recipe.foreign import as_salt, foreign, in_two
from recipe.generated import load_medicines
from recipe.laboratory import Analyte, laboratory, usual_analytes
from recipe.leftover import HARDLY
from recipe.means import Joints, Start, Taught, Tokens, likeness, means, train_words, without_emphasis
from recipe.medicines import FORMS, STRENGTHS, Product, medicines, prescription
from recipe.notes import noted_names
from recipe.ontologies import apart_from, different, without_words
from recipe.pool import Question
from recipe.prompts import prompt_ids
from recipe.rows import Draw, make_terminology
from recipe.sources import Concept, fold, held_out_strings, load_hpo, refuse_forbidden, split_of, training_concepts
from recipe.spelling import as_read
from recipe.state import SKETCH, WIDTH
from recipe.teaching import taught_texts
from recipe.tokenizer import train_tokenizer
from recipe.vectors import joints, spelling_vectors
from recipe.wired import wired_weights
from recipe.wording import something_else, tag_some, telegram, telling_words
from reliability import reliability_plot

WORDS = ["renal", "calculus", "stone", "kidney", "left", "failure", "acute", "chronic", "of", "the", "ear", "Pain"]
TERMS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


def shares_of_words(text: str) -> frozenset[tuple[str, float]]:
    """What a mean of a text's words can tell: "renal renal" is "renal" to it."""
    words = text.lower().split()
    return frozenset((word, words.count(word) / len(words)) for word in words)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(train_tokenizer([" ".join(WORDS)] * 3, 800))


def test_no_held_out_string_is_learned() -> None:
    concepts = load_hpo()
    forbidden = held_out_strings(concepts)
    kept = training_concepts(concepts, forbidden)
    strings = {as_read(text) for c in kept for text in c.strings}
    assert strings and not strings & forbidden
    assert {split_of(c) for c in kept} == {"train"}
    refuse_forbidden({"hpo": kept}, forbidden)


@pytest.mark.parametrize(
    ("text", "held_out", "other"), [("MI", "mi", "mitral"), ("Tumours, lung", "lung tumor", "lung")]
)
def test_a_held_out_string_in_another_case_or_spelling_is_refused(text: str, held_out: str, other: str) -> None:
    concepts = [Concept("1", "Pain", [(text, "EXACT")])]
    with pytest.raises(ValueError, match=rf"x would learn 1 strings that are held out, such as \['{text}'\]"):
        refuse_forbidden({"x": concepts}, {as_read(held_out)})
    refuse_forbidden({"x": concepts}, {as_read(other)})


@given(st.lists(TERMS, min_size=1, max_size=6), TERMS)
def test_a_concept_is_left_out_for_a_held_out_string_in_any_order(names: list[str], held_out: str) -> None:
    concepts = [Concept(str(i), name) for i, name in enumerate(names)]
    left = {c.name for c in apart_from(concepts, {as_read(" ".join(reversed(held_out.split())))})}
    assert left == {name for name in names if sorted(fold(name).split()) != sorted(fold(held_out).split())}


def test_a_concept_with_a_drug_in_its_name_is_left_out() -> None:
    concepts = [
        Concept("a", "Vincristine sulfate"),
        Concept("b", "x", [("poly(VINCRISTINE)", "EXACT")]),
        Concept("c", "Vinca"),
    ]
    assert without_words(concepts, {as_read("vincristine")}) == concepts[2:]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Parkinson's disease", "Parkinson disease"),
        ("Haemorrhage of the oesophagus", "hemorrhage of the esophagus"),
        ("Tumours, localised", "Tumor, localized"),
        ("Fracture of vertebrae", "vertebra fracture of"),
        ("Glycogen storage disease type III", "glycogen storage disease, type 3"),
        ("rifamycine", "RIFAMYCIN"),
        ("Difenidolum", "diphenidol"),
        ("ciclandelato", "cyclandelate"),
        ("histological type", "Histologic types"),
    ],
)
def test_spellings_of_a_word_are_read_as_one(encoder: Encoder, one: str, other: str) -> None:
    assert as_read(one) == as_read(other)
    assert sorted(encoder.ids([one])[0]) == sorted(encoder.ids([other])[0])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sulfate", "sulfite"),
        ("methane", "methene"),
        ("azide", "acid"),
        ("thick", "tick"),
        ("Rosaceae", "Rosacea"),
        ("5 mg", "5 m"),
        ("IV", "4"),
        ("cystine", "cysteine"),
        ("hypotension", "hypertension"),
    ],
)
def test_words_that_differ_are_read_apart(one: str, other: str) -> None:
    assert as_read(one) != as_read(other)


def test_notes_call_a_code_what_they_send_there() -> None:
    noted = noted_names()
    assert "congenital absence of teeth" in noted["K00.0"]  # excluded elsewhere
    assert "spastic colon" in noted["K58"]  # included there
    assert not any("classifiable" in text or text.endswith(":") for texts in noted.values() for text in texts)


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


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_broader_rows_ask_for_what_stands_above(seed: int) -> None:
    kinds = [Concept(word, word) for word in WORDS[:5]]
    below = [Concept(" ".join(words), " ".join(words), [], [words[0]]) for words in combinations()]
    lowest = [Concept(f"more {c.id}", f"more {c.name}", [], [c.id]) for c in below]
    concepts = [*kinds, *below, *lowest]
    draw = Draw([source := make_broader(concepts, 200)], [1.0], candidates=6)
    for row in draw.rows(4, seed):
        assert row.broader and row.candidates[0] not in row.candidates[1:]
    place = {c.id: i for i, c in enumerate(concepts)}
    parents = [[place[p] for p in c.parents] for c in concepts]
    for query, right, pool in zip(source.queries, source.right.tolist(), source.pools.tolist(), strict=True):
        asked = next(i for i, c in enumerate(concepts) if c.name == query)
        above = reached(asked, parents)
        assert right in above and asked not in pool and not above & set(pool)
        assert not any(asked in reached(other, parents) for other in pool)


def combinations() -> list[tuple[str, str, str]]:
    """Names enough for pools of 50."""
    return [(a, b, c) for a in WORDS[:5] for b in WORDS[5:9] for c in WORDS[8:]]


def word_vectors(encoder: Encoder) -> np.ndarray:
    """As after a training, at random."""
    draw = np.random.default_rng(0)
    return draw.standard_normal((encoder.tokenizer.get_vocab_size(), WIDTH)).astype(np.float32)


def word_tokens(encoder: Encoder) -> Tokens:
    """The same, of which some count nine times as much as others in a mean."""
    vectors = torch.from_numpy(word_vectors(encoder))
    order = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))
    return Tokens(vectors, torch.linspace(-1.7, 0.5, len(vectors))[order])


def meeting(encoder: Encoder) -> Joints:
    """What is added where two tokens of a word meet."""
    return joints(encoder.tokenizer, WIDTH, 160)


def trained_likeness(encoder: Encoder, tokens: Tokens, item: Question) -> torch.Tensor:
    """What the training's own arithmetic makes of every candidate, shape (candidates,)."""
    query = means(tokens, make_bags(encoder.ids([item.query])), meeting(encoder))
    return likeness(query, means(tokens, make_bags(encoder.ids(item.candidates)), meeting(encoder))[None])[0]


def network_prompts(encoder: Encoder, item: Question) -> list[list[int]]:
    """Token ids of every candidate's prompt."""
    return prompt_ids(encoder.tokenizer, [(item.query, name) for name in item.candidates])


def wired(encoder: Encoder, tokens: Tokens, bend: float) -> tuple[Weights, Config]:
    """The network of these tokens."""
    config = Config(encoder.tokenizer.get_vocab_size())
    return wired_weights(config, tokens, meeting(encoder), encoder.tokenizer, bend), config


@torch.inference_mode()
def network_logits(encoder: Encoder, tokens: Tokens, item: Question, scale: Scale) -> torch.Tensor:
    """What the network makes of them, shape (candidates,)."""
    weights, config = wired(encoder, tokens, scale.bend)
    yes, no = (encoder.tokenizer.token_to_id(word) for word in ("yes", "no"))
    model = open_model(with_scale(weights, config, yes, no, scale), config)
    found = [model(torch.tensor([prompt])).logits[0, -1] for prompt in network_prompts(encoder, item)]
    return torch.stack([logits[yes] - logits[no] for logits in found])


def test_the_network_scores_as_the_training_did(encoder: Encoder) -> None:
    tokens, scale = word_tokens(encoder), Scale(0.5, 3.0, -1.0)
    names = [*sorted({" ".join(words) for words in combinations()})[:40], "hydroxyzine", "acutte renal failuer"]
    item = Question("acute renal failuer hydrox", names, 0)
    expected = scale.logits(trained_likeness(encoder, tokens, item))
    assert network_logits(encoder, tokens, item, scale).tolist() == pytest.approx(expected.tolist(), abs=0.05)
    assert np.ptp(expected) > 1


def unlike_tokens(encoder: Encoder) -> Tokens:
    """The pieces of all words at right angles and of about one length; a sketch shows that."""
    pieces = sorted({i for ids in encoder.ids(WORDS) for i in ids})
    vectors = word_vectors(encoder) * np.repeat([1.0, 0.1], [SKETCH, WIDTH - SKETCH]).astype(np.float32)
    lengths = SKETCH**0.5 * np.linspace(1.0, 1.15, len(pieces))
    vectors[pieces, :SKETCH] = lengths[:, None] * np.eye(SKETCH)[: len(pieces)]
    return without_emphasis(torch.from_numpy(vectors))


def left_over(encoder: Encoder, tokens: Tokens, pairs: list[tuple[str, str]]) -> torch.Tensor:
    """What is left over of each pair, shape (pairs,), before it is counted as far as they are alike."""
    found, counted = found_by(*wired(encoder, tokens, 0.0), prompt_ids(encoder.tokenizer, pairs))
    return counted / (found - HARDLY)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True), st.randoms(), st.data())
def test_what_one_text_alone_has_is_left_over(
    encoder: Encoder, words: list[str], draw: random.Random, data: st.DataObject
) -> None:
    turned = draw.sample(words, len(words))
    more = data.draw(st.sampled_from([word for word in WORDS if word not in words]))
    short, long, same = " ".join(words), " ".join([*turned, more]), " ".join(turned)
    left = left_over(encoder, unlike_tokens(encoder), [(short, same), (short, long), (long, short)])
    assert left[0] < 0.4 < 0.6 < min(left[1:])


@pytest.mark.parametrize("short", ["kidney stone", "pain", "ear failure chronic"])
@pytest.mark.parametrize(("length", "emphasis"), [(0.1, 0.0), (1.0, -2.3)])
def test_a_word_that_tells_little_is_not_left_over(
    encoder: Encoder, short: str, length: float, emphasis: float
) -> None:
    tokens, (little, *_) = unlike_tokens(encoder), encoder.ids(["of"])[0]
    tokens.vectors[little] *= length
    tokens.emphasis[little] = emphasis
    left = left_over(encoder, tokens, [(short, f"{short} of"), (f"of {short}", short), (short, f"{short} left")])
    assert max(left[:2]) < 0.3 < 0.6 < left[2]


def test_what_both_texts_have_more_is_left_over_of_both(encoder: Encoder) -> None:
    pairs = [("kidney stone", "stone left kidney"), ("acute kidney stone", "kidney stone left")]
    one, both = left_over(encoder, unlike_tokens(encoder), pairs)
    assert both > one + 0.15


def test_nothing_is_left_over_of_texts_that_have_nothing_in_common(encoder: Encoder) -> None:
    prompts = prompt_ids(encoder.tokenizer, [("kidney stone", "ear"), ("kidney stone", "kidney ear")])
    _, (unlike, alike) = found_by(*wired(encoder, unlike_tokens(encoder), 0.0), prompts)
    assert abs(unlike) < 0.02 < 0.2 < alike


def test_a_logit_is_what_the_scale_makes_of_what_the_network_finds(encoder: Encoder) -> None:
    tokens, scale = without_emphasis(torch.from_numpy(word_vectors(encoder))), Scale(0.5, 3.0, -1.0, 2.0)
    item = Question("acute renal failure", ["renal failure acute", "renal failure", "ear", "left ear pain"], 0)
    found = found_by(*wired(encoder, tokens, 0.0), network_prompts(encoder, item))
    expected = scale.logits(*found)
    assert network_logits(encoder, tokens, item, scale).tolist() == pytest.approx(expected.tolist(), rel=0.01)
    assert (expected < Scale(0.5, 3.0, -1.0).logits(found[0]) - 1)[1]


def test_letters_that_meet_where_a_word_is_cut_count(encoder: Encoder) -> None:
    pieces = encoder.ids(["hydroxyzine"])[0]
    with_joints, without = (
        means(word_tokens(encoder), make_bags([pieces, pieces[::-1]]), joints) for joints in (meeting(encoder), None)
    )
    assert torch.allclose(*without, atol=1e-4) and not torch.allclose(*with_joints, atol=1e-2)


@settings(deadline=None, max_examples=10)
@given(st.lists(TERMS, min_size=2, max_size=5, unique_by=shares_of_words))
def test_nothing_is_more_like_a_term_than_itself(encoder: Encoder, names: list[str]) -> None:
    found = network_logits(encoder, word_tokens(encoder), Question(names[0], names, 0), Scale())
    assert found.argmax() == 0 and found[0] > 0.98


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Kidney Stones", "stone, kidney"),
        ("abscesses", "Abscess"),
        ("Ménière", "meniere"),
        ("500mg", "500 MG"),
        ("β-thalassemia", "Beta thalassemia"),
    ],
)
def test_case_order_number_accents_and_spaces_are_no_difference(encoder: Encoder, text: str, other: str) -> None:
    ours, theirs = encoder.ids([text, other])
    assert sorted(ours) == sorted(theirs)


def test_a_word_in_two_tokens_is_the_same_word(encoder: Encoder) -> None:
    whole, cut = encoder.ids(["kidney failure"])[0], encoder.cut_ids(["kidney failure"] * 20, True, 0)
    spelt = ["".join(encoder.tokenizer.id_to_token(i) for i in ids) for ids in [whole, *cut]]
    assert len(set(spelt)) == 1 and len(whole) < max(map(len, cut)) <= 2 * len(whole)
    assert encoder.cut_ids(["kidney failure"], False, 0) == [whole]


def test_what_is_taught_is_nothing_forbidden() -> None:
    given, words = ["Left kidney stone", "Right ear pain again"], ["mother", "pain"]
    texts = taught_texts(given, words, {as_read(text) for text in ("left kidney stone", "pain", "right ear")})
    assert {"Right ear pain again", "kidney", "stone", "mother"} < set(texts)
    assert not {"Left kidney stone", "pain", "right ear"} & set(texts)


@given(st.integers(0, 10**6))
def test_other_spellings_are_near(seed: int) -> None:
    draw = random.Random(seed)
    assert sum(a != b for a, b in zip(foreign("carnitine", draw), "carnitine", strict=False)) <= 6
    assert "".join(filter(str.isalpha, in_two("carnitine", draw))) == "carnitine"
    assert as_salt("carnitine", draw).startswith("carnitine")


def test_training_brings_synonyms_together(encoder: Encoder) -> None:
    others = [Concept(str(i), " ".join(words)) for i, words in enumerate(combinations())]
    concepts = [Concept("kidney", "kidney failure", [("ear pain", "EXACT")]), *others]
    table = word_vectors(encoder)
    begin = Start(table[:, :128], spelling_vectors(encoder.tokenizer, WIDTH - 128), np.ones(len(table), np.float32))
    taught = Taught(encoder.ids(WORDS), torch.randn(len(WORDS), 16))
    draw = Draw([make_terminology(concepts)], [1.0], candidates=6)
    bags = make_bags(encoder.ids(["ear pain", "kidney failure"]))
    found = []
    for tokens in (train_words(begin, draw, encoder, taught, steps, rate=0.1) for steps in (1, 12)):
        query, name = means(tokens, bags)
        found.append(float(likeness(query[None], name[None, None])))
    assert found[1] > found[0] + 0.2


def test_no_text_becomes_an_answer(encoder: Encoder) -> None:
    answers = {encoder.tokenizer.token_to_id(word) for word in ("yes", "no")}
    assert None not in answers and not answers & {i for ids in encoder.ids(["yes", "no", "Yes no"]) for i in ids}


def test_words_of_like_letters_have_like_spelling(encoder: Encoder) -> None:
    tokens = without_emphasis(torch.from_numpy(spelling_vectors(encoder.tokenizer, 160)))
    query, *names = means(tokens, make_bags(encoder.ids(["hydroxyzine", "hydroxyzin", "amlodipine"])))
    near, far = likeness(query[None], torch.stack(names)[None])[0].tolist()
    assert near > 0.7 > far


def test_names_by_pattern_differ_and_say_what_they_are() -> None:
    tests, drugs = laboratory([Analyte("Sodium"), Analyte("Lactate")], "x"), medicines(["amoxal", "betin"], "x")
    for concepts in (tests, drugs):
        assert len({c.name for c in concepts}) == len(concepts) > 4
        assert all(len(c.exact) > 0 for c in concepts)
    assert all(c.name.startswith(("Sodium ", "Lactate ")) for c in tests)
    assert concepts == medicines(["amoxal", "betin"], "x")  # equal seeds, equal names


@given(st.integers(0, 10**6))
def test_a_prescription_of_a_liquid_says_the_product_s_concentration(seed: int) -> None:
    draw = random.Random(seed)
    form = next(form for form in FORMS if form.name == "Injectable Solution")
    amount, per, volume = draw.choice(STRENGTHS), draw.choice((1, 5, 10)), draw.choice((0, 2, 10))
    product = Product(("amoxal",), "", "", (amount,), "MG", form, per, volume)
    said = re.search(r"([\d,.]+) ?(mgs?|gm?|mcg|ug)(?: ?/ ?| per )(\d*) ?mL", prescription(product, draw))
    if said:  # not if it says a percentage, or no volume
        milligrams = float(said[1].replace(",", "")) * {"m": 1, "g": 1000, "u": 0.001}[said[2][0]]
        milligrams = milligrams / 1000 if said[2] == "mcg" else milligrams
        assert milligrams / int(said[3] or 1) == pytest.approx(amount / per)
    assert product.name.startswith(f"{volume} ML amoxal {amount:g} MG/" if volume else f"amoxal {amount:g} MG/")


def test_the_usual_test_is_asked_for_without_its_place() -> None:
    white_cells = next(a for a in usual_analytes() if a.name == "Leukocytes")
    usual, *others = laboratory([white_cells], "x")
    assert usual.name.endswith(" in Blood") and {"WBC", "white count"} & set(usual.exact)
    assert not {said for test in others for said in test.exact} & set(white_cells.said)


@pytest.mark.parametrize(
    ("root", "ending", "word"),
    [
        ("gastr", "scopy", "gastroscopy"),
        ("calci", "uria", "calciuria"),
        ("cardi", "itis", "carditis"),
        ("nephr", "ectomy", "nephrectomy"),
    ],
)
def test_words_are_put_together_from_their_parts(root: str, ending: str, word: str) -> None:
    assert joined(root, ending) == word


def test_words_put_together_say_what_they_mean() -> None:
    concepts = {text: set(c.strings) for c in load_composed() for text in c.strings}
    assert concepts["nephrectomy"] & {"removal of kidney", "kidney removal", "excision of kidney", "renal resection"}
    assert concepts["hypercalciuria"] & {"high calcium in urine", "elevated urine calcium", "increased urinary calcium"}
    assert concepts["hyperkalemia"] & {"high blood potassium", "high potassium in blood", "elevated potassium"}


def test_what_training_has_is_not_asked() -> None:
    concepts = [Concept("1", "leukocyte", [("Cells, white", "EXACT"), ("white corpuscle", "EXACT")])]
    assert to_ask(concepts, ("train", "dev", "test"), 5, {as_read("white cell")}) == [("white corpuscle", 0)]
    assert "wbc" in listed_words()


def test_products_are_of_drugs_that_are_not_held_out() -> None:
    concepts = load_medicines(["metoprolol", "warfarin"], ["Benzene", "Metoprolol"], held_out={as_read("metoprolol")})
    texts = " ".join(text.lower() for c in concepts for text in c.strings)
    assert "warfarin" in texts and "benzene" in texts and "metoprolol" not in texts


def test_a_word_that_two_names_differ_in_makes_another_thing() -> None:
    names = ["Ear pain", "Pain, chronic, ear", "Ear pain, unspecified", "Chronic ear pain in sleep", "Kidney stone"]
    assert telling_words(names) == ["chronic"]
    offered = {something_else("Ear pain", "otalgia", ["chronic"], random.Random(seed)) for seed in range(50)}
    assert "Ear pain chronic" in offered and "Ear pain" not in offered and len(offered) > 5
    assert "Ear pain chronic" not in {
        something_else("Ear pain", "chronic otalgia", ["chronic"], random.Random(seed)) for seed in range(50)
    }


@given(TERMS, st.integers(0, 10**6))
@example("of", 68766)
def test_a_telegram_is_never_empty_and_a_tag_stands_on_one_side(text: str, seed: int) -> None:
    draw = random.Random(seed)
    assert telegram(text, draw).strip()
    query, *candidates = tag_some([text, text, text], draw)
    assert (query == text) != (candidates == [text, text])


def test_the_scale_tells_how_often_a_likeness_is_right() -> None:
    draw = torch.Generator().manual_seed(0)
    found, left = torch.rand(20_000, generator=draw) * 2 - 1, torch.rand(20_000, generator=draw)
    truth = Scale(0.6, 2.0, -3.0, 1.0)
    right = torch.bernoulli(truth.logits(found, left).sigmoid(), generator=draw)
    fitted = fit_scale(found, left, right)
    top, leftover = torch.linspace(0.85, 1, 10), torch.linspace(0, 1, 4)[:, None]
    assert torch.allclose(fitted.logits(top, leftover).sigmoid(), truth.logits(top, leftover).sigmoid(), atol=0.06)


def test_a_checkpoint_answers_in_transformers(encoder: Encoder, tmp_path: Path) -> None:
    tokens, scale = word_tokens(encoder), Scale(0.5, 3.0, -1.0)
    yes, no = (encoder.tokenizer.token_to_id(word) for word in ("yes", "no"))
    weights, config = wired(encoder, tokens, scale.bend)
    weights = with_scale(weights, config, yes, no, scale)
    save_checkpoint(weights, config, encoder.tokenizer, tmp_path)
    model = Qwen3ForCausalLM.from_pretrained(tmp_path).eval()
    item = Question("renal stone", ["Stones, renal", "ear pain"], 0)
    with torch.inference_mode():
        found = [model(torch.tensor([prompt])).logits[0, -1] for prompt in network_prompts(encoder, item)]
    scores = [float((logits[yes] - logits[no]).sigmoid()) for logits in found]
    assert scores == pytest.approx(scale.logits(trained_likeness(encoder, tokens, item)).sigmoid().tolist(), abs=0.01)


def test_the_plot_is_a_picture_with_every_bin() -> None:
    bins = [(0.1, 0.2, 100), (0.9, 0.8, 10)]
    root = ElementTree.fromstring(reliability_plot({"HPO": bins, "ICD-10-CM": bins[:1]}))
    assert len([e for e in root if e.tag.endswith("circle")]) == 3
