"""What a config.json says: whether this is a Qwen3 causal LM, its sizes, and the tensors that it must have."""

from dataclasses import fields
from typing import Any

from aatm_onnx.bundle import Architecture
from aatm_onnx.errors import ExportError

# The RoPE variants whose frequencies don't depend on the length of the input, so that one graph fits all lengths.
ROPE_TYPES = ("default", "linear", "yarn", "llama3")
_SIZES = [field.name for field in fields(Architecture) if field.name != "tie_word_embeddings"]


def read_architecture(config: dict[str, Any], where: str) -> Architecture:
    """The sizes in a config.json; `where` names the checkpoint in errors.

    Raises:
        ExportError: it is not a Qwen3 causal LM, uses sliding-window attention or a length-dependent RoPE,
            or a size is missing.
    """
    architectures = config.get("architectures") or []
    if config.get("model_type") != "qwen3" or "Qwen3ForCausalLM" not in architectures:
        found = ", ".join(architectures) or config.get("model_type") or "no architecture"
        raise ExportError(f"{where} is not a Qwen3 causal LM: its config.json says {found}, not Qwen3ForCausalLM.")
    if config.get("use_sliding_window") or "sliding_attention" in (config.get("layer_types") or []):
        raise ExportError(f"{where} uses sliding-window attention, which no Qwen3 reranker does and no graph here has.")
    rope = config.get("rope_scaling") or {}
    rope_type = rope.get("rope_type", rope.get("type", "default"))
    if rope_type not in ROPE_TYPES:
        raise ExportError(
            f"{where} has rope_scaling of type {rope_type!r}; only {', '.join(ROPE_TYPES)} can be exported."
        )
    sizes = {"head_dim": 128, **config}  # 128: Qwen3Config's default, for a config.json that leaves it out
    for size in _SIZES:
        if not isinstance(sizes.get(size), int) or sizes[size] < 1:
            raise ExportError(f"{where}: its config.json gives {sizes.get(size)!r} for {size}.")
    tied = bool(config.get("tie_word_embeddings", False))
    return Architecture(**{size: sizes[size] for size in _SIZES}, tie_word_embeddings=tied)


def tensor_shapes(architecture: Architecture, attention_bias: bool = False) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a Qwen3 causal LM, as transformers' Qwen3ForCausalLM saves them."""
    a = architecture
    heads, kv_heads = a.num_attention_heads * a.head_dim, a.num_key_value_heads * a.head_dim
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (a.vocab_size, a.hidden_size)}
    for layer in range(a.num_hidden_layers):
        block = {
            "input_layernorm.weight": (a.hidden_size,),
            "self_attn.q_proj.weight": (heads, a.hidden_size),
            "self_attn.k_proj.weight": (kv_heads, a.hidden_size),
            "self_attn.v_proj.weight": (kv_heads, a.hidden_size),
            "self_attn.o_proj.weight": (a.hidden_size, heads),
            "self_attn.q_norm.weight": (a.head_dim,),
            "self_attn.k_norm.weight": (a.head_dim,),
            "post_attention_layernorm.weight": (a.hidden_size,),
            "mlp.gate_proj.weight": (a.intermediate_size, a.hidden_size),
            "mlp.up_proj.weight": (a.intermediate_size, a.hidden_size),
            "mlp.down_proj.weight": (a.hidden_size, a.intermediate_size),
        }
        if attention_bias:
            projections = [f"self_attn.{name}_proj" for name in "qkvo"]
            block |= {f"{name}.bias": block[f"{name}.weight"][:1] for name in projections}
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in block.items()}
    shapes["model.norm.weight"] = (a.hidden_size,)
    if not a.tie_word_embeddings:
        shapes["lm_head.weight"] = (a.vocab_size, a.hidden_size)
    return shapes
