"""Training of the reranker: rows of one query with K candidates, listwise cross-entropy and a little binary one."""

import json
import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import Qwen3Config

from aatm_onnx.prompt import DEFAULT_PREFIX, DEFAULT_SUFFIX
from recipe.network import Batch, Weights, make_batch, scores
from recipe.pool import Question, gold_ranks, hit_and_mrr
from recipe.rows import Terminology, disturb
from recipe.start import DOCUMENT_BLANKS, QUERY_BLANKS
from recipe.static import bags, likeness
from recipe.tokenizer import HEAD, query_text, save_tokenizer


@dataclass
class Plan:
    """What a run needs to know."""

    steps: int = 600  # of each process
    rows: int = 32
    candidates: int = 12
    rate: float = 1.2e-3
    binary: float = 0.2  # weight of the binary loss
    share: tuple[float, ...] = (0.65, 0.35)  # of each terminology
    average: float = 0.998  # decay of the averaged weights
    processes: int = 2
    kept: float = 0.25  # share of the starting weights in the result
    report_every: int = 150  # steps
    seed: int = 0


class Rows:
    """Draws batches of training rows out of terminologies."""

    def __init__(self, sources: list[Terminology], tokenizer: Tokenizer, vectors: np.ndarray, plan: Plan) -> None:
        self.sources, self.plan = sources, plan
        self.tokenizer = tokenizer
        self.reseed(plan.seed)
        self.head = tokenizer.encode(DEFAULT_PREFIX).ids + tokenizer.encode(HEAD).ids
        self.suffix = tokenizer.encode(DEFAULT_SUFFIX).ids
        self.names = [[e.ids for e in tokenizer.encode_batch([f" {c.name}" for c in s.concepts])] for s in sources]
        self.closeness = [static_closeness(s, tokenizer, vectors) for s in sources]
        self.synonyms = [len(s.queries) - len(s.concepts) for s in sources]  # names ask after them

    def reseed(self, seed: int) -> None:
        """Begin another sequence of draws."""
        self.draw, self.noise = random.Random(seed), np.random.default_rng(seed)

    def batch(self) -> Batch:
        """Rows with the right answer first."""
        queries, documents = [], []
        for which in self.draw.choices(range(len(self.sources)), self.plan.share, k=self.plan.rows):
            query, texts = self.row(which)
            queries.append(self.tokenizer.encode(query_text(query)).ids)
            documents.append([ids + self.suffix for ids in texts])
        return make_batch(self.head, queries, documents)

    def row(self, which: int) -> tuple[str, list[list[int]]]:
        """One query and its candidates' token ids, the right one first."""
        source, draw = self.sources[which], self.draw
        real = self.synonyms[which]
        at = draw.randrange(real) if draw.random() < 0.8 else draw.randrange(real, len(source.queries))
        right, query = int(source.right[at]), source.queries[at]
        if at >= real or draw.random() < 0.15:
            query = disturb(query, draw)
        keys = self.closeness[which][at] + self.noise.gumbel(size=source.pools.shape[1])
        wrong = source.pools[at][np.argpartition(-keys, self.plan.candidates - 1)[: self.plan.candidates - 1]]
        answer = self.names[which][right]
        if at < real and draw.random() < 0.1:
            answer = self.tokenizer.encode(f" {draw.choice(source.concepts[right].synonyms)[0]}").ids
            query = source.concepts[right].name
        return query, [answer, *(self.names[which][j] for j in wrong)]


def static_closeness(
    source: Terminology, tokenizer: Tokenizer, vectors: np.ndarray, sharpness: float = 8.0
) -> np.ndarray:
    """How tempting each pool member is to the static model, as log weights, shape (questions, pool)."""
    table = torch.from_numpy(vectors)
    asked = bags(table, [e.ids or [0] for e in tokenizer.encode_batch([f" {q}" for q in source.queries])], QUERY_BLANKS)
    named = bags(
        table, [e.ids for e in tokenizer.encode_batch([f" {c.name}" for c in source.concepts])], DOCUMENT_BLANKS
    )
    parts = [
        likeness(a, named[torch.from_numpy(p).long()])
        for a, p in zip(asked.split(4096), np.split(source.pools, range(4096, len(source.pools), 4096)), strict=True)
    ]
    return (sharpness * torch.cat(parts)).numpy().astype(np.float16)


def question_batches(tokenizer: Tokenizer, items: list[Question], size: int = 8) -> Iterator[Batch]:
    """The questions as the model sees them. Pools must be of one size."""
    head = tokenizer.encode(DEFAULT_PREFIX).ids + tokenizer.encode(HEAD).ids
    suffix = tokenizer.encode(DEFAULT_SUFFIX).ids
    for start in range(0, len(items), size):
        part = items[start : start + size]
        queries = [e.ids for e in tokenizer.encode_batch([query_text(i.query) for i in part])]
        documents = [[e.ids + suffix for e in tokenizer.encode_batch([f" {c}" for c in i.candidates])] for i in part]
        yield make_batch(head, queries, documents)


@torch.inference_mode()
def ask(weights: Weights, config: Qwen3Config, tokenizer: Tokenizer, items: list[Question]) -> list[list[float]]:
    """yes minus no for every candidate of every question."""
    answer = answers(tokenizer)
    batches = question_batches(tokenizer, items)
    return [row for b in batches for row in scores(weights, config, b, answer, torch.bfloat16).tolist()]


def answers(tokenizer: Tokenizer) -> tuple[int, int]:
    """Token ids of yes and no."""
    return tokenizer.token_to_id("yes"), tokenizer.token_to_id("no")


def train(
    weights: Weights,
    config: Qwen3Config,
    tokenizer: Tokenizer,
    rows: Rows,
    plan: Plan,
    dev: dict[str, list[Question]],
) -> Weights:
    """Train with one process a core on shared weights; their average over time, mixed with the start, is the result.

    The processes do not wait for each other (Hogwild), so a busy core slows only itself. The first one keeps the
    average and reports on `dev` now and then.
    """
    torch.set_num_threads(1)
    weights = {name: torch.nn.Parameter(tensor.clone().share_memory_()) for name, tensor in weights.items()}
    start = {name: tensor.detach().clone() for name, tensor in weights.items()}
    others = [
        torch.multiprocessing.get_context("fork").Process(
            target=learn, args=(weights, config, tokenizer, rows, replace(plan, seed=plan.seed + i)), daemon=True
        )
        for i in range(1, plan.processes)
    ]
    for process in others:
        process.start()
    averaged = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def after(step: int) -> None:
        decay = min(plan.average, step / (step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(list(averaged.values()), [p.detach() for p in weights.values()], 1 - decay)
        if step % plan.report_every == 0:
            report(mixed(averaged, start, plan.kept), config, tokenizer, dev)

    learn(weights, config, tokenizer, rows, plan, after)
    for process in others:
        process.join()
    return mixed(averaged, start, plan.kept)


def mixed(trained: Weights, start: Weights, kept: float) -> Weights:
    """Between trained and starting weights: what the start knows of words that training never met is partly kept."""
    return {name: torch.lerp(trained[name], start[name], kept) for name in trained}


def learn(
    weights: Weights,
    config: Qwen3Config,
    tokenizer: Tokenizer,
    rows: Rows,
    plan: Plan,
    after: Callable[[int], None] = lambda step: None,
) -> None:
    """AdamW on `weights` in place; `after` is called with the number of steps done."""
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    rows.reseed(plan.seed)
    matrices = [p for n, p in weights.items() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in weights.items() if p.ndim == 1 or "embed" in n]
    groups = [{"params": matrices, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.98))
    recent = []
    for step in range(1, plan.steps + 1):
        clock = time.time()
        for group in optimizer.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * step / plan.steps))
            group["lr"] = plan.rate * min(step / 60, 0.04 + 0.96 * cosine)
        got = scores(weights, config, rows.batch(), answers(tokenizer), torch.bfloat16)
        listwise = F.cross_entropy(got, torch.zeros(len(got), dtype=torch.long))
        target = torch.zeros_like(got)
        target[:, 0] = 1
        loss = listwise + plan.binary * F.binary_cross_entropy_with_logits(got, target, reduction="sum") / len(got)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimizer.step()
        first = float((got[:, 0] > got[:, 1:].max(1).values).float().mean())
        recent.append((listwise.item(), first, time.time() - clock))
        if step % 50 == 0:
            mean, right, seconds = np.mean(recent, axis=0)
            print(
                f"[{plan.seed}] step {step} loss {mean:.3f} right {right:.3f} {seconds:.2f} s/step",
                flush=True,
            )
            recent = []
        after(step)


def report(weights: Weights, config: Qwen3Config, tokenizer: Tokenizer, dev: dict[str, list[Question]]) -> None:
    """Print Hit@1 and MRR on the dev questions."""
    for name, items in dev.items():
        hit, mrr = hit_and_mrr(gold_ranks(items, ask(weights, config, tokenizer, items)))
        print(f"dev {name} {hit:.4f} {mrr:.4f}", flush=True)


def save_checkpoint(weights: Weights, config: Qwen3Config, tokenizer: Tokenizer, folder: Path) -> None:
    """A folder as transformers writes and reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: t.detach().contiguous() for n, t in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    settings = {**config.to_diff_dict(), "architectures": ["Qwen3ForCausalLM"], "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    save_tokenizer(tokenizer, folder)
