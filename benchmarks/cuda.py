"""`make bench-gpu`: the CUDA path at Qwen3-Reranker-0.6B's size, random weights, against torch in bfloat16.

Torch computes the last position only, with scaled dot product attention and without a mask (a workload's prompts are
equally long), in batches of the size that is best for it. Both start from token ids and end with scores on the CPU.

    python benchmarks/cuda.py                        # needs a CUDA GPU, a torch built for it and onnxruntime-gpu
    python benchmarks/cuda.py --device cpu --tiny    # the same steps anywhere, to see that they work
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from aatm_onnx_export.export import export_checkpoint
from make_checkpoint import SIZES, VOCABULARY, write_checkpoint
from numpy.typing import NDArray
from workloads import WORKLOADS

from aatm_onnx.bundle import Bundle, ModelConfig, open_bundle
from aatm_onnx.prompt import TokenIds
from aatm_onnx.runtime.providers import import_onnxruntime
from aatm_onnx.runtime.scoring import probability_of_yes, score_prompts
from aatm_onnx.runtime.session import Session, open_session

if TYPE_CHECKING:  # imported only after our own runs, so that these can't borrow its CUDA libraries
    import torch
    from transformers import Qwen3ForCausalLM

_T = WORKLOADS["T"]
_WORKLOADS = (_T, WORKLOADS["R"], replace(_T, title="T with 1,000 candidates", candidates=1000))
_TINY = ModelConfig(2, 128, 256, 4, 2, 32, VOCABULARY, True)
_TORCH_BATCHES = (8, 16, 32, 64, 128, 256, 512)
_REPEATS = 5

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Timed:
    """The median of some runs, in seconds, and the scores of the last, (prompts,)."""

    seconds: float
    scores: Scores
    how: str = ""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=Path(".cache/bench"), help="where bundles are kept")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a tiny model and 1 prompt in 25")
    options = parser.parse_args()
    size = "tiny" if options.tiny else "0.6b"
    checkpoint = options.folder / f"qwen3-{size}-random"
    if not checkpoint.exists():
        write_checkpoint(checkpoint, _TINY if options.tiny else SIZES["0.6B"], seed=0, shard_bytes=2_000_000_000)
    bundle = _bundle(checkpoint)
    session = open_session(bundle, options.device)
    workloads = {work.title: work.prompts()[:: 25 if options.tiny else 1] for work in _WORKLOADS}
    ours = {title: _time_ours(session, prompts, bundle.manifest.pad_token_id) for title, prompts in workloads.items()}
    del session  # its memory is torch's now
    answers = [bundle.manifest.no_token_id, bundle.manifest.yes_token_id]
    torch_bf16 = _Torch.load(checkpoint, "bfloat16", options.device, answers)
    theirs = {title: torch_bf16.time_best(prompts) for title, prompts in workloads.items()}
    exact = _Torch.load(checkpoint, "float32", options.device, answers)
    version = import_onnxruntime().__version__
    print(f"{torch_bf16.describe()}, onnxruntime {version}; ms for all prompts, median of {_REPEATS}")
    print("| workload | ours | torch bf16 | torch / ours | ours from float32, largest | torch bf16 from float32 |")
    print("|---|---|---|---|---|---|")
    for title, prompts in workloads.items():
        expected = exact.scores(prompts, 32)
        off = [f"{np.abs(timed.scores - expected).max():.1e}" for timed in (ours[title], theirs[title])]
        a, b = ours[title].seconds, theirs[title].seconds
        print(f"| {title} | {1e3 * a:.1f} | {1e3 * b:.1f} ({theirs[title].how}) | {b / a:.2f} | {off[0]} | {off[1]} |")


def _bundle(checkpoint: Path) -> Bundle:
    """The checkpoint's bundle for CUDA; made, and proved on the CPU, where it is not there from another run."""
    folder = checkpoint.with_name(f"{checkpoint.name}-cuda")
    if folder.exists():
        return open_bundle(folder)
    return export_checkpoint(str(checkpoint), folder, precision="fp16", graph="cuda")


def _time_ours(session: Session, prompts: list[TokenIds], pad_token_id: int) -> Timed:
    """Runs that find no prefix left by an earlier one: a session keeps none."""
    return _time(lambda: np.array(score_prompts(session, prompts, pad_token_id), np.float64))


def _time(run: Callable[[], Scores], how: str = "") -> Timed:
    """Two runs to warm up, then some that count. Each ends with scores on the CPU, so nothing is left in flight."""
    seconds = []
    for _ in range(2 + _REPEATS):
        start = time.perf_counter()
        scores = run()
        seconds.append(time.perf_counter() - start)
    return Timed(statistics.median(seconds[2:]), scores, how)


@dataclass(frozen=True)
class _Torch:
    """A transformers model on a device.

    Attributes:
        model: the model.
        device: where it is.
        answers: the token ids of "no" and "yes".
    """

    model: "Qwen3ForCausalLM"
    device: "torch.device"
    answers: list[int]

    @staticmethod
    def load(checkpoint: Path, dtype: str, device: str, answers: list[int]) -> "_Torch":
        import torch
        from transformers import Qwen3ForCausalLM

        model = Qwen3ForCausalLM.from_pretrained(checkpoint, dtype=dtype, attn_implementation="sdpa")
        return _Torch(model.eval().to(device), torch.device(device), answers)

    def scores(self, prompts: list[TokenIds], batch: int) -> Scores:
        """Scores of equally long prompts, `batch` of them at a time, (prompts,)."""
        import torch

        logits = []
        with torch.inference_mode():
            for start in range(0, len(prompts), batch):
                ids = torch.from_numpy(np.stack(prompts[start : start + batch]).astype(np.int64)).to(self.device)
                last = self.model(input_ids=ids, logits_to_keep=1, use_cache=False).logits[:, -1]
                logits.append(last[:, self.answers].float())  # (batch, 2)
        return probability_of_yes(torch.cat(logits).cpu().numpy())

    def time_best(self, prompts: list[TokenIds]) -> Timed:
        """At the batch size at which torch is fastest."""
        sizes = [size for size in _TORCH_BATCHES if size <= len(prompts)] or [len(prompts)]
        timed = [_time(partial(self.scores, prompts, size), f"batches of {size}") for size in sizes]
        return min(timed, key=lambda one: one.seconds)

    def describe(self) -> str:
        """Device and version."""
        import torch

        name = torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"
        return f"{name}, torch {torch.__version__}"


if __name__ == "__main__":
    main()
