"""llama.cpp, built for this machine: Q8_0 weights; rows are sequences that share the keys and values of the query."""

from collections.abc import Sequence
from pathlib import Path

import gguf
import llama_cpp as llama
import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, Qwen3Config

from .checkpoint import answers_of, checkpoint_in

TITLE = f"llama.cpp (llama-cpp-python {llama.__version__}) Q8_0"
_ROWS = 32  # sequences of a batch
_TOKENS_AT_ONCE = 128  # its n_ubatch
_CONTEXT = 16_384  # tokens of all sequences


class Engine:
    """The checkpoint, converted."""

    def __init__(self, folder: Path, threads: int, prefix: Sequence[int]) -> None:
        """Convert it once, load it, and run the prefix."""
        converted = folder / "qwen3-0.6b-random-q8_0.gguf"
        if not converted.exists():
            write_gguf(checkpoint_in(folder), converted)
        tokenizer = AutoTokenizer.from_pretrained(checkpoint_in(folder))
        self.answers, self.prefix = answers_of(tokenizer), len(prefix)
        self.quiet = llama.llama_log_callback(lambda *_: None)  # kept, or its end ends the process
        llama.llama_log_set(self.quiet, None)
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(str(converted).encode(), llama.llama_model_default_params())
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = _CONTEXT, _CONTEXT, _TOKENS_AT_ONCE
        params.n_threads, params.n_threads_batch = threads, threads
        params.n_seq_max, params.kv_unified = _ROWS + 1, True  # so that sequences share and don't copy
        self.context = llama.llama_init_from_model(self.model, params)
        self.memory = llama.llama_get_memory(self.context)
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(_CONTEXT, 0, 1)
        self._run([(0, 0, np.array(prefix, np.int32))])

    def logits(self, prompts: list[NDArray[np.int32]], shared: int) -> NDArray[np.float32]:
        """The query after the prefix once, as sequence 0; then rows as copies of it."""
        llama.llama_memory_seq_rm(self.memory, 0, self.prefix, -1)
        self._run([(0, self.prefix, prompts[0][self.prefix : shared])])
        found = []
        for begin in range(0, len(prompts), _ROWS):
            rows = prompts[begin : begin + _ROWS]
            for row in range(1, len(rows) + 1):
                llama.llama_memory_seq_cp(self.memory, 0, row, 0, -1)
            found.append(self._run([(row, shared, ids[shared:]) for row, ids in enumerate(rows, 1)]))
            for row in range(1, len(rows) + 1):
                llama.llama_memory_seq_rm(self.memory, row, -1, -1)
        return np.concatenate(found)

    def _run(self, parts: list[tuple[int, int, NDArray[np.int32]]]) -> NDArray[np.float32]:
        """Sequence, place of the first token, and tokens of each part; the answers' logits after each part's last."""
        batch, at, lasts = self.batch, 0, []
        for sequence, start, ids in parts:
            for place, token in enumerate(ids.tolist()):
                batch.token[at], batch.pos[at], batch.logits[at] = token, start + place, place == len(ids) - 1
                batch.n_seq_id[at], batch.seq_id[at][0] = 1, sequence
                at += 1
            lasts.append(at - 1)
        batch.n_tokens = at
        if llama.llama_decode(self.context, batch):
            raise RuntimeError("llama.cpp can't run the batch.")
        rows = (llama.llama_get_logits_ith(self.context, last) for last in lasts)
        return np.array([np.ctypeslib.as_array(row, (self.vocabulary,))[self.answers] for row in rows], np.float32)


def write_gguf(checkpoint: Path, file: Path) -> None:
    """Linear weights and the embedding as Q8_0, norms as float32; no tokenizer, for token ids are all it is given."""
    config = AutoConfig.from_pretrained(checkpoint)
    assert isinstance(config, Qwen3Config)
    part = file.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "qwen3")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("none")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config.num_hidden_layers)
    for shard in sorted(checkpoint.glob("*.safetensors")):
        for name, tensor in load_file(shard).items():
            as_float = tensor.float().numpy()
            kind = gguf.GGMLQuantizationType.F32 if as_float.ndim == 1 else gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(
                f"{names.get_name(name, ('.weight',))}", gguf.quants.quantize(as_float, kind), raw_dtype=kind
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.rename(file)
