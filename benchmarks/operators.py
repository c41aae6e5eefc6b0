"""Where the time of one batch of workload T goes, by operator: `python benchmarks/operators.py BUNDLE`.

One thread, from ONNX Runtime's own profiler, in the last of five runs.
"""

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from aatm_onnx.bundle import Bundle, open_bundle
from aatm_onnx.runtime.providers import cpu_options, import_onnxruntime

_PAST, _OWN, _RUNS = 75, 20, 5


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rows", type=int, default=17, help="candidates of the batch; 100 are cut in six such batches")
    parser.add_argument("--tokens", type=int, default=_OWN, help="of a candidate")
    parser.add_argument("--past", type=int, default=_PAST, help="tokens that they share")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        events = profile(open_bundle(options.bundle), options, Path(folder) / "profile")
    run = [event for event in events if event["name"] == "model_run"][-1]
    spent, nodes = Counter[str](), Counter[str]()
    for event in events:
        if event["name"].endswith("_kernel_time") and run["ts"] <= event["ts"] <= run["ts"] + run["dur"]:
            spent[event["args"]["op_name"]] += event["dur"]
            nodes[event["args"]["op_name"]] += 1
    print(f"{options.rows} candidates in {run['dur'] / 1e3:.0f} ms, one thread")
    print("| operator | nodes | share |\n|---|---|---|")
    for operator, microseconds in spent.most_common(20):
        print(f"| {operator} | {nodes[operator]} | {microseconds / run['dur']:.1%} |")


def profile(bundle: Bundle, options: argparse.Namespace, prefix: Path) -> list[dict[str, Any]]:
    """The profiler's events, times in microseconds."""
    settings = cpu_options(bundle, threads=1)
    settings.enable_profiling, settings.profile_file_prefix = True, str(prefix)
    ort = import_onnxruntime()
    runtime = ort.InferenceSession(str(bundle.graph_path), settings, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)

    def feed(batch: int, seq: int, past: np.ndarray, keep_rows: int) -> dict[str, np.ndarray]:
        ids = random.integers(0, bundle.manifest.config.vocab_size, (batch, seq))
        kept = np.array([keep_rows])
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "past": past, "keep_rows": kept}

    config = bundle.manifest.config
    nothing = np.empty((config.num_hidden_layers, 2, config.num_key_value_heads, 0, config.head_dim), np.float32)
    (present,) = runtime.run(["present"], feed(1, options.past, nothing, 1))
    batch = feed(options.rows, options.tokens, present[0], 0)
    for _ in range(_RUNS):
        runtime.run(["logits"], batch)
    events: list[dict[str, Any]] = json.loads(Path(runtime.end_profiling()).read_text())
    return events


if __name__ == "__main__":
    main()
