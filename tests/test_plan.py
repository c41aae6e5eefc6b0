"""The plan alone: pure, so that its laws can be checked without a model."""

from itertools import takewhile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.batches import ceil_div, chunk_ends, cut_batches, even_budget, least_budget
from aatm_onnx.runtime.plan import Begin, Budgets, Extend, Free, Remember, Score, Step, plan
from aatm_onnx.runtime.prefix_tree import PrefixNode, common_length, common_lengths, prefix_tree

Prompt = list[int]

# A few tokens and long repeats make for many ways to share: nested, empty, whole prompts equal or within each other.
repeats = st.builds(lambda token, times: [token] * times, st.integers(0, 3), st.integers(1, 50))
prompts = st.lists(repeats, min_size=1, max_size=4).map(lambda parts: [token for part in parts for token in part])
many = st.lists(prompts, min_size=1, max_size=12, unique_by=tuple)
known_prefixes = st.lists(st.one_of(st.just([]), prompts), min_size=1, max_size=3)
budgets = st.builds(Budgets, st.integers(1, 400), st.integers(1, 200), st.integers(1, 3), st.booleans())


def arrays(rows: list[Prompt]) -> list[TokenIds]:
    return [np.array(row, np.int32) for row in rows]


class Replay:
    """Runs a plan on token ids instead of a model, and refuses every step that the model could not do."""

    def __init__(self, rows: list[TokenIds], known: list[TokenIds]) -> None:
        self.rows = rows
        self.live = {number: ids.tolist() for number, ids in enumerate(known)}
        self.scored: list[int] = []
        self.largest_run = self.most_live = 0

    def run(self, steps: list[Step]) -> "Replay":
        for step in steps:
            self.do(step)
            self.most_live = max(self.most_live, len(self.live))
        return self

    def do(self, step: Step) -> None:
        match step:
            case Begin(prefix, source, length):
                assert prefix not in self.live and length <= len(self.live[source])
                self.live[prefix] = self.live[source][:length]
            case Extend(prefix, source, prompt, stop):
                self.extend(prefix, self.live[source], self.rows[prompt].tolist()[:stop])
            case Remember(prefix):
                assert prefix in self.live
            case Free(prefix):
                del self.live[prefix]
            case Score(prefix, indices, chunks, lead):
                start = [] if prefix is None else self.live[prefix]
                for stop in chunks:
                    (alone,) = indices
                    start = self.extended(start, self.rows[alone].tolist()[:stop])
                own = [len(self.rows[index]) - len(start) for index in indices]
                assert all(self.rows[index].tolist()[: len(start)] == start for index in indices) and min(own) > 0
                if lead:
                    shared = self.rows[indices[0]].tolist()[:lead]
                    assert all(self.rows[index].tolist()[:lead] == shared for index in indices)
                    own = [lead - len(start), *(len(self.rows[index]) - lead for index in indices)]
                    assert min(own) > 0
                self.largest_run = max(self.largest_run, max(own) * len(own))
                self.scored += indices

    def extend(self, prefix: int, source: Prompt, ids: Prompt) -> None:
        assert prefix not in self.live
        self.live[prefix] = self.extended(source, ids)

    def extended(self, source: Prompt, ids: Prompt) -> Prompt:
        assert ids[: len(source)] == source and len(ids) > len(source)
        self.largest_run = max(self.largest_run, len(ids) - len(source))
        return ids


@settings(max_examples=300, deadline=None)
@given(rows=many, known=known_prefixes, limits=budgets)
def test_every_prompt_is_scored_once_after_tokens_that_it_starts_with(
    rows: list[Prompt], known: list[Prompt], limits: Budgets
) -> None:
    ids = arrays(rows)
    replay = Replay(ids, arrays(known)).run(plan(ids, arrays(known), limits))
    assert sorted(replay.scored) == list(range(len(rows)))
    assert set(replay.live) == set(range(len(known)))  # what the plan made, it freed


@settings(max_examples=300, deadline=None)
@given(rows=many, known=known_prefixes, limits=budgets)
def test_no_run_is_larger_than_the_budgets_allow(rows: list[Prompt], known: list[Prompt], limits: Budgets) -> None:
    ids = arrays(rows)
    replay = Replay(ids, arrays(known)).run(plan(ids, arrays(known), limits))
    assert replay.largest_run <= max(limits.tokens, limits.chunk)


@settings(max_examples=100, deadline=None)
@given(rows=many, known=known_prefixes, limits=budgets)
def test_a_plan_is_the_same_every_time(rows: list[Prompt], known: list[Prompt], limits: Budgets) -> None:
    assert plan(arrays(rows), arrays(known), limits) == plan(arrays(rows), arrays(known), limits)


@settings(max_examples=100, deadline=None)
@given(rows=many, own=prompts, limits=budgets)
def test_tokens_of_the_bundles_prefix_are_never_taken_from_elsewhere(
    rows: list[Prompt], own: Prompt, limits: Budgets
) -> None:
    """A cached prefix that agrees with the bundle's is used only from where the bundle's ends."""
    ids, bundles = arrays(rows), np.array(own, np.int32)
    for step in plan(ids, [bundles, bundles], limits):
        assert not (isinstance(step, Begin) and step.source == 1)


def test_without_known_prefixes_nothing_is_shared() -> None:
    steps = plan(arrays([[1] * 50 + [end] for end in range(5)]), [], Budgets(400, 256))
    assert all(isinstance(step, Score) and step.prefix is None and not step.chunks for step in steps)


def test_few_prefixes_are_live_however_deep_prompts_share() -> None:
    """At every level three prompts end, after 40 more tokens that they share."""
    for deeper in (1, 2):
        stem, rows = list[int](), list[Prompt]()
        for _ in range(30):
            rows += [[*stem, *[3 - deeper] * 40, end] for end in (5, 6, 7)]
            stem += [deeper] * 40
        ids, empty = arrays(rows), np.zeros(0, np.int32)
        replay = Replay(ids, [empty]).run(plan(ids, [empty], Budgets(384, 256, 2)))
        assert replay.most_live <= 7  # the known one, the remembered one, and few that are in work


def test_a_remembered_prefix_is_begun_with_by_the_next_plan() -> None:
    empty = np.zeros(0, np.int32)
    first, second = arrays([[*range(100), end] for end in range(8)]), arrays([[*range(100), 200, e] for e in range(8)])
    steps = plan(first, [empty], Budgets(384, 256))
    replay = Replay(first, [empty])
    remembered = []
    for step in steps:
        if isinstance(step, Remember):
            remembered.append(np.array(replay.live[step.prefix], np.int32))
        replay.do(step)
    assert [len(ids) for ids in remembered] == [100]
    begins = [step for step in plan(second, [empty, *remembered], Budgets(384, 256)) if isinstance(step, Begin)]
    assert any((step.source, step.length) == (1, 100) for step in begins)


def test_what_a_querys_candidates_share_leads_them_in_one_run_if_it_is_no_longer_than_they_are() -> None:
    (led,) = led_steps(query=20, own=20, candidates=5)
    assert isinstance(led, Score) and (led.lead, led.remembers, len(led.prompts)) == (20, True, 5)
    assert isinstance(led_steps(query=60, own=20, candidates=5)[0], Extend)  # five rows would be padded to 60
    assert isinstance(led_steps(query=70, own=70, candidates=5)[0], Extend)  # too many for one batch


def test_a_query_leads_a_batch_of_every_worker_if_there_is_enough_work_and_no_other_query_follows() -> None:
    split = led_steps(query=20, own=20, candidates=10, workers=2)
    assert [(step.lead, len(step.prompts), step.remembers) for step in split if isinstance(step, Score)] == [
        (20, 5, True),
        (20, 5, False),
    ]
    assert len(split) == 2
    assert len(led_steps(query=20, own=20, candidates=6, workers=2)) == 1  # two batches of 60 tokens are too small
    assert [len(step.prompts) for step in led_steps(20, 20, 10, 2, queries=3) if isinstance(step, Score)] == [
        10,
        10,
        5,
        5,
    ]
    assert isinstance(led_steps(query=30, own=20, candidates=10, workers=2)[0], Extend)  # a second row of 30 costs more


def led_steps(query: int, own: int, candidates: int, workers: int = 1, queries: int = 1) -> list[Step]:
    """What is run for queries whose candidates share `query` tokens."""
    rows = [
        [*range(100 * number, 100 * number + query), 1000 + row, *range(own - 1)]
        for number in range(queries)
        for row in range(candidates)
    ]
    steps = plan(arrays(rows), [np.zeros(0, np.int32)], Budgets(384, 256, workers, leads=True))
    return [step for step in steps if isinstance(step, Extend | Score)]


@settings(max_examples=200)
@given(rows=many, run_cost=st.integers(0, 40))
def test_a_tree_has_every_prompt_once_under_tokens_that_it_starts_with(rows: list[Prompt], run_cost: int) -> None:
    found: list[int] = []

    def walk(node: PrefixNode, start: int) -> list[int]:
        below = node.prompts + [index for child in node.children for index in walk(child, node.stop)]
        assert start <= node.stop
        assert len({tuple(rows[index][: node.stop]) for index in below}) == 1
        assert all(node.stop < len(rows[index]) for index in below)
        if start < node.stop:
            assert (len(below) - 1) * (node.stop - start) > 2 * run_cost
        found.extend(node.prompts)
        return below

    walk(prefix_tree(arrays(rows), range(len(rows)), run_cost=run_cost), 0)
    assert sorted(found) == list(range(len(rows)))


def test_the_tree_of_queries_with_candidates_shares_prompt_and_each_query() -> None:
    prompt, queries = [1] * 40, ([2] * 20, [3] * 20)
    rows = arrays([[*prompt, *query, 10 + i, 99] for query in queries for i in range(10)])
    root = prefix_tree(rows, range(len(rows)))
    (shared,) = root.children
    assert shared.stop == 40
    assert sorted((node.stop, sorted(node.prompts)) for node in shared.children) == [
        (60, list(range(10))),
        (60, list(range(10, 20))),
    ]


@given(start=st.integers(0, 500), length=st.integers(1, 3000), most=st.integers(1, 600))
def test_chunks_are_equal_and_within_their_limit(start: int, length: int, most: int) -> None:
    ends = chunk_ends(start, start + length, most)
    sizes = np.diff([start, *ends])
    assert ends[-1] == start + length and sizes.max() <= most and sizes.min() > 0
    assert len(ends) == -(-length // most) or sizes[:-1].min(initial=most) == sizes.max()


lengths_of_rows = st.lists(st.integers(1, 300), max_size=40)


@given(lengths=lengths_of_rows, budget=st.integers(1, 1000))
def test_batches_have_every_row_once_within_the_budget_longest_first(lengths: list[int], budget: int) -> None:
    batches = list(cut_batches(lengths, budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= budget
    longest = [max(lengths[row] for row in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)


@given(lengths=lengths_of_rows, batches=st.integers(1, 8), lead=st.integers(0, 300))
def test_no_smaller_budget_makes_as_few_batches(lengths: list[int], batches: int, lead: int) -> None:
    budget = least_budget(lengths, batches, lead)
    assert len(list(cut_batches(lengths, budget, lead))) <= batches
    assert budget == 0 or len(list(cut_batches(lengths, budget - 1, lead))) > batches


@given(lengths=lengths_of_rows, most=st.integers(1, 1000), workers=st.integers(1, 8))
def test_even_batches_are_within_the_budget_and_no_more_than_the_workers_rounds(
    lengths: list[int], most: int, workers: int
) -> None:
    batches = list(cut_batches(lengths, even_budget(lengths, most, workers)))
    rounds = ceil_div(len(list(cut_batches(lengths, most))), workers)
    assert len(batches) <= rounds * workers
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= most


def test_a_query_leads_no_batch_that_its_padding_makes_dearer_than_a_run() -> None:
    """One long candidate would pad the query, and all others beside it."""
    for own, query, workers in (([60] + [2] * 30, 3, 8), ([100] + [20] * 8, 18, 4), ([30] + [2] * 8, 30, 2)):
        rows = [[*range(query), 1000 + row, *range(length - 1)] for row, length in enumerate(own)]
        steps = plan(arrays(rows), [np.zeros(0, np.int32)], Budgets(384, 256, workers, leads=True))
        assert any(isinstance(step, Extend) for step in steps)


def test_a_long_row_among_short_ones_does_not_fill_a_worker_alone() -> None:
    """As many rows for each of two workers would be 25 of 20 tokens beside 25 of 5."""
    rows = [20] * 5 + [5] * 45
    sizes = [len(batch) * max(rows[row] for row in batch) for batch in cut_batches(rows, even_budget(rows, 384, 2))]
    assert len(sizes) == 2 and max(sizes) < 1.2 * min(sizes)


ids = st.lists(st.integers(0, 2), max_size=9)


@given(pairs=st.lists(st.tuples(ids, ids), max_size=200))
def test_common_lengths(pairs: list[tuple[Prompt, Prompt]]) -> None:
    firsts, seconds = (arrays([pair[side] for pair in pairs]) for side in (0, 1))
    expected = [sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(*pair, strict=False))) for pair in pairs]
    assert common_lengths(firsts, seconds).tolist() == expected
    assert [common_length(a, b) for a, b in zip(firsts, seconds, strict=True)] == expected
