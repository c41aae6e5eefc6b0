"""Tries cases, one a line of standard input, and answers each with what came of it.

A process of its own: a case may end the process, or never end.
"""

import json
import os
import resource
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from random import Random

from tokenizers import Tokenizer

from aatm_onnx import BundleError, Qwen3Reranker, ScoreError
from aatm_onnx.bundle import open_bundle
from aatm_onnx.first_tokens import first_tokens, places_to_cut
from aatm_onnx.models import find_bundle
from aatm_onnx.runtime.session import open_session
from aatm_onnx.runtime.verify import check_conformance
from aatm_onnx.tokenizer import read_tokenizer, token_ids

from ..long_texts import PARTS
from .mutations import MUTATIONS

PROBES = ["kidney stones", ["Gallstones", "Nephrolithiasis", "Renal cyst", "", "high " * 60]]
TOLERANCE = 1e-5
# A graph that its maker sealed may ask for any memory. The worker has a limit, as an operator's process would, so that
# such a case ends in a ScoreError and does not fill the machine.
MOST_BYTES = 8 << 30


def try_bundle(folder: Path, truth: list[float], seed: int) -> tuple[str, str]:
    """Spoil a bundle and use it: what came of it, and what was done."""
    pick = Random(seed)
    mutate, _, same = pick.choices(MUTATIONS, [weight for _, weight, _ in MUTATIONS])[0]
    try:
        said = mutate(folder, pick)
    except KeyError as error:  # the copy was spoilt so that there is nothing left to do
        return "nothing done", str(error)
    outcome = "refused"
    try:
        reranker = Qwen3Reranker(folder, provider="cpu", threads=1)
    except BundleError:
        return outcome, said
    except Exception as error:
        return f"other exception: {type(error).__name__} while opening", f"{said}: {error!r:.300}"
    try:
        scores = reranker.score(*PROBES)
    except (BundleError, ScoreError, ValueError):
        return "refused while scoring", said
    except Exception as error:
        return f"other exception: {type(error).__name__} while scoring", f"{said}: {error!r:.300}"
    different = max(abs(a - b) for a, b in zip(scores, truth, strict=True)) > TOLERANCE
    try:
        opened = open_bundle(folder)
        list(opened.check_hashes())
        passed = check_conformance(opened, open_session(opened, "cpu", 1)).passed
    except (BundleError, ScoreError):
        passed = False
    except Exception as error:
        return f"other exception: {type(error).__name__} while verifying", f"{said}: {error!r:.300}"
    if not passed:
        return "found by verify", said
    if not different:
        return "right scores", said
    return ("SILENT WRONG SCORE" if same else "another model, sealed by its maker"), said


def try_text(tokenizers: list[Tokenizer], seed: int) -> tuple[str, str]:
    """Cut a long text and compare with the whole."""
    pick = Random(seed)
    parts = pick.choices(PARTS, k=pick.randint(1, 10))
    most, repeats = pick.randint(1, 1200), pick.choice([1, 1, 1, 7, 300, 5000])
    made: list[str] = []
    length = 0
    while length <= max(40_000, 34 * most):
        made.append(pick.choice(parts) * repeats)
        length += len(made[-1])
    tokenizer, text = pick.choice(tokenizers), "".join(made)
    whole = token_ids(tokenizer, [text])[0]
    places = places_to_cut(tokenizer)
    assert places is not None
    found = first_tokens(lambda texts: token_ids(tokenizer, texts), places, text, most)
    right = found == (whole[:most], len(whole) > most)
    return ("text cut rightly" if right else "WRONG TOKENS"), f"{parts!r:.200}, {repeats} times, {most} tokens"


def main() -> None:
    """Answer cases until there are none."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # ONNX Runtime prints there
    original = find_bundle()
    truth = Qwen3Reranker(original, provider="cpu", threads=1).score(*PROBES)
    tokenizers: list[Tokenizer] = [
        read_tokenizer(original / "tokenizer.json", control_tokens=control) for control in (False, True)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "bundle"
        shutil.copytree(original, folder)
        answers.write("ready\n")
        times = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
        for line in sys.stdin:
            seed = int(line)
            outcome = try_text(tokenizers, seed) if seed % 10 == 9 else try_bundle(folder, truth, seed)
            answers.write(json.dumps(outcome) + "\n")
            for file in folder.iterdir():  # what was changed is put back
                if file.name not in times:
                    file.unlink()
                elif file.stat().st_mtime_ns != times[file.name]:
                    shutil.copy(original / file.name, file)
                    times[file.name] = file.stat().st_mtime_ns


if __name__ == "__main__":
    main()
