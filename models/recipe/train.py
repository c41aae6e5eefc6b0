"""Training of the reranker: rows of one query with K candidates, listwise cross-entropy and a little binary one."""

import json
import math
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from recipe.batches import Encoder, stream
from recipe.network import Config, Weights, scores
from recipe.pool import Question, gold_ranks, hit_and_mrr
from recipe.rows import Draw
from recipe.tokenizer import save_tokenizer


@dataclass
class Plan:
    """What a run needs to know."""

    steps: int = 2000
    rows: int = 32
    candidates: int = 10
    rate: float = 1.2e-3
    warm_up: int = 60  # steps
    binary: float = 0.2  # weight of the binary loss
    decay: float = 0.02  # of the matrices
    average: float = 0.998  # decay of the averaged weights
    kept: float = 0.25  # share of the starting weights in the result
    report_every: int = 500  # steps
    reported: int = 100  # dev questions of each terminology
    seed: int = 0


def answers(tokenizer: Tokenizer) -> tuple[int, int]:
    """Token ids of yes and no."""
    return tokenizer.token_to_id("yes"), tokenizer.token_to_id("no")


@torch.inference_mode()
def ask(
    weights: Weights, config: Config, encoder: Encoder, items: list[Question], dtype: torch.dtype = torch.bfloat16
) -> list[list[float]]:
    """yes minus no for every candidate of every question."""
    answer, device = answers(encoder.plain), str(weights["model.norm.weight"].device)
    batches = (batch.to(device) for batch in encoder.question_batches(items))
    return [row for batch in batches for row in scores(weights, config, batch, answer, dtype).tolist()]


def train(
    start: Weights, config: Config, encoder: Encoder, draw: Draw, plan: Plan, dev: dict[str, list[Question]]
) -> Weights:
    """AdamW; the average of the weights over time, mixed with the start, is the result."""
    torch.manual_seed(plan.seed)
    weights = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in start.items()}
    averaged = {name: tensor.clone() for name, tensor in start.items()}
    optimizer = torch.optim.AdamW(parameter_groups(weights, plan), lr=plan.rate, betas=(0.9, 0.98))
    device = str(start["model.norm.weight"].device)
    draw = replace(draw, candidates=plan.candidates)
    begun, recent = time.time(), torch.zeros(2, device=device)
    for step, batch in enumerate(stream(draw, encoder.training_batch, plan.rows, plan.steps, plan.seed), 1):
        for group in optimizer.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * step / plan.steps))
            group["lr"] = plan.rate * min(step / plan.warm_up, 0.02 + 0.98 * cosine)
        got = scores(weights, config, batch.to(device), answers(encoder.plain), torch.bfloat16)
        listwise, loss = losses(got, plan.binary)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimizer.step()
        with torch.no_grad():
            changed = [p.detach() for p in weights.values()]
            torch._foreach_lerp_(list(averaged.values()), changed, 1 - min(plan.average, step / (step + 20)))
            recent += torch.stack([listwise, (got[:, 0] > got[:, 1:].max(1).values).float().mean()])
        if step % 100 == 0:
            loss_mean, right = (recent / 100).tolist()
            print(f"step {step} loss {loss_mean:.3f} right {right:.3f} after {time.time() - begun:.0f} s", flush=True)
            recent.zero_()
        if step % plan.report_every == 0 or step == plan.steps:
            few = {name: items[: plan.reported] for name, items in dev.items()}
            report("averaged", averaged, config, encoder, few)
            report("mixed", mixed(averaged, start, plan.kept), config, encoder, few)
    return mixed(averaged, start, plan.kept)


def parameter_groups(weights: Weights, plan: Plan) -> list[dict]:
    """Matrices decay; norms and token vectors do not."""
    matrices = [p for n, p in weights.items() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in weights.items() if p.ndim == 1 or "embed" in n]
    return [{"params": matrices, "weight_decay": plan.decay}, {"params": others, "weight_decay": 0.0}]


def losses(got: torch.Tensor, binary: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Listwise cross-entropy of scores (B, K), the right one first, and its sum with the weighted binary one."""
    listwise = F.cross_entropy(got, torch.zeros(len(got), dtype=torch.long, device=got.device))
    target = torch.zeros_like(got)
    target[:, 0] = 1
    return listwise, listwise + binary * F.binary_cross_entropy_with_logits(got, target, reduction="sum") / len(got)


def mixed(trained: Weights, start: Weights, kept: float) -> Weights:
    """Between trained and starting weights: what the start knows of words that training never met is partly kept."""
    return {name: torch.lerp(trained[name], start[name], kept) for name in trained}


def report(label: str, weights: Weights, config: Config, encoder: Encoder, dev: dict[str, list[Question]]) -> None:
    """Print Hit@1 and MRR on the dev questions."""
    found = {n: hit_and_mrr(gold_ranks(items, ask(weights, config, encoder, items))) for n, items in dev.items()}
    print(f"dev, {label}: " + ", ".join(f"{n} {hit:.3f}/{mrr:.3f}" for n, (hit, mrr) in found.items()), flush=True)


def save_checkpoint(weights: Weights, config: Config, tokenizer: Tokenizer, folder: Path) -> None:
    """A folder as transformers writes and reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    settings = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **asdict(config),
        "max_position_embeddings": 1024,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    save_tokenizer(tokenizer, folder)


def open_checkpoint(folder: Path) -> tuple[Weights, Config, Tokenizer]:
    """What `save_checkpoint` wrote."""
    settings = json.loads((folder / "config.json").read_text())
    config = Config(**{field.name: settings[field.name] for field in fields(Config)})
    return load_file(folder / "model.safetensors"), config, Tokenizer.from_file(str(folder / "tokenizer.json"))
